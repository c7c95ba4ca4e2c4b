"""Digest algorithms that `hash` and `hmac` may be configured with."""

from collections.abc import Mapping
from enum import StrEnum

from habeas.domain.errors import InputError
from habeas.domain.ports import ConfigurationKey


class Algorithm(StrEnum):
    """An algorithm as configurations name it."""

    SHA_256 = "SHA-256"
    SHA_512 = "SHA-512"

    @property
    def digestmod(self) -> str:
        """Its name in the standard library."""
        return self.value.replace("-", "").lower()


ALGORITHM = ConfigurationKey("algorithm", "SHA-256 (default) or SHA-512")


def read_algorithm(configuration: Mapping[str, object]) -> Algorithm:
    """The algorithm configured, SHA-256 when none is; raises InputError for any other."""
    given = configuration.get("algorithm")
    if given is None:
        return Algorithm.SHA_256
    if given not in list(Algorithm):
        raise InputError("this algorithm is not supported", hint="use SHA-256 or SHA-512")
    return Algorithm(str(given))
