"""What every `Preparer` promises of several short recordings at once: each as if it were alone."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.media_builder import FORMATS, encode, noise, numbered, wav
from tiro.adapters.engines.numbered import hear
from tiro.adapters.media.preparer import ChildPreparer
from tiro.model.errors import MediaRefused, TooLarge, Transient
from tiro.model.media import MediaLimits
from tiro.ports import PreparedEnd, PreparedFile, PreparedSpan, Preparer

LIMITS = MediaLimits(max_duration_s=60, max_bytes=4 << 20)


@pytest.fixture(scope="module")
def preparer() -> Iterator[Preparer]:
    made = ChildPreparer(span_s=60, vad="energy")
    yield made
    made.close()


def _each(preparer: Preparer, folder: Path, *recordings: bytes) -> list[PreparedFile]:
    paths = []
    for number, recording in enumerate(recordings):
        paths.append(folder / str(number))
        paths[-1].write_bytes(recording)
    return list(preparer.prepare_each(paths, LIMITS, threading.Event()))


def test_each_is_prepared_as_it_would_be_alone(preparer: Preparer, tmp_path: Path) -> None:
    recordings = [encode(numbered(6, 10 * number), extension) for number, extension in enumerate(FORMATS)]
    prepared = _each(preparer, tmp_path, *recordings)
    assert [one.number for one in prepared] == list(range(len(FORMATS)))
    for number, one in enumerate(prepared):
        probe, *spans, end = preparer.prepare(tmp_path / str(number), LIMITS, False, threading.Event())
        assert (one.probe, one.end) == (probe, end)
        for ours, theirs in zip(one.spans, spans, strict=True):
            assert isinstance(theirs, PreparedSpan)
            assert ours.span == theirs.span
            assert (ours.samples == theirs.samples).all()


def test_one_that_is_refused_costs_no_other(preparer: Preparer, tmp_path: Path) -> None:
    text, empty = b"no recording at all " * 100, b""
    prepared = _each(
        preparer, tmp_path, empty, wav(numbered(3)), text, wav(noise(61)), bytes(5 << 20), wav(numbered(3, 7))
    )
    errors = [one.error.extras.get("reason", one.error.code) if one.error else None for one in prepared]
    assert errors == ["empty_audio", None, "unsupported_format", "duration_exceeds_limit", "file_too_large", None]
    assert isinstance(prepared[0].error, MediaRefused)
    assert isinstance(prepared[4].error, TooLarge)
    assert isinstance(prepared[5].end, PreparedEnd)
    assert [word.text for word in hear(prepared[5].spans[0].samples)] == ["w7", "w8", "w9"]


def test_of_more_than_one_child_reads_none_is_left_out(preparer: Preparer, tmp_path: Path) -> None:
    prepared = _each(preparer, tmp_path, *(wav(numbered(1, number)) for number in range(70)))
    heard = [word.text for one in prepared for word in hear(one.spans[0].samples)]
    assert heard == [f"w{number}" for number in range(70)]


def test_stopped_it_ends_with_an_error_that_may_be_tried_again(preparer: Preparer, tmp_path: Path) -> None:
    for name in "ab":
        (tmp_path / name).write_bytes(wav(numbered(30)))
    stop = threading.Event()
    steps = preparer.prepare_each([tmp_path / "a", tmp_path / "b"], LIMITS, stop)
    next(steps)
    stop.set()
    with pytest.raises(Transient, match="stopped"):
        list(steps)
