"""Entrance of a person: the `tiro` command, put together from `commands/`."""

from __future__ import annotations

import click

from commands.accounts import accounts
from commands.audit import audit
from commands.batch.command import batch
from commands.bench.command import bench
from commands.doctor import doctor
from commands.hooks import hooks
from commands.jobs import jobs
from commands.keys import keys
from commands.migrate import migrate
from commands.serve import serve
from commands.transcribe import transcribe
from commands.up import up


@click.group(
    commands=[up, transcribe, batch, jobs, keys, accounts, hooks, audit, doctor, bench, migrate, serve],
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110},
)
@click.version_option(package_name="tiro")
def main() -> None:
    """Tiro: any recording in, a transcript out, durably.

    `tiro up` runs the service on this machine; `tiro transcribe FILE` needs nothing else.
    """


if __name__ == "__main__":
    main()
