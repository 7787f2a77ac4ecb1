"""Who answers for which path: a face is a set of path prefixes, its routes, and the words of its refusals."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import msgspec
from litestar import Request, Response
from litestar.exceptions import HTTPException, MethodNotAllowedException, NotFoundException
from litestar.handlers import HTTPRouteHandler
from litestar.types import HTTPScope

from tiro.model.errors import Invalid, NotFound, Permanent, TiroError, frames_of

_LOG = logging.getLogger(__name__)

HttpRequest = Request[Any, Any, Any]
Answer = Response[bytes]
"""Bodies are made by us, so that what is sent is what was meant."""
Description = Callable[[str], dict[str, Any]]
"""Public URL -> an OpenAPI document."""


class Cors(msgspec.Struct, frozen=True):
    """What a page of any origin may send, and which headers of an answer it may read. Cookies never: nothing here knows any."""

    sent: tuple[str, ...] = ("Authorization", "Content-Type", "Idempotency-Key")
    read: tuple[str, ...] = ("X-Request-Id", "Retry-After", "Idempotent-Replayed", "Content-Disposition")


class Face(msgspec.Struct, frozen=True):
    """A dialect as the app sees it. `answer` words an error; `prefixes` are path segments (`/jobs` owns `/jobs` and `/jobs/x`)."""

    prefixes: tuple[str, ...]
    routes: tuple[HTTPRouteHandler, ...]
    answer: Callable[[TiroError], Answer]
    document: Description | None = None
    cors: Cors | None = None
    """None: browsers keep its answers from pages of other origins."""
    admits: Callable[[HTTPScope], bool] | None = None
    """For everybody else its addresses are ones that nobody owns. None: it admits everybody."""


def owner(faces: Sequence[Face], path: str) -> Face:
    """The face with the longest prefix of this path; the first face answers for what nobody owns."""
    owned = [
        (len(prefix), face)
        for face in faces
        for prefix in face.prefixes
        if path == prefix or path.startswith(f"{prefix}/")
    ]
    return max(owned, key=lambda pair: pair[0])[1] if owned else faces[0]


def as_core(error: Exception, where: str) -> TiroError:
    """What the core would call this error. Unexpected ones are logged by type and place, never by their words."""
    match error:
        case TiroError():
            return error
        case NotFoundException():
            return NotFound("not_found", "There is nothing at this address.")
        case MethodNotAllowedException():
            allowed = (error.headers or {}).get("allow", "")
            return Permanent("method_not_allowed", "This address does not answer this method.", allow=allowed)
        case HTTPException() if error.status_code < 500:
            return Invalid("invalid_request", "The request cannot be understood.")
        case _:
            _LOG.error("unexpected %s on %s\n%s", type(error).__name__, where, frames_of(error))
            return TiroError("internal_error", "Something went wrong on our side.")


def file_answer(body: bytes, media_type: str, headers: Mapping[str, str] | None = None) -> Answer:
    """Bytes under exactly this type."""
    return Response(body, status_code=200, headers={"content-type": media_type, **(headers or {})})


def json_answer(value: object, status: int = 200, headers: Mapping[str, str] | None = None) -> Answer:
    """JSON, UTF-8."""
    said = {"content-type": "application/json", **(headers or {})}
    return Response(msgspec.json.encode(value), status_code=status, headers=said)
