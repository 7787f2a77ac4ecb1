"""What holds for every answer, whoever gives it? An id, an exact type, who may read it from another origin, and words for what broke."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from litestar.datastructures import Headers, MutableScopeHeaders
from litestar.enums import ScopeType
from litestar.types import ASGIApp, HTTPResponseStartEvent, HTTPScope, Message, Receive, Scope, Send

from api.faces import Answer, Cors, Face, as_core, owner
from tiro.model.errors import Invalid, NotFound
from tiro.ports import Ids

HEADERS_BYTES = 64 << 10
"""Also when they come all at once, which the server lets pass."""
_QUERY_BYTES = 16 << 10
_PREFLIGHT_KEPT_S = 7200
_NOWHERE = "/nothing"
"""An address that nobody owns: who may not know of one asks for this, and hears nothing else."""
_METHODS = "GET, HEAD, POST, PUT, PATCH, DELETE"
_ALONE = "default-src 'none'; frame-ancestors 'none'; sandbox"
"""A browser that shows an answer as a page runs and fetches nothing of it."""


class Edge:
    """The app's outermost layer. The first face answers for paths that nobody owns, and for bytes that are no request."""

    def __init__(self, app: ASGIApp, faces: Sequence[Face], ids: Ids) -> None:
        self._app = app
        self._faces = faces
        self._ids = ids

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """ASGI."""
        if scope["type"] == ScopeType.HTTP:
            await self._answer(scope, receive, send)
        else:
            await self._app(scope, receive, send)

    async def _answer(self, scope: HTTPScope, receive: Receive, send: Send) -> None:
        face = owner(self._faces, scope["path"])
        if _is_odd(scope["path"]) or (face.admits is not None and not face.admits(scope)):
            scope, face = {**scope, "path": _NOWHERE, "raw_path": _NOWHERE.encode()}, self._faces[0]
        # a server without a lifespan gives no state
        scope.setdefault("state", {})["tiro_request_id"] = self._ids.new("req")
        begun = False

        async def stamped(message: Message) -> None:
            nonlocal begun
            if message["type"] == "http.response.start":
                begun = True
                _stamp(message, face, request_id(scope))
            await send(message)

        try:
            said = _at_once(scope, face)
            if said is None:
                await self._app(_as_get(scope), receive, stamped)
                return
        except Exception as error:  # noqa: BLE001 (whatever it is, it is answered)
            said = worded(self._faces, scope, error)
            if begun:
                raise BrokenOff from None
            said.headers["connection"] = "close"
        start, body = _as_messages(said)
        await stamped(start)
        await stamped({"type": "http.response.body", "body": body, "more_body": False})

    def malformed(self) -> tuple[HTTPResponseStartEvent, bytes]:
        """What is answered to bytes that are no HTTP request; the connection ends with it."""
        face = self._faces[0]
        start, body = _as_messages(face.answer(Invalid("invalid_request", "This is not a valid HTTP request.")))
        _stamp(start, face, self._ids.new("req"))
        return start, body


class BrokenOff(Exception):
    """An answer that had begun cannot be finished: the connection is closed. What happened is in the log already."""


def request_id(scope: Scope) -> str:
    """The same in the log and in the answer."""
    return str(scope["state"]["tiro_request_id"])


def worded(faces: Sequence[Face], scope: Scope, error: Exception) -> Answer:
    """The error in the words of the face that owns the path, unknown routes and methods included."""
    path = scope["path"]
    face = owner(faces, path)
    place = next((prefix for prefix in face.prefixes if f"{path}/".startswith(f"{prefix}/")), "no place of ours")
    return face.answer(as_core(error, f"{scope.get('method')} in {place} ({request_id(scope)})"))


def _at_once(scope: HTTPScope, face: Face) -> Answer | None:
    """What needs no route. Raises Invalid, NotFound."""
    headers = Headers.from_scope(scope)
    if headers.get("upgrade", "").strip().lower() == "websocket":
        raise NotFound("not_found", "There is no WebSocket at this address.")
    if scope["http_version"] not in {"1.0", "1.1"}:
        raise Invalid("invalid_request", "This server speaks HTTP/1.1.")
    if "transfer-encoding" in headers and ("content-length" in headers or scope["http_version"] == "1.0"):
        # two readers could see two different requests in it
        raise Invalid("invalid_request", "Send either a Content-Length or a chunked body.")
    if len(scope["query_string"]) > _QUERY_BYTES:
        raise Invalid("invalid_request", f"The query is longer than {_QUERY_BYTES} bytes.")
    if sum(len(name) + len(value) for name, value in scope["headers"]) > HEADERS_BYTES:
        raise Invalid("invalid_request", f"The headers are longer than {HEADERS_BYTES} bytes.")
    asks = scope["method"] == "OPTIONS" and "origin" in headers and "access-control-request-method" in headers
    return _preflight(face.cors) if asks and face.cors is not None else None


def _is_odd(path: str) -> bool:
    """Owners are told by how a path begins; the router skips empty segments and would find `/x` behind `//x` and `x`, too."""
    return not path.startswith("/") or "//" in path


def _preflight(cors: Cors) -> Answer:
    """A browser asks before it sends: without a key, since it has none yet."""
    headers = {
        "Access-Control-Allow-Methods": _METHODS,
        "Access-Control-Allow-Headers": ", ".join(cors.sent),
        "Access-Control-Max-Age": str(_PREFLIGHT_KEPT_S),
    }
    return Answer(b"", status_code=204, headers=headers)


def _as_get(scope: HTTPScope) -> HTTPScope:
    """HEAD is GET whose body the server keeps to itself."""
    if scope["method"] != "HEAD":
        return scope
    return {**scope, "method": "GET"}


def _stamp(start: HTTPResponseStartEvent, face: Face, answer_id: str) -> None:
    headers = MutableScopeHeaders.from_message(start)
    headers["X-Request-Id"] = answer_id
    headers["X-Content-Type-Options"] = "nosniff"
    headers.setdefault("Content-Security-Policy", _ALONE)
    if face.cors is not None:
        headers["Access-Control-Allow-Origin"] = "*"
        headers["Access-Control-Expose-Headers"] = ", ".join(face.cors.read)
    if "allow" in headers:
        headers["Allow"] = _with_head(headers["allow"])


def _with_head(allowed: str) -> str:
    methods = {one.strip() for one in allowed.split(",") if one.strip()}
    return ", ".join(sorted(methods | {"HEAD"} if "GET" in methods else methods))


def _as_messages(answer: Answer) -> tuple[HTTPResponseStartEvent, bytes]:
    status, body = answer.status_code or 200, answer.content
    lines: Iterable[tuple[str, str]] = answer.headers.items()
    if status != 204:
        lines = (*lines, ("content-length", str(len(body))))
    headers = [(name.lower().encode("latin-1"), value.encode("latin-1")) for name, value in lines]
    return {"type": "http.response.start", "status": status, "headers": headers}, body
