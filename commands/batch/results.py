"""How does a result document become files? One per recording and format, and a line of the journal for each."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from commands.batch.documents import Item, items_of
from commands.batch.journal import Handover, Journal, Result
from commands.batch.places import place_of, write_whole

LOST = "result_missing"


class Results:
    """Those of one folder."""

    def __init__(self, folder: Path, formats: tuple[str, ...], journal: Journal) -> None:
        self._folder = folder
        self._formats = formats
        self._journal = journal

    def split(self, document: Path, handover: Handover) -> None:
        """A new one: every recording of the handover gets its end. Raises NotADocument, NotWritten."""
        for item in items_of(document):
            result = _result(handover.ask, item.fields)
            if result.reference not in handover.stamps:
                continue
            if result.state == "completed":
                self._write(item, result.reference, anew=True)
            self._journal.add(result)
        self.fail(handover, LOST, "The result does not tell of it.")

    def mend(self, document: Path, handover: Handover) -> None:
        """One that was read before: only files that are missing are written. Raises NotADocument, NotWritten."""
        for item in items_of(document):
            result = _result(handover.ask, item.fields)
            if result.state == "completed" and self._is_last(result.reference, handover):
                self._write(item, result.reference, anew=False)

    def fail(self, handover: Handover, code: str, message: str) -> None:
        """All of the handover that have no end yet."""
        for reference in handover.stamps:
            known = self._journal.results.get(reference)
            if self._is_last(reference, handover) and (known is None or known.ask != handover.ask):
                self._journal.add(Result(handover.ask, reference, "failed", code=code, message=message))

    def _is_last(self, reference: str, handover: Handover) -> bool:
        last = self._journal.handover_of(reference)
        return last is not None and last.ask == handover.ask

    def _write(self, item: Item, reference: str, *, anew: bool) -> None:
        for form in self._formats:
            file = self._folder / place_of(reference, form)
            if anew or not file.is_file():
                write_whole(file, _body(item, form))


def _result(ask: str, fields: dict[str, Any]) -> Result:
    failed = "code" in fields or "error" in fields
    return Result(
        ask,
        str(fields.get("reference_id", "")),
        "failed" if failed else "completed",
        seconds=fields.get("billed_seconds"),
        cost=fields.get("cost"),
        code=str(fields.get("code", "failed")) if failed else None,
        message=str(fields.get("error", "It failed.")) if failed else None,
    )


def _body(item: Item, form: str) -> bytes:
    if form == "json":
        return msgspec.json.format(item.text, indent=2).encode() + b"\n"
    text = str(item.fields.get("vtt" if form == "vtt" else "text", ""))
    return (text if text.endswith("\n") else f"{text}\n").encode(errors="replace")
