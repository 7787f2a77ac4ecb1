"""Where the Temporal command is looked for, in order."""

from __future__ import annotations

from pathlib import Path

import pytest

from tiro.adapters.temporal.binary import find_binary
from tiro.model.errors import Permanent


def _command(folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    command = folder / "temporal"
    command.write_text("#!/bin/sh\n")
    command.chmod(0o755)
    return command


def test_what_is_told_comes_first(tmp_path: Path) -> None:
    """TEMPORAL_CLI beats PATH and cache."""
    told, on_path = _command(tmp_path / "told"), _command(tmp_path / "path")
    assert find_binary({"TEMPORAL_CLI": str(told), "PATH": str(on_path.parent)}) == told


def test_path_comes_before_the_cache(tmp_path: Path) -> None:
    """An operator's own version is used."""
    on_path, _ = _command(tmp_path / "path"), _command(tmp_path / "cache" / "tiro" / "bin")
    assert find_binary({"PATH": str(on_path.parent), "XDG_CACHE_HOME": str(tmp_path / "cache")}) == on_path


def test_the_cache_is_found(tmp_path: Path) -> None:
    """What an earlier run built is used again."""
    cached = _command(tmp_path / "cache" / "tiro" / "bin")
    assert find_binary({"PATH": "", "XDG_CACHE_HOME": str(tmp_path / "cache")}) == cached


def test_nothing_at_hand_is_none(tmp_path: Path) -> None:
    """Then it is fetched or built."""
    assert find_binary({"PATH": "", "XDG_CACHE_HOME": str(tmp_path)}) is None


def test_a_told_command_that_is_not_there_is_an_error(tmp_path: Path) -> None:
    """Not silently another one."""
    with pytest.raises(Permanent) as refused:
        find_binary({"TEMPORAL_CLI": str(tmp_path / "gone"), "PATH": ""})
    assert refused.value.code == "invalid_setting"
