"""Habeas finds what a company holds about a person, hands it over, erases it, and proves both.

`from habeas import decrypt` opens an encrypted package; it brings nothing of the application with it.
"""

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from habeas.delivery.encryption import decrypt

__version__ = "0.2.0"
__all__ = ["__version__", "decrypt"]


def __getattr__(name: str) -> object:
    if name == "decrypt":
        from habeas.delivery.encryption import decrypt

        return decrypt
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
