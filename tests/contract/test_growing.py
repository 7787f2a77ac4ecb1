"""What a `Preparer` promises of a recording that still comes in: the same as of one that is there, as early as the container allows."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from activities.incoming import Copy, Incoming
from tests.media_builder import FORMATS, encode, numbered, wav
from tiro.adapters.media.preparer import ChildPreparer
from tiro.model.errors import MediaRefused, TooLarge, Transient
from tiro.model.media import MediaLimits
from tiro.ports import PreparedSpan, Preparer

LIMITS = MediaLimits(max_duration_s=600, max_bytes=1 << 30)
STREAMS = ("wav", "mp3", "flac", "mkv")
"""Containers that are read from their beginning on."""
PIECE_BYTES = 10_000


@pytest.fixture(scope="module")
def preparer() -> Iterator[Preparer]:
    made = ChildPreparer(span_s=30, vad="energy")
    yield made
    made.close()


@pytest.fixture
def incoming() -> Iterator[Incoming]:
    made = Incoming()
    yield made
    made.close()


@pytest.fixture
def beside() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as executor:
        yield executor


def steps_of(preparer: Preparer, source: Path | Incoming, limits: MediaLimits = LIMITS) -> list[object]:
    """What was said, with the sound of spans as bytes."""
    return [
        (step.span, step.samples.tobytes()) if isinstance(step, PreparedSpan) else step
        for step in preparer.prepare(source, limits, True, threading.Event())
    ]


def pour(incoming: Incoming, content: bytes, path: Path, *, known: bool) -> None:
    def bring() -> None:
        with closing(Copy(incoming, path, len(content) if known else None)) as into:
            for start in range(0, len(content), PIECE_BYTES):
                into.write(content[start : start + PIECE_BYTES])

    incoming.brought(bring)


@pytest.mark.parametrize("known", [True, False], ids=["size known", "size unknown"])
@pytest.mark.parametrize("extension", FORMATS)
def test_what_still_comes_in_gives_the_same_as_what_is_there(
    preparer: Preparer, incoming: Incoming, beside: ThreadPoolExecutor, tmp_path: Path, extension: str, known: bool
) -> None:
    content = encode(numbered(6), extension)
    whole = tmp_path / "whole"
    whole.write_bytes(content)
    poured = beside.submit(pour, incoming, content, tmp_path / "coming", known=known)
    incoming.await_begin(threading.Event())
    assert steps_of(preparer, incoming) == steps_of(preparer, whole)
    poured.result()


@pytest.mark.parametrize("extension", STREAMS)
def test_a_span_is_final_before_the_rest_has_come(
    preparer: Preparer, incoming: Incoming, tmp_path: Path, extension: str
) -> None:
    """The rest comes only afterwards."""
    content = encode(numbered(100), extension)
    most = len(content) * 3 // 4
    path = tmp_path / "coming"
    path.write_bytes(content[:most])
    incoming.begin(path, len(content))
    incoming.grown(most)
    steps = preparer.prepare(incoming, LIMITS, False, threading.Event())
    next(steps)
    first = next(steps)
    assert isinstance(first, PreparedSpan)

    def rest() -> None:
        with path.open("ab") as file:
            file.write(content[most:])

    incoming.brought(rest)
    *others, _ = steps
    spans = [first, *(step for step in others if isinstance(step, PreparedSpan))]
    assert sum(len(span.samples) for span in spans) == pytest.approx(100 * 16_000, abs=3_000)


def test_what_breaks_off_is_no_end_of_the_recording(preparer: Preparer, incoming: Incoming, tmp_path: Path) -> None:
    """Its reader is told why, whatever could be decoded."""
    content = wav(numbered(100))

    def bring() -> None:
        with closing(Copy(incoming, tmp_path / "coming", len(content))) as into:
            into.write(content[: len(content) * 3 // 4])
        raise Transient("source_unreachable")

    with pytest.raises(Transient):
        incoming.brought(bring)
    with pytest.raises(Transient) as broken:
        steps_of(preparer, incoming)
    assert broken.value.code == "source_unreachable"


def test_what_will_be_too_large_is_refused_at_once(preparer: Preparer, incoming: Incoming, tmp_path: Path) -> None:
    path = tmp_path / "coming"
    path.touch()
    incoming.begin(path, LIMITS.max_bytes + 1)
    with pytest.raises(TooLarge):
        steps_of(preparer, incoming)


def test_too_long_is_told_while_it_comes(preparer: Preparer, incoming: Incoming, tmp_path: Path) -> None:
    """By the sound that is there; nobody waits for the rest."""
    content = encode(numbered(60), "mp3")
    path = tmp_path / "coming"
    path.write_bytes(content)
    incoming.begin(path, 2 * len(content))
    incoming.grown(len(content))
    with pytest.raises(MediaRefused) as refused:
        steps_of(preparer, incoming, MediaLimits(max_duration_s=30, max_bytes=1 << 30))
    assert refused.value.reason == "duration_exceeds_limit"


@pytest.mark.parametrize("content", [b"", b"R", b"no recording"])
def test_what_comes_to_nothing_is_refused_as_if_it_were_there(
    preparer: Preparer, incoming: Incoming, tmp_path: Path, content: bytes
) -> None:
    whole = tmp_path / "whole"
    whole.write_bytes(content)
    pour(incoming, content, tmp_path / "coming", known=False)
    reasons = []
    for source in (whole, incoming):
        with pytest.raises(MediaRefused) as refused:
            steps_of(preparer, source)
        reasons.append(refused.value.reason)
    assert reasons[0] == reasons[1]


def test_two_readers_do_not_take_from_each_other(preparer: Preparer, incoming: Incoming, tmp_path: Path) -> None:
    """One that reads again, from the beginning, gets all of it."""
    pour(incoming, wav(numbered(40)), tmp_path / "coming", known=True)
    first, second = steps_of(preparer, incoming), steps_of(preparer, incoming)
    assert first == second
    assert np.sum([isinstance(step, tuple) for step in first]) >= 1
