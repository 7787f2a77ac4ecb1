"""The OpenAPI document of a dialect, put together from its own table of operations, and a page to read it on without scripts."""

from __future__ import annotations

import html
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from api import once

_REF = "#/components/schemas/{name}"
Kind = type | tuple[type, ...] | None
"""What an answer holds: a struct, a bare text or list, one of several, or nothing (of a refusal: a problem)."""
TEXT = {"type": "string"}
BYTES = {**TEXT, "contentMediaType": "application/octet-stream"}
"""A file in a form."""
JOB_ID = {"name": "job_id", "in": "path", "required": True, "schema": TEXT}
ONCE = {"name": once.HEADER, "in": "header", "schema": {**TEXT, "minLength": 1, "maxLength": once.LONGEST}}
_PLAIN: dict[Any, dict[str, str]] = {str: TEXT, list: {"type": "array"}}


class Operation(msgspec.Struct, frozen=True, kw_only=True):
    """One method of one path. `answers`: status -> what comes; `files`: other media types of 200."""

    method: str
    path: str
    summary: str
    answers: Mapping[int, Kind]
    files: Sequence[str] = ()
    bodies: Mapping[str, Any] = {}
    """Media type -> struct or a ready schema."""
    parameters: Sequence[Mapping[str, Any]] = ()
    open: bool = False
    """No key is asked for."""
    example: str = ""


def document(
    title: str, about: str, public_url: str, operations: Sequence[Operation], errors: type, codes: Mapping[int, str]
) -> dict[str, Any]:
    """OpenAPI 3.1. `codes`: status -> the error codes that come with it."""
    structs = {errors}
    for one in operations:
        kinds = {each for kind in (*one.answers.values(), *one.bodies.values()) for each in _each(kind)}
        structs |= {kind for kind in kinds if issubclass(kind, msgspec.Struct)}
    _, schemas = msgspec.json.schema_components(sorted(structs, key=lambda kind: kind.__name__), ref_template=_REF)
    paths: dict[str, dict[str, Any]] = {}
    for one in operations:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one, errors, codes)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": "1", "description": about},
        "servers": [{"url": public_url}],
        "security": [{"bearer": []}],
        "paths": paths,
        "components": {
            "schemas": schemas,
            "securitySchemes": {"bearer": {"type": "http", "scheme": "bearer"}},
        },
    }


def codes_of(faults: Iterable[tuple[int, str]]) -> dict[int, str]:
    """Status -> all codes that come with it, of (status, code)."""
    by_status: defaultdict[int, list[str]] = defaultdict(list)
    for status, code in faults:
        by_status[status].append(code)
    return {status: ", ".join(dict.fromkeys(names)) for status, names in by_status.items()}


def page(described: Mapping[str, Any], name: str, names: Sequence[str]) -> bytes:
    """The document as one HTML page of its own: no scripts, nothing from elsewhere. `names`: all that this server has a document of."""
    info = described["info"]
    parts = [
        "<!doctype html><html lang=en><meta charset=utf-8><meta name=viewport content='width=device-width'>",
        f"<title>{html.escape(info['title'])}</title><style>{_STYLE}</style>",
        f"<h1>{html.escape(info['title'])}</h1><p>{html.escape(info['description'])}</p>",
        f"<p>As a document: <a href=/openapi/{name}.json>{name}.json</a></p>",
        *(f"<p>Also here: <a href=/docs/{other}>{other}</a></p>" for other in names if other != name),
    ]
    for path, methods in described["paths"].items():
        parts += (_section(path, method, said) for method, said in methods.items())
    return "".join(parts).encode()


_STYLE = (
    "body{font:16px/1.5 system-ui,sans-serif;max-width:50rem;margin:2rem auto;padding:0 1rem;color:#222;background:#fff}"
    "pre{background:#f4f4f4;padding:.8rem;overflow:auto}h2{font:600 1rem ui-monospace,monospace;margin-top:2.5rem}"
    "@media(prefers-color-scheme:dark){body{color:#ddd;background:#181818}pre{background:#262626}a{color:#8bf}}"
)


def _section(path: str, method: str, said: Mapping[str, Any]) -> str:
    answers = "".join(f"<li>{status}: {html.escape(one['description'])}" for status, one in said["responses"].items())
    example = f"<pre>{html.escape(said['x-example'])}</pre>" if said.get("x-example") else ""
    heading = html.escape(f"{method.upper()} {path}")
    return f"<h2>{heading}</h2><p>{html.escape(said['summary'])}</p>{example}<ul>{answers}</ul>"


def _operation(one: Operation, errors: type, codes: Mapping[int, str]) -> dict[str, Any]:
    said: dict[str, Any] = {"summary": one.summary, "responses": {}}
    for status, kind in one.answers.items():
        said["responses"][str(status)] = _response(status, kind, errors, codes)
    for media in one.files:
        said["responses"]["200"]["content"][media] = {}
    if one.parameters:
        said["parameters"] = list(one.parameters)
    if one.bodies:
        content = {media: {"schema": _schema(kind)} for media, kind in one.bodies.items()}
        said["requestBody"] = {"required": True, "content": content}
    if one.open:
        said["security"] = []
    if one.example:
        said["x-example"] = one.example
    return said


def _each(kind: Any) -> tuple[type, ...]:
    """The types of an answer; a schema that is ready names none."""
    if isinstance(kind, tuple):
        return kind
    return (kind,) if isinstance(kind, type) else ()


def _response(status: int, kind: Kind, errors: type, codes: Mapping[int, str]) -> dict[str, Any]:
    if status >= 400:
        return {"description": codes[status], "content": {"application/json": {"schema": _schema(errors)}}}
    if kind is None:
        return {"description": "Nothing more to say."}
    summary = " Or: ".join((one.__doc__ or one.__name__).partition("\n")[0] for one in _each(kind) if one not in _PLAIN)
    return {"description": summary, "content": {"application/json": {"schema": _schema(kind)}}}


def _schema(kind: Any) -> Any:
    if isinstance(kind, tuple):
        return {"anyOf": [_schema(one) for one in kind]}
    if not isinstance(kind, type):
        return kind
    return _PLAIN.get(kind, {"$ref": _REF.format(name=kind.__name__)})
