"""How is a result document read that is larger than memory? Recording by recording, as it lies on the disk."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple, TextIO

_CHARS = 1 << 16
_MOST_CHARS = 1 << 28
"""One recording's transcript is never so long."""
_RESULTS = re.compile(r'"results"\s*:\s*\[')
_BETWEEN = re.compile(r"[\s,]*")


class NotADocument(Exception):
    """It is cut off, or something else."""


class Item(NamedTuple):
    """One recording, and how it stood there."""

    fields: dict[str, Any]
    text: str


def items_of(file: Path) -> Iterator[Item]:
    """The entries of `results`, in their order; a document without them is that of one recording. Raises NotADocument."""
    with file.open(encoding="utf-8") as text:
        try:
            yield from _Reader(text).items()
        except (UnicodeDecodeError, json.JSONDecodeError, RecursionError):
            raise NotADocument("it is not JSON") from None


class _Reader:
    """Holds one item, and a little of the next."""

    def __init__(self, text: TextIO) -> None:
        self._text = text
        self._held = ""
        self._decoder = json.JSONDecoder()

    def items(self) -> Iterator[Item]:
        began = self._begin()
        if began is None:
            yield self._item(0)[0]
            return
        self._held = self._held[began:]
        while (item := self._next()) is not None:
            yield item

    def _begin(self) -> int | None:
        """Behind the bracket; None when there is none."""
        while (found := _RESULTS.search(self._held)) is None:
            if not self._more(_CHARS):
                return None
        return found.end()

    def _next(self) -> Item | None:
        """None: the list has ended."""
        wanted = _CHARS
        while True:
            at = self._start()
            if at is not None and self._held[at] == "]":
                return None
            if at is not None:
                try:
                    item, end = self._item(at)
                except json.JSONDecodeError:
                    pass
                else:
                    self._held = self._held[end:]
                    return item
            if not self._more(wanted):
                raise NotADocument("it ends too early")
            # twice as much each time: a long item is looked at a few times, not hundreds
            wanted *= 2

    def _start(self) -> int | None:
        found = _BETWEEN.match(self._held)
        at = found.end() if found else 0
        return at if at < len(self._held) else None

    def _item(self, at: int) -> tuple[Item, int]:
        value, end = self._decoder.raw_decode(self._held, at)
        if not isinstance(value, dict):
            raise NotADocument("there is something else than recordings in it")
        return Item(value, self._held[at:end]), end

    def _more(self, chars: int) -> bool:
        if len(self._held) > _MOST_CHARS:
            raise NotADocument("one recording of it is too long")
        more = self._text.read(chars)
        self._held += more
        return bool(more)
