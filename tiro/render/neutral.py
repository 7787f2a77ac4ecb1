"""How a transcript is handed on whole: JSON of the core's own form, for readers who want everything."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from tiro.model.transcript import AnyTranscript

_SEGMENTS = b'"segments":['
"""Stands once in the JSON of a transcript: in a text its quotation marks would have backslashes before them."""


def json(transcript: AnyTranscript) -> bytes:
    """UTF-8; the field names of `Transcript`. Half characters, which no UTF-8 can hold, become U+FFFD."""
    try:
        return msgspec.json.encode(transcript)
    except UnicodeEncodeError:
        return msgspec.json.encode(_whole(msgspec.to_builtins(transcript)))


def json_pieces(head: object, segments: Iterable[object]) -> Iterator[bytes]:
    """What `msgspec.json.encode` makes of a transcript in any form, `head`, once it has these segments; one is in memory at a time."""
    before, begin, after = msgspec.json.encode(head).partition(_SEGMENTS)
    yield before + begin
    for number, segment in enumerate(segments):
        yield (b"," if number else b"") + msgspec.json.encode(segment)
    yield after


def _whole(value: Any) -> Any:
    match value:
        case str():
            return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
        case dict():
            return {key: _whole(inner) for key, inner in value.items()}
        case list() | tuple():
            return [_whole(inner) for inner in value]
        case _:
            return value
