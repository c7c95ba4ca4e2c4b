"""Routes that make keys for packages, and encrypt and decrypt with them (control-plane §1.17)."""

from typing import Annotated, NotRequired, TypeAlias

from fastapi import APIRouter, Body
from fastapi.openapi.models import Example
from typing_extensions import TypedDict

from habeas.execution.context import Context
from habeas.services import encryption
from habeas.services.encryption import Encrypted
from habeas.web.bodies import StrictRoute
from habeas.web.security import needs

router = APIRouter(prefix="/cryptography/encryption", tags=["encryption"], route_class=StrictRoute)

_Executor: TypeAlias = Annotated[Context, needs("encryption:exec")]


class Plain(TypedDict):
    """What to encrypt; the key has 16, 24 or 32 bytes."""

    value: str
    key: str


class Sealed(TypedDict):
    """What to decrypt. Without `nonce` the value begins with it, as packages do."""

    value: str
    key: str
    nonce: NotRequired[str | None]


class Decrypted(TypedDict):
    """What was encrypted."""

    decrypted_value: str


_KEY = "test--encryption"
_PLAIN = {"example": Example(value={"value": '{"street": "test street"}', "key": _KEY})}
_SEALED = {
    "value and nonce": Example(
        value={"value": "Y6q+Vggcs7QQevPTPWjCwu1SbcYO6ikMa2lK", "key": _KEY, "nonce": "EHXp6vgEJmyl2G5e"}
    ),
    "package": Example(
        value={
            "value": "GPUiK9tq5k/HfBnSN+J+OvLXZ+GCisapdI2KGP7A1WK+dz1XHef+hWb/SjszdqdNVGvziyY6GF5KIrvrXgxjZuaAvgU=",
            "key": _KEY,
        }
    ),
}


@router.get("/key", summary="Make a random key for a package")
def make_key(context: _Executor) -> str:
    return encryption.make_package_key()


@router.put("/aes/encrypt", summary="Encrypt a value as packages are encrypted (AES-GCM)")
def encrypt(context: _Executor, plain: Annotated[Plain, Body(openapi_examples=_PLAIN)]) -> Encrypted:
    return encryption.encrypt_value(plain["value"], plain["key"])


@router.put("/aes/decrypt", summary="Decrypt a value, or a package")
def decrypt(context: _Executor, sealed: Annotated[Sealed, Body(openapi_examples=_SEALED)]) -> Decrypted:
    return {"decrypted_value": encryption.decrypt_value(sealed["value"], sealed["key"], sealed.get("nonce"))}
