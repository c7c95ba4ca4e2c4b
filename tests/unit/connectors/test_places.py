"""Which fields of a connection say where it leads, so that stored passwords do not follow them."""

import pytest

from habeas.connectors import connection_types
from habeas.connectors.https import https_type

TYPES = {kind.name: kind for kind in (*connection_types(), https_type(lambda url: None))}


@pytest.mark.parametrize("kind", TYPES)
def test_what_says_where_is_a_place_and_no_mere_credential_is(kind: str) -> None:
    fields = frozenset(TYPES[kind].secrets)
    places = fields if TYPES[kind].places is None else TYPES[kind].places
    assert places >= fields & {"url", "host", "port", "dbname", "path", "to_email", "test_email"}
    assert not places & {"password", "authorization"}
