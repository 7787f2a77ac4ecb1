"""What befell single files while a pack was worked on: theirs for good, worth another try, or the trouble of our own rooms."""

from __future__ import annotations

import logging

from activities.faults import NEXT, UNCOUNTED, first_of, plain
from tiro.model.batch import BatchFile
from tiro.model.errors import SOURCE_GONE, TiroError, Transient, frames_of
from tiro.services.ending import Fault, public
from tiro.services.line import Line, Superseded

log = logging.getLogger("tiro.activities")


class Troubles:
    """Collects the errors of files; each is counted by itself, as those of stations are, so that no file costs another anything.

    `last` False: what has failed too often here may pass to somebody else (the next engine), instead of having failed.
    """

    def __init__(self, line: Line, job_id: str, run: int, station: str, *, last: bool = True) -> None:
        self._line = line
        self._job_id = job_id
        self._run = run
        self._station = station
        self._last = last
        self.failed: dict[int, Fault] = {}
        self.again: list[int] = []
        self.passed: list[int] = []
        self.ours: Transient | None = None

    async def add(self, index: int, raised: Exception) -> None:
        """Judge an error of this file. Raises Superseded."""
        error = first_of(raised)
        if isinstance(error, Superseded):
            raise error
        if isinstance(error, TiroError) and not error.again:
            self.failed[index] = public(Fault(error.code, _reason(error), plain(error.extras)))
            return
        code = error.code if isinstance(error, TiroError) else "internal_error"
        if not isinstance(error, TiroError):
            log.error(
                "%s, file %s of %s: %s\n%s", self._station, index, self._job_id, type(error).__name__, frames_of(error)
            )
        if code in UNCOUNTED:
            self.ours = self.ours or Transient(code, **(error.extras if isinstance(error, TiroError) else {}))
        elif code in NEXT or await self._line.is_stale(
            self._job_id, self._run, index, station=self._station, code=code
        ):
            self._give_up(index, code)
        else:
            self.again.append(index)

    def fail(self, index: int, code: str, reason: str | None = None) -> None:
        """This file has failed for good."""
        self.failed[index] = public(Fault(code, reason))

    def has(self, index: int) -> bool:
        """Whether anything befell it."""
        return index in self.failed or index in self.again or index in self.passed

    def ends(self) -> list[BatchFile]:
        """The files that have failed, as the record keeps them."""
        return [
            BatchFile(
                job_id=self._job_id,
                index=index,
                run=self._run,
                state="failed",
                error_code=fault.code,
                error_reason=fault.reason,
            )
            for index, fault in sorted(self.failed.items())
        ]

    def _give_up(self, index: int, code: str) -> None:
        if self._last:
            self.fail(index, code)
        else:
            self.passed.append(index)


def _reason(error: TiroError) -> str | None:
    """An address that says that there is nothing is told apart: the record has no room for the status."""
    if error.extras.get("upstream_status") in SOURCE_GONE:
        return "gone"
    reason = error.extras.get("reason")
    return reason if isinstance(reason, str) else None
