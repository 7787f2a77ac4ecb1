"""What becomes of an audit that nobody asks for any more?"""

from __future__ import annotations

import asyncio
import gc
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from api.admin.audits import Running
from tests.servers.databases import SteppedClock
from tests.unit.services.desk import PLANS
from tiro.adapters.database.migrate import migrate
from tiro.adapters.database.records import open_records
from tiro.adapters.fakes import RecordedOrchestrator
from tiro.adapters.storage.memory import MemoryBlobs
from tiro.model.blob import BlobInfo
from tiro.services.audit import Audit


class Broken(MemoryBlobs):
    """A store with a fault of its own, which is not that it is away."""

    def list(self, prefix: str) -> Iterator[BlobInfo]:
        raise RuntimeError("no listing")


async def test_an_audit_that_fails_unseen_is_in_the_log_once(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """As an audit, and not as a task whose error nobody looked at."""
    clock, url = SteppedClock(), f"sqlite:///{tmp_path / 'tiro.db'}"
    await asyncio.to_thread(migrate, url)
    unheard: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: unheard.append(context))
    records = open_records(url, clock)
    running = Running(Audit(records, Broken(clock), RecordedOrchestrator(), clock, PLANS), 1)
    with caplog.at_level(logging.ERROR, "tiro.admin"):
        await asyncio.wait([running.task])
        await asyncio.sleep(0)
    del running
    gc.collect()
    await records.close()
    assert unheard == []
    said = [record.name for record in caplog.records if record.levelno >= logging.ERROR]
    assert said == ["tiro.admin"], "what others say below an error depends on who has set up the log of this process"
