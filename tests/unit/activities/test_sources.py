"""Is a recording copied as it was seen, and no more of it?"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from activities.sources import SourceChanged, Sources
from activities.threads import Threads
from tests.servers.databases import SteppedClock
from tiro.adapters.storage.memory import MemoryBlobs
from tiro.model.blob import source_key
from tiro.model.errors import Permanent

RECORDING = b"x" * 3_000_000


@pytest.fixture
def blobs(clock: SteppedClock) -> MemoryBlobs:
    made = MemoryBlobs(clock)
    made.put(source_key("job_1"), RECORDING)
    return made


@pytest.fixture
def sources(blobs: MemoryBlobs, tmp_path: Path) -> Sources:
    return Sources(blobs, Threads(ThreadPoolExecutor(1)), tmp_path)


@pytest.mark.parametrize("seen", [None, len(RECORDING)])
def test_a_recording_of_the_size_that_was_seen_is_copied(sources: Sources, tmp_path: Path, seen: int | None) -> None:
    assert sources.local("job_1", tmp_path, seen).read_bytes() == RECORDING


@pytest.mark.parametrize("seen", [0, 1, len(RECORDING) - 1, len(RECORDING) + 1])
def test_one_of_another_size_is_refused_and_fills_no_disk(sources: Sources, tmp_path: Path, seen: int) -> None:
    """Brought anew since it was looked at; scratch has room for what was seen."""
    with pytest.raises(SourceChanged):
        sources.local("job_1", tmp_path, seen)
    assert (tmp_path / "job_1").stat().st_size <= seen


def test_one_that_is_gone_is_said_to_be(sources: Sources, tmp_path: Path) -> None:
    with pytest.raises(Permanent) as gone:
        sources.local("job_2", tmp_path)
    assert gone.value.code == "blob_missing"
