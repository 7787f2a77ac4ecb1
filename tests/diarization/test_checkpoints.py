"""A checkpoint that holds more than weights is refused by name, and nothing in it runs."""

from __future__ import annotations

import collections
import os
import re
import shutil
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from tests.diarization.noise import SPANS
from tests.diarization.random_pipeline import COMMUNITY_1, write_pipeline
from tiro.adapters.diarizers.pyannote import Pyannote
from tiro.model.errors import Permanent

pytestmark = [
    pytest.mark.diarization,
    pytest.mark.timeout(900),
    pytest.mark.xdist_group("pyannote"),
    # other people's warnings: what is tested is what is refused
    pytest.mark.filterwarnings("ignore"),
]
ROOT = Path(__file__).parents[2]
CHECKPOINT = "segmentation/pytorch_model.bin"


class Bait:
    """Unpickled, it calls `function`."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self._call = (function, arguments)

    def __reduce__(self) -> Any:
        return self._call


@pytest.fixture(autouse=True)
def let(monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch does as it is told in here, also after a test that loaded a pipeline in this process."""
    monkeypatch.delenv("TORCH_FORCE_WEIGHTS_ONLY_LOAD", raising=False)


@pytest.fixture(scope="module")
def sound(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_pipeline(tmp_path_factory.mktemp("pipeline"), COMMUNITY_1)


@pytest.fixture
def folder(sound: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(sound, tmp_path / "model"))


def add(folder: Path, held: Any) -> None:
    """To what lies in the checkpoint."""
    import torch

    checkpoint = torch.load(folder / CHECKPOINT, weights_only=False)
    torch.save(checkpoint | {"callbacks": held}, folder / CHECKPOINT)


def refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    diarizer = Pyannote(str(folder), folder)
    try:
        with pytest.raises(Permanent) as told:
            diarizer.diarize(SPANS[:1], threading.Event())
    finally:
        diarizer.close()
    assert told.value.code == "engine_unavailable"
    return told.value.message


@pytest.mark.parametrize(
    ("function", "arguments", "named"),
    [(os.system, ["touch {canary}"], "posix.system"), (shutil.copyfile, [__file__, "{canary}"], "shutil.copyfile")],
)
def test_what_a_checkpoint_would_run_is_named_and_not_run(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: Any, arguments: list[str], named: str
) -> None:
    import torch

    canary = tmp_path / "canary"
    add(folder, Bait(function, *(argument.format(canary=canary) for argument in arguments)))
    torch.load(folder / CHECKPOINT, weights_only=False)
    assert canary.exists(), "the bait bites where torch is let"
    canary.unlink()
    message = refused(folder, monkeypatch)
    assert f"holds {named}," in message
    assert "Nothing of it ran" in message
    assert not canary.exists()


def test_a_file_that_is_no_checkpoint_is_refused(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / CHECKPOINT).write_text("<!DOCTYPE html>")
    assert "holds what is no weights" in refused(folder, monkeypatch)


def test_a_checkpoint_with_more_in_it_loads_when_it_was_rewritten_as_documented(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tiro.adapters.diarizers.pipeline import load

    add(folder, collections.deque([1]))
    assert "holds collections.deque," in refused(folder, monkeypatch)
    documented = re.search(r'python -c "(import torch;.+?)" IN OUT', (ROOT / "docs/security.md").read_text(), re.DOTALL)
    assert documented
    path = folder / CHECKPOINT
    subprocess.run(
        [sys.executable, "-c", documented[1].replace("\n      ", "\n"), path, path.with_name("new")], check=True
    )
    path.with_name("new").rename(path)
    assert load(str(folder))
