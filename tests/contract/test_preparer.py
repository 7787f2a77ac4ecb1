"""What every `Preparer` promises: any recording in, spans that tile it out, in bounded memory."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from tests.media_builder import FORMATS, dialogue, encode, noise, numbered, silence, sparse_wav, wav
from tiro.adapters.engines.numbered import hear
from tiro.adapters.media.preparer import ChildPreparer
from tiro.model.errors import MediaRefused, Permanent, TooLarge
from tiro.model.media import MediaLimits, MediaProbe
from tiro.ports import PreparedEnd, PreparedSpan, Preparer

LIMITS = MediaLimits(max_duration_s=36_000, max_bytes=5 << 30)


@pytest.fixture(scope="module")
def preparer() -> Iterator[Preparer]:
    made = ChildPreparer(span_s=60, vad="energy")
    yield made
    made.close()


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return tmp_path / "recording"


def prepare(
    preparer: Preparer, path: Path, limits: MediaLimits = LIMITS, *, split: bool = True
) -> tuple[MediaProbe, list[PreparedSpan], PreparedEnd]:
    probe, *spans, end = preparer.prepare(path, limits, split, threading.Event())
    assert isinstance(probe, MediaProbe)
    assert isinstance(end, PreparedEnd)
    assert all(isinstance(one, PreparedSpan) for one in spans)
    return probe, spans, end  # type: ignore[return-value]


@pytest.mark.parametrize("extension", FORMATS)
def test_every_format_gives_the_same_words(preparer: Preparer, recording: Path, extension: str) -> None:
    recording.write_bytes(encode(numbered(6), extension))
    probe, spans, end = prepare(preparer, recording)
    assert probe.has_video == (FORMATS[extension].video is not None)
    assert end.decoded_s == pytest.approx(6, abs=0.1)
    assert end.damaged_packets == 0
    assert [word.text for word in hear(spans[0].samples)] == [f"w{n}" for n in range(6)]


def test_spans_tile_the_recording_and_lose_no_second(preparer: Preparer, recording: Path) -> None:
    recording.write_bytes(wav(numbered(200)))
    _, spans, end = prepare(preparer, recording)
    edges = [0.0, *(one.span.end_s for one in spans)]
    assert [one.span.start_s for one in spans] == edges[:-1]
    assert edges[-1] == end.decoded_s == 200
    assert len(spans) == 3
    assert [one.span.index for one in spans] == [0, 1, 2]
    words = [word.text for one in spans for word in hear(one.samples)]
    assert words == [f"w{n}" for n in range(200)]


def test_stored_spans_come_back_exactly(preparer: Preparer, recording: Path) -> None:
    recording.write_bytes(encode(noise(5), "mp3"))
    _, spans, _ = prepare(preparer, recording)
    stored = preparer.encode(spans[0].samples)
    assert np.array_equal(preparer.read(stored), spans[0].samples)
    assert preparer.encode(spans[0].samples) == stored


def test_preparing_twice_gives_the_same(preparer: Preparer, recording: Path) -> None:
    recording.write_bytes(encode(numbered(80), "m4a"))
    first, second = prepare(preparer, recording)[1], prepare(preparer, recording)[1]
    assert [one.span for one in first] == [one.span for one in second]
    assert all(np.array_equal(a.samples, b.samples) for a, b in zip(first, second, strict=True))


@pytest.mark.promise("J7", "J17")
def test_channels_are_tracks_only_when_asked(preparer: Preparer, recording: Path) -> None:
    recording.write_bytes(wav(np.stack([numbered(20), numbered(20, 500)])))
    _, spans, end = prepare(preparer, recording)
    assert end.layout == "channels"
    assert {one.span.track: hear(one.samples)[0].text for one in spans} == {0: "w0", 1: "w500"}
    _, spans, end = prepare(preparer, recording, split=False)
    assert end.layout == "mono"
    assert {one.span.track for one in spans} == {0}


@pytest.mark.promise("J7")
def test_surround_sound_is_mixed_down(preparer: Preparer, recording: Path) -> None:
    recording.write_bytes(encode(np.stack([silence(5), silence(5), numbered(5), *[silence(5)] * 3]), "mp4"))
    _, spans, end = prepare(preparer, recording)
    assert end.layout == "mono"
    assert end.warnings == ("channels_mixed_down",)
    assert [word.text for word in hear(spans[0].samples)] == [f"w{n}" for n in range(5)]


def test_the_default_track_is_taken_and_the_others_are_left(preparer: Preparer, recording: Path) -> None:
    recording.write_bytes(encode(numbered(4), "mkv", tracks=5))
    _, spans, end = prepare(preparer, recording)
    assert "other_tracks_ignored" in end.warnings
    assert [word.text for word in hear(spans[0].samples)] == ["w0", "w1", "w2", "w3"]


def test_silero_tells_speech_from_silence(recording: Path) -> None:
    sound = np.concatenate([np.stack([silence(30)] * 2), dialogue(), np.stack([silence(200)] * 2)], axis=1)
    recording.write_bytes(wav(sound))
    made = ChildPreparer(span_s=60)
    _, spans, end = prepare(made, recording)
    made.close()
    assert end.layout == "channels"
    assert all(start >= 30 and stop <= 100 for one in spans for start, stop in one.span.speech)
    assert sum(one.span.speech_s for one in spans) > 40


def test_music_without_speech_is_no_error(recording: Path) -> None:
    recording.write_bytes(wav(numbered(20)))
    made = ChildPreparer(span_s=60)
    _, spans, _ = prepare(made, recording)
    made.close()
    assert sum(one.span.speech_s for one in spans) == 0


def test_probe_reads_the_claims_without_decoding(preparer: Preparer, recording: Path) -> None:
    recording.write_bytes(encode(np.stack([numbered(6)] * 2), "mp4"))
    probe = preparer.probe(recording, LIMITS, threading.Event())
    assert (probe.container, probe.codec, probe.sample_rate_hz, probe.channels) == ("mov", "aac", 48_000, 2)
    assert probe.has_video
    assert probe.duration_s == pytest.approx(6, abs=0.1)


@pytest.mark.promise("J19")
def test_too_long_is_told_by_the_decoded_seconds(preparer: Preparer, recording: Path) -> None:
    half_a_minute = MediaLimits(max_duration_s=30, max_bytes=1 << 30)
    recording.write_bytes(wav(noise(31)))
    with pytest.raises(MediaRefused) as refused:
        prepare(preparer, recording, half_a_minute)
    assert refused.value.reason == "duration_exceeds_limit"
    recording.write_bytes(encode(noise(30), "mp3"))
    assert prepare(preparer, recording, half_a_minute)[2].decoded_s == pytest.approx(30, abs=0.2)


def test_too_many_bytes_are_refused(preparer: Preparer, recording: Path) -> None:
    recording.write_bytes(wav(numbered(1)))
    with pytest.raises(TooLarge):
        prepare(preparer, recording, MediaLimits(max_duration_s=30, max_bytes=1000))


@pytest.mark.promise("J11")
def test_a_glance_refuses_what_can_be_known_at_once(recording: Path) -> None:
    made = ChildPreparer(vad="energy")
    half_an_hour = MediaLimits(max_duration_s=1800, max_bytes=1 << 30)
    sparse_wav(recording, [(0, numbered(1))], 1861)
    assert _glance(made, recording, half_an_hour) == "duration_exceeds_limit"
    sparse_wav(recording, [], 60)
    assert _glance(made, recording, half_an_hour) == "empty_audio"
    sparse_wav(recording, [(100, numbered(1))], 120)
    assert _glance(made, recording, half_an_hour) is None
    recording.write_bytes(b"no recording at all " * 100)
    assert _glance(made, recording, half_an_hour) == "unsupported_format"
    made.close()


def _glance(made: ChildPreparer, path: Path, limits: MediaLimits) -> str | None:
    try:
        made.glance(path, limits, threading.Event())
    except MediaRefused as refused:
        return refused.reason
    return None


def test_a_stopped_preparation_ends_with_an_error_that_may_be_tried_again(preparer: Preparer, recording: Path) -> None:
    recording.write_bytes(wav(numbered(200)))
    stop = threading.Event()
    steps = preparer.prepare(recording, LIMITS, True, stop)
    next(steps)
    stop.set()
    with pytest.raises(Exception, match="stopped") as stopped:
        list(steps)
    assert not isinstance(stopped.value, Permanent)


def test_memory_does_not_grow_with_the_recording(preparer: Preparer, recording: Path) -> None:
    sparse_wav(recording, [(t, numbered(5)) for t in range(0, 7200, 600)], 7200)
    resident, spans = [], 0
    for step in preparer.prepare(recording, LIMITS, True, threading.Event()):
        if isinstance(step, PreparedSpan):
            spans += 1
            resident.append(_resident_bytes())
    assert spans >= 75
    assert max(resident[10:]) - resident[9] < 24 << 20


def _resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def test_the_version_tells_what_decides_the_cuts() -> None:
    made = [
        ChildPreparer(span_s=60),
        ChildPreparer(span_s=60),
        ChildPreparer(span_s=90),
        ChildPreparer(60, vad="energy"),
    ]
    versions = [one.version for one in made]
    assert versions[0] == versions[1]
    assert len(set(versions)) == 3
