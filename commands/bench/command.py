"""`tiro bench`: how fast is this machine, and what would make it faster?"""

from __future__ import annotations

import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import click
import msgspec

from commands.console import data_option, folder_of, json_option, run, show_json

if TYPE_CHECKING:
    from commands.bench.figures import Chosen, Report, Run
    from commands.bench.steps import Steps
    from commands.hearing import Ears
    from commands.subject import Subject
    from tiro.ports import Engine

_HOSTED = frozenset({"openai", "assemblyai"})


class Wish(msgspec.Struct, frozen=True):
    """What was asked for."""

    file: Path | None
    minutes: float
    files: int
    whole: bool | None
    again: bool
    data: Path | None
    server: str | None
    key: str | None


HELP = """Measure how fast this machine hears, and say which settings suit it.

\b
Two kinds of work, each in x real time (seconds of audio heard in a second):
  one recording   the bundled speech, repeated for --minutes, or a FILE of yours
  short files     --files recordings of 12 s, heard side by side as a batch has them

\b
Each through decoder and engine alone; and through the whole line (accepted, decoded, heard, written, result) when
a server runs on the data folder, or with --whole, which starts one. Jobs there are charged as any.

What it recommends can be pasted into tiro.toml of the data folder. The engine chooses these by itself when it starts with a model for the
first time, and keeps them; --again forgets that and chooses anew. Let the machine do nothing else meanwhile.

\b
Examples:
  tiro bench                            the model and the data folder that `tiro up` would use
  tiro bench interview.mp3 --files 0    your own recording, no short files
  tiro bench --whole                    what is left of it behind API and Temporal
  TIRO_WHISPER_MODEL=base tiro bench    another model
  tiro bench --json | jq .runs
"""


@click.command(help=HELP, short_help="Measure this machine, and say which settings suit it.")
@click.argument("file", required=False, type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="[FILE]")
@click.option(
    "--minutes", type=click.FloatRange(0.1, 60), default=3.0, show_default=True, help="Of the bundled speech."
)
@click.option(
    "--files", type=click.IntRange(0, 10_000), default=20, show_default=True, help="How many short files; 0: none."
)
@click.option("--whole/--no-whole", default=None, help="Through a server, too. [default: where one runs]")
@click.option("--again", is_flag=True, help="Let the engine choose its sizes anew.")
@click.option("--server", envvar="TIRO_SERVER", help="Address of a server for --whole. [default: this machine's]")
@click.option("--key", envvar="TIRO_KEY", help="API key for --server.")
@data_option
@json_option
def bench(
    file: Path | None,
    minutes: float,
    files: int,
    server: str | None,
    key: str | None,
    data: Path | None,
    *,
    whole: bool | None,
    again: bool,
    as_json: bool,
) -> None:
    """What HELP says."""
    wish = Wish(file, minutes, files, whole, again, data, server, key)
    report = run(_bench(wish, silent=as_json), "error")
    if as_json:
        show_json(report)
    else:
        from commands.bench.table import show

        show(report)


async def _bench(wish: Wish, *, silent: bool) -> Report:
    from commands.bench.samples import long_recording, short_recordings
    from commands.bench.steps import Steps
    from commands.subject import subject_at_scale, subject_of_folder
    from tiro.model.errors import MediaRefused

    at_scale = os.environ.get("TIRO_DATABASE_URL")
    subject = subject_at_scale(os.environ) if at_scale else subject_of_folder(folder_of(wish.data), os.environ)
    with tempfile.TemporaryDirectory(prefix="tiro-bench-") as scratch, Steps(silent=silent) as steps:
        place = Path(scratch)
        long = wish.file or long_recording(place, wish.minutes)
        (place / "short").mkdir()
        short = short_recordings(place / "short", wish.files)
        try:
            return await _measured(wish, subject, long, short, steps)
        except MediaRefused as refused:
            raise click.ClickException(f"{long.name}: {refused.reason}. Name a recording that plays.") from None


async def _measured(wish: Wish, subject: Subject, long: Path, short: list[Path], steps: Steps) -> Report:
    from commands.bench.advice import advice_on, not_measured, settings_of
    from commands.bench.figures import Host, Report
    from commands.hearing import ears
    from tiro.adapters.engines.calibration.kept import folder_for, forget
    from tiro.adapters.engines.calibration.machine import this_machine
    from tiro.adapters.engines.whisper_models import graphics_cards
    from worker import media_slots

    if wish.again:
        forget(folder_for(subject.settings.cache))
    steps.begin("Loading the model; the first time, choosing how it hears fastest")
    machine = msgspec.convert(msgspec.structs.asdict(this_machine(graphics_cards())), Host)
    async with ears(subject.settings, steps.say, refuse=_HOSTED) as loaded:
        chosen, model, slots = _chosen(loaded.engine), loaded.engine.model, loaded.slots
        runs = await _alone(loaded, long, short, steps)
    runs += await _through_line(wish, subject, long, short, steps)
    return Report(
        machine=machine,
        engine=chosen,
        model=model,
        runs=tuple(runs),
        speech_slots=slots,
        media_slots=media_slots(),
        settings=tuple(settings_of(chosen)),
        advice=tuple(
            advice_on(machine, chosen, subject.settings.whisper_model or model.removeprefix("whisper_"), runs)
        ),
        not_measured=tuple(not_measured(chosen, runs, own=wish.file is not None)),
    )


def _chosen(engine: Engine) -> Chosen | None:
    from commands.bench.figures import Chosen
    from tiro.adapters.engines.faster_whisper import FasterWhisperEngine

    if not isinstance(engine, FasterWhisperEngine):
        return None
    sizes = engine.sizes
    return Chosen(
        engine=engine.id,
        model=engine.model,
        replicas=sizes.replicas,
        batch=sizes.batch,
        context=sizes.context,
        window_s=sizes.window_s,
        measured=sizes.measured,
    )


async def _alone(loaded: Ears, long: Path, short: list[Path], steps: Steps) -> list[Run]:
    """Through decoder and engine."""
    from commands.bench.figures import run_of

    runs = [run_of("one recording", "engine", await loaded.hear(long, steps.begin("Hearing one recording")))]
    if short:
        tell = steps.begin(f"Hearing {len(short)} short files")
        runs.append(run_of("short files", "engine", await loaded.hear_each(short, tell)))
    return runs


async def _through_line(wish: Wish, subject: Subject, long: Path, short: list[Path], steps: Steps) -> list[Run]:
    """Through the server of the data folder, the one that was named, or one that is started for it."""
    from commands.bench.figures import run_of
    from commands.bench.line import many_recordings, one_recording
    from commands.bench.samples import SHORT_S
    from commands.server import server_for

    whole = wish.whole if wish.whole is not None else subject.running or wish.server is not None
    if not whole:
        return []
    if subject.folder is None and wish.server is None:
        raise click.UsageError(
            "TIRO_DATABASE_URL is set: name the server of that installation with --server and --key."
        )
    runs = []
    async with server_for(folder_of(wish.data), wish.server, wish.key, steps.say) as server:
        tell = steps.begin("One recording through the whole line")
        runs.append(run_of("one recording", "line", await one_recording(server, long, tell)))
        if short:
            steps.begin(f"{len(short)} short files through the whole line, as a batch")
            seconds = SHORT_S * len(short)
            runs.append(run_of("short files", "line", await many_recordings(server, short, seconds, long.parent)))
    return runs
