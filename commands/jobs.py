"""`tiro jobs`: what an operator sees of jobs and does with them."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, get_args

import click

from commands.console import as_text, data_option, json_option, reaching, say, show_json, show_one, show_rows
from tiro.model.errors import TiroError
from tiro.model.job import JobState

if TYPE_CHECKING:
    from api.admin.wire import JobRow
    from commands.reach import Reach

_COLUMNS = {
    "job_id": "JOB",
    "state": "STATE",
    "standing": "STAGE",
    "parts_done": "DONE",
    "parts_total": "OF",
    "files_failed": "FAILED",
    "decoded_s": "AUDIO S",
    "engine": "ENGINE",
    "run": "RUN",
    "paused": "PAUSED",
    "error_code": "ERROR",
    "created_at": "CREATED",
}
job_arguments = click.argument("job_ids", nargs=-1, required=True, metavar="JOB...")


@click.group()
def jobs() -> None:
    """Look at jobs and steer them, whoever submitted them."""


@jobs.command("list")
@click.option("--status", type=click.Choice(get_args(JobState)), help="Only those in this state.")
@click.option("--account", help="Only those of this account.")
@click.option("--reference", metavar="ID", help="Only those that their owner calls so.")
@click.option("--limit", type=click.IntRange(1, 1000), default=50, show_default=True, help="At most so many.")
@data_option
@json_option
def list_jobs(data: Path | None, *, as_json: bool, **wishes: str | int | None) -> None:
    """Jobs, newest change first.

    DONE, OF: spans; of a batch its files, with those of them that FAILED. Stage `uploading`: the client still brings the bytes.
    """

    async def work(there: Reach) -> list[JobRow]:
        from api.admin.wire import JobRows

        return (await there.get("/jobs", JobRows, **wishes)).jobs

    show_rows(reaching(data, work), _COLUMNS, as_json=as_json)


@jobs.command()
@click.argument("job_id", metavar="JOB")
@data_option
@json_option
def show(job_id: str, data: Path | None, *, as_json: bool) -> None:
    """One job: where it stands, what its workflow says, how its webhooks fare."""
    from api.admin.wire import JobDetails

    details = reaching(data, lambda there: there.get(f"/jobs/{job_id}", JobDetails))
    if as_json:
        show_json(details)
        return
    show_one(details.job, as_json=False)
    if details.live:
        click.echo(f"workflow: {as_text(details.live)}")
    for delivery in details.deliveries:
        tries = ", ".join(as_text(one.status or one.error) for one in delivery.attempts) or "none yet"
        soon = f"; next {as_text(delivery.next_attempt_at)}" if delivery.next_attempt_at else ""
        click.echo(
            f"webhook {delivery.event_id} ({delivery.event} to {delivery.host}): {delivery.state}; tries: {tries}{soon}"
        )


@jobs.command()
@job_arguments
@data_option
@json_option
def cancel(job_ids: tuple[str, ...], data: Path | None, *, as_json: bool) -> None:
    """Stop jobs. What they left is removed; of a batch, files that are done are charged."""
    _each(data, job_ids, "cancel", as_json=as_json)


@jobs.command()
@job_arguments
@data_option
@json_option
def retry(job_ids: tuple[str, ...], data: Path | None, *, as_json: bool) -> None:
    """Run failed jobs again; spans that are done are not done again. Of a batch: the files that failed, and no others."""
    _each(data, job_ids, "retry", as_json=as_json)


@jobs.command()
@job_arguments
@data_option
@json_option
def pause(job_ids: tuple[str, ...], data: Path | None, *, as_json: bool) -> None:
    """Begin no further spans, or files of a batch; those under way are finished."""
    _each(data, job_ids, "pause", as_json=as_json)


@jobs.command()
@job_arguments
@data_option
@json_option
def resume(job_ids: tuple[str, ...], data: Path | None, *, as_json: bool) -> None:
    """Go on after pause."""
    _each(data, job_ids, "resume", as_json=as_json)


@jobs.command()
@job_arguments
@click.option("--priority", type=click.IntRange(1, 5), required=True, help="1 goes first, 5 last; jobs begin with 3.")
@data_option
@json_option
def reprioritize(job_ids: tuple[str, ...], priority: int, data: Path | None, *, as_json: bool) -> None:
    """Move jobs before or behind others, for the spans that are not scheduled yet."""
    _each(data, job_ids, "reprioritize", priority, as_json=as_json)


@jobs.command()
@click.argument("event_id", metavar="EVENT")
@data_option
@json_option
def redeliver(event_id: str, data: Path | None, *, as_json: bool) -> None:
    """Send a webhook event once more, now: the same id and body."""
    from api.admin.wire import Replayed

    show_one(reaching(data, lambda there: there.post(f"/hooks/{event_id}/replay", Replayed)), as_json=as_json)


def _each(
    data: Path | None, job_ids: tuple[str, ...], verb: str, priority: int | None = None, *, as_json: bool
) -> None:
    """The same for all of them; one that refuses does not keep the others from it."""

    async def work(there: Reach) -> tuple[list[JobRow], int]:
        from api.admin.wire import JobRow, Priority

        rows: list[JobRow] = []
        for job_id in job_ids:
            try:
                wish = None if priority is None else Priority(priority)
                rows.append(await there.post(f"/jobs/{job_id}/{verb}", JobRow, wish))
            except TiroError as error:
                say(f"{job_id}: {error.message}")
        return rows, len(job_ids) - len(rows)

    rows, refused = reaching(data, work)
    if rows or as_json:
        show_rows(rows, _COLUMNS, as_json=as_json)
    if refused:
        raise SystemExit(1)
