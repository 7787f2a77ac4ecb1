"""Where did something secret leave a trace: in which workflow, in whose log, in a row of the database, in a file in passing?"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import httpx2
import psycopg

from tests.acceptance.site import Site
from tests.servers.temporal import server_log

LOGS, ROWS, TEMPORAL, SCRATCH = "the logs", "the database", "the log of Temporal's server", "the scratch folder"
_KEPT = {"blobs", "calls.jsonl"}
"""In a site's folder: where content belongs, and what the scripted engine writes down for the tests."""


async def traces(site: Site, job_ids: Sequence[str], canaries: Sequence[str]) -> set[tuple[str, str]]:
    """(canary, place) of each that was found; places are workflow ids and those above."""
    places = {
        LOGS: site.processes.said.encode(),
        ROWS: _rows(site).encode(),
        TEMPORAL: server_log().encode(),
        SCRATCH: b"".join(str(path).encode() + path.read_bytes() for path in in_passing(site)),
    }
    for job_id in job_ids:
        await site.delivered(job_id)
        for history in await site.histories(job_id):
            shown = await site.client.get_workflow_handle(history.workflow_id).describe()
            told = b"".join(event.SerializeToString() for event in history.events)
            places[history.workflow_id] = told + shown.raw_description.SerializeToString()
    # the database writes bytes as hex
    forms = {canary: (canary.encode(), canary.encode().hex().encode()) for canary in canaries}
    return {
        (canary, place)
        for canary in canaries
        for place, told in places.items()
        if any(f in told for f in forms[canary])
    }


def in_passing(site: Site) -> list[Path]:
    """The files of a site's folder that are neither content nor a log."""
    files = [path for path in site.folder.rglob("*") if path.is_file() and path.suffix != ".log"]
    return [path for path in files if path.relative_to(site.folder).parts[0] not in _KEPT]


async def post_url(site: Site, address: str, url: str, hook: str | None = None, key: str | None = None) -> str:
    """A job over the recording behind an address, submitted over HTTP. `key`: another account's."""
    async with httpx2.AsyncClient(base_url=address, timeout=30, trust_env=False) as http:
        answer = await http.post(
            "/jobs",
            headers={"Authorization": f"Bearer {key or site.key}"},
            json={"source_url": url, "language": "en", "webhook_url": hook or site.sink.url},
        )
    assert answer.status_code == 202, answer.text
    return str(answer.json()["job_id"])


def _rows(site: Site) -> str:
    """All of the database, as text."""
    with psycopg.connect(site.environ["TIRO_DATABASE_URL"]) as connection:
        tables = connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public'").fetchall()
        found = [connection.execute(f'SELECT t::text FROM "{name}" t').fetchall() for (name,) in tables]  # type: ignore[arg-type]
    return "\n".join(row[0] for rows in found for row in rows)
