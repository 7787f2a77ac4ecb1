"""The same through a whole server: how long from the moment that a recording is accepted until its result can be read?"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from pathlib import Path

import click

from commands.batch.board import Board
from commands.batch.client import BatchClient
from commands.batch.journal import Journal
from commands.batch.manifest import entries_of
from commands.batch.plan import plan_of
from commands.batch.results import Results
from commands.batch.runner import Runner
from commands.client import JobsClient, Refusal
from commands.hearing import Heard, Tell
from commands.recordings import Recording
from commands.server import Server

_POLL_S = 0.2
_ENDED = {"completed", "failed", "cancelled"}


async def one_recording(server: Server, file: Path, tell: Tell) -> Heard:
    """A job of the jobs API, without telling voices apart. Raises ClickException with what to do."""
    client = JobsClient(server.url, server.key, local=server.local)
    try:
        job_id = await client.submit(Recording(file.name, file.stem, file, None), "auto", diarize=False)
        began, told = time.monotonic(), 0.0
        while (job := await client.job(job_id)).status not in _ENDED:
            heard = job.progress * (job.duration_seconds or 0.0)
            tell(max(0.0, heard - told))
            told = max(told, heard)
            await asyncio.sleep(_POLL_S)
        took_s = time.monotonic() - began
        if job.status != "completed":
            raise await client.failure_of(job)
        await client.transcript(job_id, "txt")
    except Refusal as refused:
        raise click.ClickException(str(refused)) from None
    finally:
        await client.close()
    return Heard(1, job.duration_seconds or 0.0, took_s, 0.0)


async def many_recordings(server: Server, files: Sequence[Path], seconds: float, scratch: Path) -> Heard:
    """A batch, from the first upload to the last transcript. `seconds`: of all of them. Raises ClickException."""
    client = BatchClient(server)
    entries, _ = entries_of(files[0].parent)
    results = scratch / "results"
    try:
        with Journal(results).held() as journal, Board(silent=True) as board:
            runner = Runner(client, journal, Results(results, ("txt",), journal), board, language=None, every_s=_POLL_S)
            began = time.monotonic()
            await runner.run(
                plan_of(entries, journal, results, ("txt",)), {entry.reference: entry for entry in entries}
            )
            took_s = time.monotonic() - began
            failed = [one for one in journal.results.values() if one.state != "completed"]
    finally:
        await client.close()
    if failed:
        raise click.ClickException(f"{len(failed)} of {len(files)} files failed in the server: {failed[0].code}.")
    return Heard(len(files), seconds, took_s, 0.0)
