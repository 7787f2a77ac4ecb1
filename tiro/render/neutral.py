"""How a transcript is handed on whole: JSON of the core's own form, for readers who want everything."""

from __future__ import annotations

from typing import Any

import msgspec

from tiro.model.transcript import Transcript


def json(transcript: Transcript) -> bytes:
    """UTF-8; the field names of `Transcript`. Half characters, which no UTF-8 can hold, become U+FFFD."""
    try:
        return msgspec.json.encode(transcript)
    except UnicodeEncodeError:
        return msgspec.json.encode(_whole(msgspec.to_builtins(transcript)))


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
