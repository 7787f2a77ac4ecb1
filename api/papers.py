"""Where does it say what this server does? A document and a page for each dialect, and an index of them; no key is asked for."""

from __future__ import annotations

import functools
from collections.abc import Awaitable, Callable, Mapping, Sequence

from litestar import get
from litestar.handlers import HTTPRouteHandler

from api import openapi
from api.faces import Answer, Description, Face, file_answer, json_answer

_STYLED = {"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"}
Handler = Callable[[], Awaitable[Answer]]


def routes(dialects: Mapping[str, Face], public_url: str) -> list[HTTPRouteHandler]:
    """`/openapi/<name>.json` and `/docs/<name>`; those of the first dialect are also where one looks first."""
    described = {name: face.document for name, face in dialects.items() if face.document is not None}
    names = tuple(described)
    made = [get("/openapi")(_index(names, public_url))]
    for name, describe in described.items():
        documents, pages = [f"/openapi/{name}.json"], [f"/docs/{name}"]
        if name == names[0]:
            documents, pages = [*documents, "/openapi.json"], [*pages, "/docs"]
        made += [get(documents)(_document(describe, public_url)), get(pages)(_page(name, names, describe, public_url))]
    return made


def _index(names: Sequence[str], public_url: str) -> Handler:
    async def index() -> Answer:
        return json_answer({"documents": [{"name": one, "url": f"{public_url}/openapi/{one}.json"} for one in names]})

    return index


def _document(describe: Description, public_url: str) -> Handler:
    described = functools.cache(functools.partial(describe, public_url))

    async def document() -> Answer:
        return json_answer(described())

    return document


def _page(name: str, names: Sequence[str], describe: Description, public_url: str) -> Handler:
    drawn = functools.cache(lambda: openapi.page(describe(public_url), name, names))

    async def page() -> Answer:
        return file_answer(drawn(), "text/html; charset=utf-8", _STYLED)

    return page
