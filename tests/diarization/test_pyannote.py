"""pyannote runs from a local folder in a child of its own, asks no hub, and gives turns as the port promises them."""

from __future__ import annotations

import importlib.util
import os
import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tests.diarization.noise import DURATION_S, SPANS
from tests.diarization.random_pipeline import COMMUNITY_1, VERSION_3_1, write_pipeline
from tiro.adapters.diarizers.pyannote import Pyannote
from tiro.adapters.diarizers.registry import resolve_diarizer
from tiro.model.errors import Permanent, Transient
from tiro.model.media import SAMPLE_RATE_HZ
from tiro.settings import Settings

pytestmark = [
    pytest.mark.diarization,
    pytest.mark.timeout(900),
    pytest.mark.xdist_group("pyannote"),
    # other people's warnings: what is tested is that it runs
    pytest.mark.filterwarnings("ignore"),
]


@pytest.fixture(scope="module", autouse=True)
def installed() -> None:
    """These tests are chosen by hand: without the library they fail and say so."""
    assert importlib.util.find_spec("torch"), "run `make test-diarization`: it installs torch and pyannote.audio"


@pytest.fixture(scope="module", params=[COMMUNITY_1, VERSION_3_1], ids=["community-1", "3.1"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pipeline(tmp_path_factory.mktemp("pipeline"), request.param)


@pytest.fixture
def offline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.delenv("HF_TOKEN", raising=False)


@pytest.fixture
def pyannote(folder: Path, tmp_path: Path, offline: None) -> Iterator[Pyannote]:
    diarizer = Pyannote(str(folder), tmp_path)
    yield diarizer
    diarizer.close()


def test_a_local_folder_gives_exclusive_turns_without_a_hub(pyannote: Pyannote, tmp_path: Path) -> None:
    found = pyannote.diarize(SPANS, threading.Event())
    assert found.diarizer == "pyannote"
    assert found.turns
    assert all(before.end_s <= after.start_s for before, after in pairwise(found.turns))
    assert all(0 <= turn.start_s < turn.end_s <= DURATION_S for turn in found.turns)
    assert list(dict.fromkeys(turn.speaker for turn in found.turns)) == list(range(found.speakers))
    assert not list(tmp_path.iterdir()), "the audio does not stay behind"


def test_the_waveform_goes_in_whole_and_never_as_a_path(folder: Path, offline: None) -> None:
    from tiro.adapters.diarizers.pipeline import load, stretches_of

    seen = []
    pipeline = load(str(folder))

    def listening(file: dict) -> object:
        seen.append({name: getattr(value, "shape", value) for name, value in file.items()})
        return pipeline(file)

    stretches_of(listening, np.concatenate([span.samples() for span in SPANS]))
    assert seen == [{"waveform": (1, DURATION_S * SAMPLE_RATE_HZ), "sample_rate": SAMPLE_RATE_HZ, "uri": "recording"}]


def test_stop_kills_the_child(pyannote: Pyannote) -> None:
    stop = threading.Event()
    threading.Timer(2.0, stop.set).start()
    began = time.monotonic()
    with pytest.raises(Transient) as stopped:
        pyannote.diarize(SPANS, stop)
    assert stopped.value.code == "stopped"
    assert time.monotonic() - began < 4
    assert pyannote.pid is None


def test_a_folder_without_a_pipeline_says_the_way_out(tmp_path: Path, offline: None) -> None:
    diarizer = Pyannote(str(tmp_path), tmp_path)
    try:
        with pytest.raises(Permanent) as refused:
            diarizer.diarize(SPANS, threading.Event())
    finally:
        diarizer.close()
    assert refused.value.code == "engine_unavailable"
    assert "TIRO_PYANNOTE_MODEL" in refused.value.message


def test_a_server_with_the_folder_uses_pyannote(folder: Path, tmp_path: Path) -> None:
    settings = Settings(database_url="", blobs_url="", secret_key="", pyannote_model=str(folder), scratch=str(tmp_path))
    diarizer, warnings = resolve_diarizer(settings)
    assert (diarizer.id, warnings) == ("pyannote", ())


def test_telemetry_is_off_in_the_child(pyannote: Pyannote) -> None:
    pyannote.diarize(SPANS[:1], threading.Event())
    environ = Path(f"/proc/{pyannote.pid}/environ").read_bytes().split(b"\0")
    assert b"PYANNOTE_METRICS_ENABLED=0" in environ
    assert not any(name.startswith(b"TIRO_") for name in environ)
    assert os.getpid() != pyannote.pid
