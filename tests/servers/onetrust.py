"""OneTrust on loopback, as far as control-plane §1.21 describes it: tokens, the queue, subtasks, results.

It refuses whatever is not as described: wrong forms, unknown references, no token or one that has run out.
"""

import json
import re
import secrets
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from email.message import Message
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

CLIENT = {"client_id": "habeas", "client_secret": "a-secret-of-onetrust"}
STATUSES = {"COMPLETED", "FAILED", "IN_PROGRESS", "REJECTED"}


@dataclass
class Queued:
    """A request of the queue, with the names of its subtasks by id."""

    ref: str
    email: str | None
    created: str
    subtasks: dict[str, str]
    status: str = "In Progress"


@dataclass(frozen=True)
class Refusal:
    """What is said in place of an answer; None: nothing, and the connection ends."""

    status: int | None
    headers: dict[str, str] = field(default_factory=dict)


class OneTrustServer:
    """Pages hold `page_size` items, whatever size is asked for.

    `refusals`: what to say first to calls whose `METHOD path` begins so, each once. `results`: what was handed over, by
    reference; `told`: (subtask, status) in order; `calls`: `METHOD path`, of which each is given to `before` first.
    """

    def __init__(self, page_size: int = 2) -> None:
        self.queue: list[Queued] = []
        self.page_size = page_size
        self.refusals: list[tuple[str, Refusal]] = []
        self.results: dict[str, list[Any]] = {}
        self.told: list[tuple[str, str]] = []
        self.calls: list[str] = []
        self.queries: list[dict[str, list[str]]] = []
        self.tokens: set[str] = set()
        self.before: Callable[[str], object] = lambda call: None
        server = self

        class Handler(BaseHTTPRequestHandler):
            def _serve(self) -> None:
                body = self.rfile.read(int(self.headers.get("content-length") or 0))
                status, answer, headers = server._answer(self.command, self.path, self.headers, body)
                if status is None:
                    self.close_connection = True
                    return
                text = json.dumps(answer).encode()
                self.send_response(status)
                for name, value in {"Content-Length": str(len(text)), **headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(text)

            do_GET = do_POST = do_PUT = _serve  # noqa: N815

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,), daemon=True)
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def add(self, ref: str, email: str | None, created: str = "2026-11-20T09:30:00.123", **subtasks: str) -> None:
        """Queue a request; subtasks are id → name."""
        self.queue.append(Queued(ref, email, created, subtasks))

    def refuse(self, call: str, *statuses: int | None, **headers: str) -> None:
        """Refuse the next calls of this kind, once for each status."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self.refusals += [(call, Refusal(status, named)) for status in statuses]

    def count(self, call: str) -> int:
        return sum(made.startswith(call) for made in self.calls)

    def _answer(
        self, method: str, target: str, headers: Message, body: bytes
    ) -> tuple[int | None, Any, dict[str, str]]:
        url = urlsplit(target)
        call = f"{method} {url.path}"
        self.calls.append(call)
        self.before(call)
        for number, (prefix, refusal) in enumerate(self.refusals):
            if call.startswith(prefix):
                del self.refusals[number]
                return refusal.status, {"message": "no: ann@example.com"}, refusal.headers
        if call == "POST /api/access/v1/oauth/token":
            return self._give_token(headers, body)
        if headers.get("authorization", "").removeprefix("Bearer ") not in self.tokens:
            return 401, {}, {}
        for pattern, answer in (
            (r"GET /api/datasubject/v2/requestqueues/en-us", self._list_queue),
            (r"GET /v2/subtasks/([^/]+)/subtasks", self._list_subtasks),
            (r"PUT /v2/subtasks/([^/]+)/status", self._take_status),
            (r"POST /api/datasubject/v3/datadiscovery/requestqueues/([^/]+)", self._take_results),
        ):
            if found := re.fullmatch(pattern, call):
                status, told = answer(*map(unquote, found.groups()), parse_qs(url.query), headers, body)
                return status, told, {}
        return 404, {}, {}

    def _give_token(self, headers: Message, body: bytes) -> tuple[int, Any, dict[str, str]]:
        kind = headers.get("content-type", "")
        parts = BytesParser().parsebytes(f"Content-Type: {kind}\r\n\r\n".encode() + body)
        if parts.get_content_type() != "multipart/form-data":
            return 415, {}, {}
        fields = {
            str(part.get_param("name", header="content-disposition")): part.get_payload()
            for part in parts.get_payload()  # type: ignore[union-attr]
        }
        if fields != {"grant_type": "client_credentials", **CLIENT}:
            return 401, {}, {}
        self.tokens.add(token := secrets.token_urlsafe(16))
        return 200, {"access_token": token, "token_type": "bearer", "expires_in": 3600}, {}

    def _list_queue(self, query: dict[str, list[str]], *_: Any) -> tuple[int, Any]:
        self.queries.append(query)
        if query["status"] != ["In Progress"] or query["sort"] != ["createdDate,asc"]:
            return 400, {}
        since = query["createddate"][0]
        found = [
            {
                "requestQueueRefId": one.ref,
                "requestQueueId": f"queue-{one.ref}",
                "email": one.email,
                "firstName": "Ann",
                "dateCreated": one.created,
                "status": one.status,
                "requestTypes": ["Info"],
            }
            for one in sorted(self.queue, key=lambda one: one.created)
            if one.status == "In Progress" and one.created[:10].replace("-", "") >= since
        ]
        return 200, self._page(found, query)

    def _list_subtasks(self, ref: str, query: dict[str, list[str]], *_: Any) -> tuple[int, Any]:
        one = next((one for one in self.queue if one.ref == ref), None)
        if one is None:
            return 404, {}
        found = [
            {"subTaskId": key, "subTaskName": name, "subTaskStatus": "OPEN", "requestQueueRefId": ref}
            for key, name in one.subtasks.items()
        ]
        return 200, self._page(found, query)

    def _page(self, items: list[Any], query: dict[str, list[str]]) -> Any:
        assert query["size"] == ["500"]
        start = int(query["page"][0]) * self.page_size
        return {"content": items[start : start + self.page_size], "last": start + self.page_size >= len(items)}

    def _take_status(self, subtask: str, query: Any, headers: Message, body: bytes) -> tuple[int, Any]:
        form = parse_qs(body.decode())
        if headers.get_content_type() != "application/x-www-form-urlencoded" or form["status"][0] not in STATUSES:
            return 400, {}
        if not any(subtask in one.subtasks for one in self.queue):
            return 404, {}
        self.told.append((subtask, form["status"][0]))
        return 200, {}

    def _take_results(self, ref: str, query: Any, headers: Message, body: bytes) -> tuple[int, Any]:
        if headers.get_content_type() != "application/json" or not any(one.ref == ref for one in self.queue):
            return 404, {}
        told = json.loads(body)
        if set(told) != {"language", "system", "results"}:
            return 400, {}
        self.results.setdefault(ref, []).append(told)
        return 200, {}
