"""Where did something secret leave a trace: in which history, in a log, in a row of the database?"""

from __future__ import annotations

from collections.abc import Sequence

import httpx2
import psycopg

from tests.acceptance.site import Site

LOGS, ROWS = "the logs", "the database"


async def traces(site: Site, job_ids: Sequence[str], canaries: Sequence[str]) -> set[tuple[str, str]]:
    """(canary, place) of each that was found; places are workflow ids, LOGS and ROWS."""
    found = {(canary, LOGS) for canary in canaries if canary in site.processes.said}
    rows = _rows(site)
    found |= {(canary, ROWS) for canary in canaries if canary in rows}
    for job_id in job_ids:
        await site.delivered(job_id)
        for history in await site.histories(job_id):
            told = b"".join(event.SerializeToString() for event in history.events)
            found |= {(canary, history.workflow_id) for canary in canaries if canary.encode() in told}
    return found


async def post_url(site: Site, address: str, url: str, hook: str | None = None) -> str:
    """A job over the recording behind an address, submitted over HTTP."""
    async with httpx2.AsyncClient(base_url=address, timeout=30, trust_env=False) as http:
        answer = await http.post(
            "/jobs",
            headers={"Authorization": f"Bearer {site.key}"},
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
