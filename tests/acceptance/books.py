"""Do the books balance? What holds of an account's minutes, whatever was killed on the way to them."""

from __future__ import annotations

from collections import defaultdict

from tests.acceptance.site import Site
from tiro.model.ledger import Entry


async def closed_books(site: Site, account_id: str) -> dict[str, int]:
    """Seconds charged per job. Each run was held once at most and closed once, each job charged once at most, and
    the month's balance is the sum of its lines: nothing is held any more.
    """
    async with site.house.records.begin() as tx:
        entries: list[Entry] = await tx.ledger.entries(account_id)
    runs: dict[tuple[str, int], list[Entry]] = defaultdict(list)
    for entry in entries:
        runs[entry.job_id, entry.run].append(entry)
    for hold, *closing in runs.values():
        assert hold.kind == "hold"
        assert [entry.kind for entry in closing] in (["capture"], ["release"])
    captures = [entry for entry in entries if entry.kind == "capture"]
    charged = {entry.job_id: entry.included_s + entry.overage_s for entry in captures}
    assert len(charged) == len(captures), "a job was charged twice"
    for month in {entry.month for entry in entries}:
        await _check_month(site, account_id, month, captures)
    for job_id, seconds in charged.items():
        assert (await site.job(job_id)).billed_s == seconds
    return charged


async def _check_month(site: Site, account_id: str, month: str, captures: list[Entry]) -> None:
    async with site.house.records.begin() as tx:
        usage = await tx.ledger.usage(account_id, month)
    lines = [entry for entry in captures if entry.month == month]
    assert (usage.held_s, usage.overage_held_s) == (0, 0)
    assert usage.used_s == sum(entry.included_s for entry in lines)
    assert usage.overage_used_s == sum(entry.overage_s for entry in lines)
    assert usage.overage_micros == sum(entry.amount_micros for entry in lines)
