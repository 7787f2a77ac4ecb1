"""What do voices cost? `.venv-diarization/bin/python -m bench.pyannote_cost [--seconds 600] [--rounds 5]` prints ours to stock pyannote.

Both have the same pipeline, each in its own process, loaded and warm, and hear the same talk of four of flite's voices; their turns
must be the same. Without `--model FOLDER` the weights are random but for their last layers, which were fitted to the talk: sizes, batches
and steps are those of speaker-diarization-community-1. `--beside` prints another figure: the same and Whisper at the same time, a core
each, to the longer of the two alone. `--peak 600 3600` prints what memory recordings of so many seconds take.
"""

from __future__ import annotations

import argparse
import asyncio
import importlib.util
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import msgspec
import numpy as np

from bench.turns import Cost, by_turns, costing, medians, report
from tests.diarization.random_pipeline import teach, write_pipeline
from tests.diarization.talk import talk
from tiro.adapters.diarizers.child import Child, environment
from tiro.adapters.diarizers.pipeline import Answer, Request
from tiro.model.media import SAMPLE_RATE_HZ

TARGET, TARGET_BESIDE = 0.40, 1.10
OURS, STOCK = "tiro.adapters.diarizers.pipeline", "bench.stock_pyannote"
ENVIRON = {"PYANNOTE_METRICS_ENABLED": "0", "HF_HUB_OFFLINE": "1"}
# what tiro.adapters.diarizers.pyannote adds for its own child
ENVIRON_OURS = ENVIRON | {"OMP_WAIT_POLICY": "PASSIVE"}
WHISPER = Path(__file__).parents[1] / "tests" / "data" / "whisper-words"
TAUGHT_S = 60.0
WARM_S = 12
CONFIG = """
pipeline:
  name: pyannote.audio.pipelines.SpeakerDiarization
  params:
    clustering: VBxClustering
    segmentation: $model/segmentation
    segmentation_batch_size: 32
    embedding: $model/embedding
    embedding_batch_size: 32
    embedding_exclude_overlap: true
    plda: $model/plda
params:
  clustering: {threshold: 0.6, Fa: 0.07, Fb: 0.8}
  segmentation: {min_duration_off: 0.0}
"""


def spoken(seconds: float) -> np.ndarray:
    """A talk with a pause of half a minute in every five."""
    return talk(seconds, silences=tuple((at_s, at_s + 30.0) for at_s in np.arange(120.0, seconds, 300.0)))[0]


def pipeline_in(folder: Path) -> Path:
    """Of random weights, taught."""
    print("fitting the last layers of random weights ...", flush=True)
    made = write_pipeline(folder / "model", CONFIG, layers=4)
    teach(made, *talk(TAUGHT_S, silences=((15.0, 31.0),)))
    return made


class Voices:
    """A loaded pipeline in its child."""

    def __init__(self, module: str, model: Path, environ: dict[str, str]) -> None:
        self._child = Child(module, [str(model)], environment(environ))

    def cost(self, path: Path) -> Cost:
        """Of the turns in these samples. Loads the pipeline where it is not."""
        with costing(self._child.pid or 0) as cost:
            raw = self._child.ask(msgspec.msgpack.encode(Request(str(path))), threading.Event(), 86_400)
        answer = msgspec.msgpack.decode(raw, type=Answer)
        if answer.failure:
            raise SystemExit(f"{answer.failure}: {answer.why}")
        cost.words = [f"{start_s:.3f} {end_s:.3f} {voice}" for start_s, end_s, voice in answer.stretches]
        return cost

    def close(self) -> None:
        self._child.close()


@contextmanager
def voices(module: str, model: Path, warm: Path, environ: dict[str, str]) -> Iterator[Voices]:
    made = Voices(module, model, environ)
    try:
        made.cost(warm)
        yield made
    finally:
        made.close()


def written(folder: Path, seconds: float) -> Path:
    path = folder / f"talk-{seconds:.0f}.f32"
    spoken(seconds).tofile(path)
    return path


def cost_to_stock(model: Path, folder: Path, seconds: float, rounds: int) -> int:
    """The figure: wall time, and the same turns."""
    path, warm = written(folder, seconds), written(folder, WARM_S)
    with voices(OURS, model, warm, ENVIRON_OURS) as ours, voices(STOCK, model, warm, ENVIRON) as stock:
        found = by_turns(lambda: ours.cost(path), lambda: stock.cost(path), rounds)
    turns = found.ours[0].words
    same = all(list(cost.words) == list(turns) for cost in (*found.ours, *found.peer))
    said = f"{len(turns)} turns of {len({turn.split()[-1] for turn in turns})} voices, {'the same' if same else 'NOT the same'}"
    cpu = [a.cpu_s / b.cpu_s for a, b in zip(found.ours, found.peer, strict=True)]
    kept = same and found.ratio <= TARGET
    return report(
        "pyannote_cost", f"diarization of {seconds:.0f} s / stock pyannote", found.ratios, f"<= {TARGET:.2f}", kept, said,
        f"ours {medians(found.ours)}; stock {medians(found.peer)}; CPU seconds {min(cpu):.2f} to {max(cpu):.2f}",
    )  # fmt: skip


@contextmanager
def whisper(samples: np.ndarray) -> Iterator[Callable[[int], float]]:
    """Hears the talk so many times, by one replica; seconds."""
    from tiro.adapters.engines.calibration.sizes import Wishes
    from tiro.adapters.engines.faster_whisper import FasterWhisperEngine
    from tiro.model.speech import EngineOptions
    from tiro.ports import Urgency

    windows = [samples[at : at + 28 * SAMPLE_RATE_HZ] for at in range(0, len(samples), 28 * SAMPLE_RATE_HZ)]
    wishes = Wishes(replicas=1, batch=1, window_s=28.0, context="full")
    with asyncio.Runner() as runner:
        engine = FasterWhisperEngine(str(WHISPER), wishes=wishes)
        runner.run(engine.start())

        def hear(times: int) -> float:
            began = time.perf_counter()
            for _ in range(times):
                runner.run(engine.transcribe(windows, EngineOptions(language="en"), Urgency("bench")))
            return time.perf_counter() - began

        try:
            hear(1)
            yield hear
        finally:
            runner.run(engine.stop())


def cost_beside(model: Path, folder: Path, seconds: float, rounds: int) -> int:
    """Voices on one thread and Whisper on another: both alone, then at once."""
    path, warm = written(folder, seconds), written(folder, WARM_S)
    one_thread = ENVIRON_OURS | {"OMP_NUM_THREADS": "1"}
    ratios, notes = [], []
    with voices(OURS, model, warm, one_thread) as ours, whisper(spoken(seconds)) as hear:
        times = max(1, round(ours.cost(path).wall_s / hear(1)))
        for _ in range(rounds):
            alone_s, heard_s = ours.cost(path).wall_s, hear(times)
            began = time.perf_counter()
            aside = threading.Thread(target=ours.cost, args=(path,))
            aside.start()
            hear(times)
            aside.join()
            both_s = time.perf_counter() - began
            ratios.append(both_s / max(alone_s, heard_s))
            notes.append(f"voices {alone_s:.1f} s, Whisper ({times} x) {heard_s:.1f} s, both {both_s:.1f} s")
    kept = float(np.median(ratios)) <= TARGET_BESIDE
    what = f"voices of {seconds:.0f} s and Whisper at once / the longer alone"
    return report("pyannote_cost/beside", what, ratios, f"<= {TARGET_BESIDE:.2f}", kept, *notes)


def peaks(model: Path, folder: Path, durations_s: Sequence[float]) -> int:
    """Memory of ours, mostly silence: ten seconds of talk in every five minutes."""
    with voices(OURS, model, written(folder, WARM_S), ENVIRON_OURS) as ours:
        for seconds in durations_s:
            samples = np.zeros(round(seconds * SAMPLE_RATE_HZ), np.float32)
            said = spoken(10.0)
            for at in range(0, len(samples) - len(said) + 1, 300 * SAMPLE_RATE_HZ):
                samples[at : at + len(said)] = said
            path = folder / "long.f32"
            samples.tofile(path)
            print(f"{seconds:.0f} s of recording: {medians([ours.cost(path)])}", flush=True)
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--model", type=Path, help="a folder with a pipeline, in place of random weights")
    parser.add_argument("--beside", action="store_true", help="with Whisper at the same time")
    parser.add_argument("--peak", type=float, nargs="+", metavar="SECONDS", help="only the memory of such recordings")
    chosen = parser.parse_args()
    if any(importlib.util.find_spec(package) is None for package in ("torch", "pyannote.audio")):
        print(
            "This needs torch and pyannote.audio: `make test-diarization ARGS=--collect-only` makes their environment,"
        )
        print("and `.venv-diarization/bin/python -m bench.pyannote_cost` runs it there.")
        return 2
    with tempfile.TemporaryDirectory() as place:
        model = chosen.model or pipeline_in(Path(place))
        if chosen.peak:
            return peaks(model, Path(place), chosen.peak)
        figure = cost_beside if chosen.beside else cost_to_stock
        return figure(model, Path(place), chosen.seconds, chosen.rounds)


if __name__ == "__main__":
    sys.exit(main())
