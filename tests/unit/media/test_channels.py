"""Two channels are two people only when they are: fake stereo, a silent side, an echo and surround sound are not."""

from __future__ import annotations

import numpy as np
import pytest

from tests.media_builder import Sound, dialogue, noise, numbered, silence
from tiro.adapters.media.cutting import Cutting
from tiro.adapters.media.vad import EnergyVad, SileroModel
from tiro.ports import PreparedSpan


def run(left: Sound, right: Sound, span_s: float = 150.0, *, silero: bool = False) -> tuple[list[PreparedSpan], str]:
    ears = SileroModel().track if silero else EnergyVad
    cutting = Cutting(2, span_s, ears)
    pcm = np.rint(np.stack([left, right]) * 32767).astype(np.int16)
    spans = [span for at in range(0, pcm.shape[1], 50_000) for span in cutting.push(pcm[:, at : at + 50_000])]
    return spans + list(cutting.finish()), cutting.layout


def speech_s(spans: list[PreparedSpan], track: int) -> float:
    return sum(one.span.speech_s for one in spans if one.span.track == track)


def join(*pieces: Sound) -> Sound:
    return np.concatenate(pieces)


@pytest.mark.promise("J7")
def test_two_people_on_two_channels_are_two_tracks() -> None:
    left, right = dialogue()
    spans, layout = run(left, right, silero=True)
    assert layout == "channels"
    assert {one.span.track for one in spans} == {0, 1}
    assert speech_s(spans, 0) > 20
    assert speech_s(spans, 1) > 20


@pytest.mark.promise("J7")
def test_the_same_on_both_channels_is_one_track() -> None:
    mixed = dialogue().mean(axis=0)
    spans, layout = run(mixed, mixed + noise(len(mixed) / 16_000, 0.001), silero=True)
    assert layout == "mono"
    assert {one.span.track for one in spans} == {0}


@pytest.mark.promise("J7")
def test_a_recording_on_the_left_alone_is_mono_at_full_level() -> None:
    spans, layout = run(numbered(40), silence(40))
    assert layout == "mono"
    assert speech_s(spans, 0) == pytest.approx(40, abs=0.2)
    assert speech_s(spans, 1) == 0
    assert np.abs(spans[0].samples).max() == pytest.approx(0.3, abs=0.01)


@pytest.mark.promise("J7")
def test_who_speaks_first_on_the_right_stays_on_track_1() -> None:
    spans, layout = run(join(silence(10), numbered(10, 500)), join(numbered(10), silence(10)))
    assert layout == "channels"
    by_track = {one.span.track: one.span.speech for one in spans}
    assert by_track[1][0][0] < 0.1
    assert by_track[0][0][0] == pytest.approx(10, abs=0.2)


@pytest.mark.promise("J7")
def test_an_echo_of_the_other_side_is_no_speech() -> None:
    left = join(numbered(8), silence(8))
    right = join(silence(8), numbered(8, 300))
    spans, layout = run(left + 0.03 * right, right + 0.03 * left)
    assert layout == "channels"
    assert speech_s(spans, 0) == pytest.approx(8, abs=1)
    assert speech_s(spans, 1) == pytest.approx(8, abs=1)


@pytest.mark.promise("J7")
def test_fake_stereo_that_begins_late_is_heard_once() -> None:
    late = join(silence(100), numbered(40))
    spans, layout = run(late, late, span_s=30)
    assert layout == "mono"
    assert speech_s(spans, 0) + speech_s(spans, 1) == pytest.approx(40, abs=0.5)


def test_the_second_side_may_speak_after_spans_are_out() -> None:
    spans, layout = run(join(numbered(100), silence(20)), join(silence(100), numbered(20, 700)), span_s=30)
    assert layout == "channels"
    assert speech_s(spans, 1) == pytest.approx(20, abs=0.5)


@pytest.mark.parametrize("late", [0, 100])
def test_every_track_is_tiled_by_its_spans(late: int) -> None:
    sound = join(silence(late), numbered(100))
    spans, _ = run(sound, sound, span_s=30)
    for track in {one.span.track for one in spans}:
        ours = [one for one in spans if one.span.track == track]
        edges = [0.0, *(one.span.end_s for one in ours)]
        assert [one.span.start_s for one in ours] == edges[:-1]
        assert edges[-1] == late + 100
        assert all(len(one.samples) == round((one.span.end_s - one.span.start_s) * 16_000) for one in ours)
    assert [one.span.index for one in spans] == list(range(len(spans)))
