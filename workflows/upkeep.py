"""The sweep that a schedule starts every ten minutes."""

from __future__ import annotations

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from activities.flow import Flow
    from tiro.services.upkeep import Swept
    from workflows.stations import run_station


@workflow.defn(name="Upkeep")
class Upkeep:
    """One sweep."""

    @workflow.run
    async def run(self) -> Swept:
        """What it did."""
        return await run_station(Flow.sweep)
