"""The files of batches in the database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from tiro.model.batch import BatchFile, Tally


class Batches(Protocol):
    """What became of each file. A file gets each of its states once: what is reported again changes nothing."""

    async def prepare(self, job_id: str, run: int, seconds: Mapping[int, int]) -> Tally:
        """These files (index -> billable seconds) can be heard. Of those that have a row, only what is still to be heard, and is longer
        now than it was, changes.
        """
        ...

    async def settle(self, files: Sequence[BatchFile]) -> Tally:
        """These files of one run have an end: nothing or `prepared` becomes `completed` or `failed`. The job's row counts them.

        The job must be under way in this run, else nothing changes.
        """
        ...

    async def tally(self, job_id: str, run: int) -> Tally: ...
    async def files(self, job_id: str, first: int = 0, count: int = 1_000_000) -> list[BatchFile]:
        """Rows of these indexes, in order."""
        ...

    async def begin_again(self, job_id: str, run: int, *, unpaid: bool) -> None:
        """Before this next run: rows that are not `completed` go. `unpaid`: those that the run before it completed count for this one."""
        ...
