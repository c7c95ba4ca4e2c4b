"""The open routes that take something from anybody, by kind: they have limits of their own.

Told apart by path, outside the routes, so that a refused call costs neither its body nor the ledger.
"""

import re

from starlette.types import Scope

OTHER = "request"
"""Every other call."""
_POSTS = {
    "create": re.compile(r"/api/v1/privacy-request"),
    "verify": re.compile(r"/api/v1/privacy-request/[^/]+/(verify|resend-code)"),
    "token": re.compile(r"/api/v1/oauth/(token|revoke)"),
    "login": re.compile(r"/api/v1/(login|session|user/(accept-invite|forgot-password|reset-password-with-token))"),
}
KINDS = (*_POSTS, OTHER)


def find_kind(scope: Scope) -> str:
    """One of KINDS."""
    if scope["method"] != "POST":
        return OTHER
    return next((kind for kind, paths in _POSTS.items() if paths.fullmatch(scope["path"])), OTHER)
