"""A client of Habeas' HTTP API, for users' own programs, the command line and the demo.

    with log_in("https://privacy.example.com", client_id, client_secret) as habeas:
        request_id = habeas.submit("access", {"email": "ann@example.com"})
        request = habeas.wait_for(request_id)

`answers` has what methods return. It may know `domain` alone of the server's rooms.
"""

from habeas.client.calls import ApiFailure, Json, path_of
from habeas.client.client import Client, log_in
from habeas.client.webhooks import InvalidSignature, verify_webhook_signature

__all__ = [
    "ApiFailure",
    "Client",
    "InvalidSignature",
    "Json",
    "log_in",
    "path_of",
    "verify_webhook_signature",
]
