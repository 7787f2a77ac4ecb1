"""Speech is found where it is, whatever the size of the pieces."""

from __future__ import annotations

import itertools
import json

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.media_builder import DEMO, RATE_HZ, dialogue, noise, numbered, silence
from tiro.adapters.media.vad import FRAME_SAMPLES, EnergyVad, Hysteresis, Interval, SileroModel, padded


def int16(sound: np.ndarray) -> np.ndarray:
    return np.rint(sound * 32767).astype(np.int16)


def intervals(probabilities: np.ndarray) -> list[Interval]:
    hysteresis = Hysteresis()
    return hysteresis.push(probabilities) + hysteresis.finish()


def test_silero_hears_the_turns_of_a_dialogue() -> None:
    heard = SileroModel().track().hear(int16(dialogue()[0])) >= 0.5
    turns = [turn for turn in json.loads((DEMO / "dialogue.json").read_text())["turns"] if turn["speaker"] == 0]
    frame_s = FRAME_SAMPLES / RATE_HZ
    for turn in turns:
        part = heard[round(turn["start_s"] / frame_s) : round(turn["end_s"] / frame_s)]
        assert part.mean() > 0.7
    outside = np.ones(len(heard), bool)
    for turn in turns:
        outside[int(turn["start_s"] / frame_s) : int(turn["end_s"] / frame_s) + 1] = False
    assert heard[outside].mean() < 0.05


def test_silero_carries_its_state_from_piece_to_piece() -> None:
    sound = int16(dialogue()[0][: 40 * RATE_HZ])
    whole = SileroModel().track().hear(sound)
    track = SileroModel().track()
    # a piece that is all silence starts afresh, so pieces are as long as a turn
    pieces = [track.hear(sound[at : at + 320 * FRAME_SAMPLES]) for at in range(0, len(sound), 320 * FRAME_SAMPLES)]
    assert np.abs(np.concatenate(pieces) - whole).max() < 0.05


def test_silero_takes_neither_tones_nor_noise_nor_silence_for_speech() -> None:
    for sound in (numbered(10), noise(10, 0.05), silence(10)):
        assert (SileroModel().track().hear(int16(sound)) >= 0.5).mean() < 0.05


def test_energy_takes_all_sound_for_speech() -> None:
    sound = np.concatenate([silence(1.024), numbered(2), silence(1)])
    found = intervals(EnergyVad().hear(int16(sound)))
    assert len(found) == 1
    assert abs(found[0][0] * FRAME_SAMPLES - 1.024 * RATE_HZ) <= FRAME_SAMPLES
    assert abs(found[0][1] * FRAME_SAMPLES - 3.024 * RATE_HZ) <= FRAME_SAMPLES


def test_a_pause_shorter_than_160_ms_does_not_end_speech() -> None:
    assert intervals(np.array([0, 1, 1, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0])) == [(1, 8)]
    assert intervals(np.array([0, 1, 1, 0, 0, 0, 0, 0, 1])) == [(1, 3), (8, 9)]


def test_between_the_thresholds_nothing_changes() -> None:
    assert intervals(np.array([0.4, 0.4, 0.6, 0.4, 0.4, 0.4, 0.4, 0.4, 0.4])) == [(2, 9)]


@settings(deadline=None)
@given(st.lists(st.sampled_from([0.0, 0.3, 0.4, 0.6, 1.0]), max_size=200), st.integers(1, 50))
def test_what_is_settled_never_changes(values: list[float], step: int) -> None:
    whole = intervals(np.array(values))
    hysteresis, ended = Hysteresis(), []
    for at in range(0, len(values), step):
        ended += hysteresis.push(np.array(values[at : at + step]))
        known = ended + ([hysteresis.open] if hysteresis.open else [])
        settled = hysteresis.settled
        clipped = [(low, min(high, settled)) for low, high in whole if low < settled]
        assert [interval for interval in known if interval[0] < interval[1]] == clipped


@settings(deadline=None)
@given(st.lists(st.integers(1, 30), max_size=40), st.integers(0, 10))
def test_padding_keeps_all_speech_in_order_and_apart(lengths: list[int], pad: int) -> None:
    edges = np.cumsum([3, *lengths]).tolist()
    found = list(zip(edges[::2], edges[1::2], strict=False))
    bounds = (0, edges[-1] + 5)
    wide = padded(found, pad, bounds)
    assert all(low[1] < high[0] for low, high in itertools.pairwise(wide))
    assert all(any(low <= start and end <= high for low, high in wide) for start, end in found)
    assert all(bounds[0] <= low < high <= bounds[1] for low, high in wide)
