"""What is asked when everything is compared with everything, and what is told: names and numbers, never content."""

from __future__ import annotations

from datetime import datetime

import msgspec

from tiro.model.job import ENDED, JobState


class Finding(msgspec.Struct, frozen=True):
    """Something that does not agree: `there` is what was seen of the subject, `should` what would agree with the rest."""

    kind: str
    subject: str
    there: str
    should: str


class Difference(msgspec.Struct, frozen=True):
    """A number of the records that is not what other rows of them add up to."""

    subject: str
    what: str
    there: int
    should: int


class JobLine(msgspec.Struct, frozen=True, kw_only=True):
    """As much of a job as is compared. `swept_at`: when, after its tombstone, it was last found empty."""

    job_id: str
    run: int
    state: JobState
    admitted: bool
    changed_at: datetime
    ended_at: datetime | None
    source_deleted_at: datetime | None
    deleted_at: datetime | None
    swept_at: datetime | None
    expires_at: datetime | None
    files_total: int | None
    batch_id: str | None

    @property
    def ended(self) -> bool:
        """Whether nothing more happens to this run."""
        return self.state in ENDED


class Audited(msgspec.Struct, frozen=True):
    """`compared`: how many of what. `unchecked`: what could not be asked, and why. `notes`: worth knowing, and not wrong."""

    findings: tuple[Finding, ...]
    compared: dict[str, int]
    unchecked: dict[str, str] = {}
    notes: tuple[str, ...] = ()
