"""The child that holds a pyannote pipeline: `python -m tiro.adapters.diarizers.pipeline FD MODEL` answers requests until FD is closed.

Only this file and `trunk` import torch and pyannote. Audio comes as a file of float32 samples and goes in as a waveform, never as a path.
"""

from __future__ import annotations

import os
import re
import sys
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from tiro.adapters import checksums
from tiro.adapters.diarizers.child import serve_until_orphaned
from tiro.adapters.priority import MODEL, step_back
from tiro.model.errors import Permanent
from tiro.model.media import SAMPLE_RATE_HZ

_PIPELINE = "pyannote.audio.pipelines.SpeakerDiarization"
_GLOBAL = re.compile(r"GLOBAL ([\w.]{1,200})")
"""What torch refused to make, in its words."""


class Request(msgspec.Struct, frozen=True):
    """Raw float32 samples at 16 kHz in a file."""

    path: str


class Answer(msgspec.Struct, frozen=True):
    """Stretches (start_s, end_s, voice), or why there are none: `engine_unavailable` (no model) or `diarizer_crash`; `why` in words."""

    stretches: tuple[tuple[float, float, str], ...] = ()
    failure: str | None = None
    why: str = ""


def main() -> None:
    step_back(MODEL)
    serve(Connection(int(sys.argv[1])), lambda: load(sys.argv[2]))


def serve(connection: Connection, make: Callable[[], Any]) -> None:
    """Answer requests with the pipeline that `make` makes once, until nobody asks any more."""
    serve_until_orphaned()
    pipeline = None
    while True:
        try:
            request = msgspec.msgpack.decode(connection.recv_bytes(), type=Request)
        except EOFError:
            return
        failure = "engine_unavailable"
        try:
            pipeline = pipeline or make()
            failure = "diarizer_crash"
            answer = Answer(stretches_of(pipeline, np.memmap(request.path, np.float32, "c")))
        except Exception as error:  # noqa: BLE001 - whatever goes wrong in there, the parent is told
            traceback.print_exc()
            answer = Answer(failure=failure, why=error.message if isinstance(error, Permanent) else "")
        connection.send_bytes(msgspec.msgpack.encode(answer))


def load(model: str) -> Any:
    """The pipeline as `stock` has it, and its costly work is done once for all speakers of a window (`trunk`)."""
    pipeline = stock(model)
    from tiro.adapters.diarizers import trunk

    trunk.share(pipeline)
    return pipeline


def stock(model: str) -> Any:
    """The pipeline of a local folder (nothing is downloaded for it) or a hub name, on the GPU where there is one.

    Nothing in it runs. Raises Permanent `engine_unavailable` for files that are not the listed ones, another pipeline, and a checkpoint
    that holds more than weights.
    """
    if Path(model).is_dir():
        checksums.verify(Path(model))
    config = config_of(model)
    _weights_only()
    import torch
    from pyannote.audio import Pipeline

    try:
        pipeline = Pipeline.from_pretrained(config)
    except torch.serialization.pickle.UnpicklingError as error:
        raise _refused(str(error)) from None
    if torch.cuda.is_available():
        pipeline.to(torch.device("cuda"))
    return pipeline


def _weights_only() -> None:
    """pyannote asks torch to unpickle whatever a checkpoint holds, which can run anything. Torch is told not to, and what is harmless."""
    os.environ["TORCH_FORCE_WEIGHTS_ONLY_LOAD"] = "1"
    import torch
    from pyannote.audio.core.model import Introspection
    from pyannote.audio.core.task import Problem, Resolution, Specifications

    # the first and the last are in older checkpoints; all but hold data, and none does anything when made
    torch.serialization.add_safe_globals(
        [torch.torch_version.TorchVersion, Specifications, Problem, Resolution, Introspection]
    )


def _refused(words: str) -> Permanent:
    found = _GLOBAL.search(words)
    held = f"{found[1]}, which is neither weights nor one of pyannote's descriptions" if found else "what is no weights"
    text = f"A checkpoint of the model holds {held}. Nothing of it ran. Take the model from its publisher; docs/security.md tells more."
    return Permanent("engine_unavailable", text)


def stretches_of(pipeline: Any, samples: np.ndarray[Any, np.dtype[np.float32]]) -> tuple[tuple[float, float, str], ...]:
    """Who speaks when, without overlap."""
    import torch

    with torch.inference_mode():
        found = pipeline(
            {"waveform": torch.from_numpy(samples)[None], "sample_rate": SAMPLE_RATE_HZ, "uri": "recording"}
        )
    annotation = getattr(found, "exclusive_speaker_diarization", found)
    return tuple(
        (float(segment.start), float(segment.end), str(voice))
        for segment, _, voice in annotation.itertracks(yield_label=True)
    )


def config_of(model: str) -> dict[str, Any]:
    """The pipeline's configuration with every part named so that it is found: in the folder, or at the hub.

    A pipeline that does not use PLDA (3.1) gets an idle one; pyannote 4 would otherwise ask the hub for it.
    """
    import yaml

    folder = Path(model)
    path = folder / "config.yaml" if folder.is_dir() else folder if folder.is_file() else _from_hub(model)
    home = str(path.parent) if folder.exists() else model
    config: dict[str, Any] = yaml.safe_load(path.read_text())
    if config["pipeline"]["name"] != _PIPELINE:
        # pyannote would make whatever is named, with the given arguments: also a program
        raise Permanent("engine_unavailable", f"The model's config.yaml names another pipeline than {_PIPELINE}.")
    params = {name: _found(value, home) for name, value in config["pipeline"].get("params", {}).items()}
    if "plda" not in params and params.get("clustering", "VBxClustering") != "VBxClustering":
        params["plda"] = _idle_plda()
    pipeline = config["pipeline"] | {"params": params}
    # no version: older folders name that of pyannote.audio 3, and the lock decides; no preprocessors: they name classes to be made
    return {name: config[name] for name in ("params", "freeze") if name in config} | {"pipeline": pipeline}


def _found(value: Any, home: str) -> Any:
    """A part that lies in the folder (`$model/part`, a path inside, a hub name's last word) as a mapping: no name is guessed at."""
    if not isinstance(value, str):
        return value
    if value.startswith("$model/"):
        return {"checkpoint": home, "subfolder": value.removeprefix("$model/")}
    inside = [path for path in (Path(home) / value, Path(home) / value.rpartition("/")[2]) if path.exists()]
    return {"checkpoint": str(inside[0])} if inside else value


def _from_hub(model: str) -> Path:
    from huggingface_hub import hf_hub_download

    return Path(hf_hub_download(model, "config.yaml"))


def _idle_plda() -> Any:
    """Never asked: the clustering compares embeddings as they are."""
    from pyannote.audio.core.plda import PLDA

    return PLDA.__new__(PLDA)


if __name__ == "__main__":
    main()
