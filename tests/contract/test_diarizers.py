"""What every diarizer promises (pyannote is held to the same in tests/diarization), and what each says on the demo dialogue."""

from __future__ import annotations

import threading
from itertools import pairwise

import msgspec
import numpy as np
import pytest

from tests.contract.dialogue import Audio, mixed_spans, separate_spans, truth
from tiro.adapters.diarizers.acoustic import Acoustic
from tiro.adapters.diarizers.channels import Channels
from tiro.adapters.diarizers.registry import DIARIZERS, channels_diarizer, resolve_diarizer
from tiro.adapters.diarizers.scripted import Scripted
from tiro.model.errors import Invalid, Permanent, Transient
from tiro.model.media import SAMPLE_RATE_HZ, Span
from tiro.model.speech import Diarization
from tiro.ports import Diarizer
from tiro.settings import DIARIZERS as SETTING
from tiro.settings import Settings

GO = threading.Event()


@pytest.fixture(params=["scripted", "channels", "acoustic"])
def diarizer(request):
    made = {"scripted": Scripted, "channels": Channels, "acoustic": Acoustic}[request.param]()
    yield made
    made.close()


def spans_for(diarizer: Diarizer) -> list[Audio]:
    return separate_spans() if diarizer.id == "channels" else mixed_spans()


def share_of_truth(found: Diarization) -> float:
    """Seconds of the story's turns that the same speaker has, as a share of all."""
    shared = sum(
        max(0.0, min(turn.end_s, told.end_s) - max(turn.start_s, told.start_s))
        for told in truth()
        for turn in found.turns
        if turn.speaker == told.speaker
    )
    return shared / sum(told.end_s - told.start_s for told in truth())


def test_turns_are_exclusive_ordered_and_inside_the_recording(diarizer):
    spans = spans_for(diarizer)
    found = diarizer.diarize(spans, GO)
    assert found.turns
    assert all(turn.start_s < turn.end_s for turn in found.turns)
    assert all(before.end_s <= after.start_s for before, after in pairwise(found.turns))
    assert found.turns[0].start_s >= 0
    assert found.turns[-1].end_s <= max(audio.span.end_s for audio in spans)


@pytest.mark.promise("J34")
def test_it_names_itself_and_counts_its_speakers_by_first_appearance(diarizer):
    found = diarizer.diarize(spans_for(diarizer), GO)
    assert found.diarizer == diarizer.id
    assert list(dict.fromkeys(turn.speaker for turn in found.turns)) == list(range(found.speakers))


def test_the_order_of_spans_does_not_matter(diarizer):
    spans = spans_for(diarizer)
    assert diarizer.diarize(spans[::-1], GO) == diarizer.diarize(spans, GO)


def test_no_spans_and_no_speech_give_no_turns(diarizer):
    silent = Audio(Span(0, 0, 0.0, 5.0), np.zeros(5 * SAMPLE_RATE_HZ, np.float32))
    assert diarizer.diarize([], GO).turns == ()
    assert diarizer.diarize([silent], GO).turns == ()
    assert silent.reads == 0


def test_speech_of_a_moment_does_no_harm(diarizer):
    blink = Audio(Span(0, 0, 0.0, 1.0, ((0.2, 0.21), (0.5, 0.53))), np.zeros(SAMPLE_RATE_HZ, np.float32))
    assert len(diarizer.diarize([blink], GO).turns) <= 2


def test_stop_is_honoured(diarizer):
    stop = threading.Event()
    stop.set()
    with pytest.raises(Transient) as stopped:
        diarizer.diarize(spans_for(diarizer), stop)
    assert stopped.value.code == "stopped"


def test_what_it_finds_can_be_stored(diarizer):
    found = diarizer.diarize(spans_for(diarizer), GO)
    assert msgspec.json.decode(msgspec.json.encode(found), type=Diarization) == found


def test_close_may_be_repeated(diarizer):
    diarizer.close()
    diarizer.close()


def test_channels_know_exactly_who_spoke():
    found = Channels().diarize(separate_spans(), GO)
    assert (found.speakers, found.confidence) == (2, 1.0)
    assert share_of_truth(found) == pytest.approx(1.0)


@pytest.mark.promise("J7")
def test_channels_keep_the_track_as_the_speaker_though_the_second_speaks_first():
    found = Channels().diarize(separate_spans(swapped=True), GO)
    assert found.turns[0].speaker == 1


def test_channels_give_the_floor_to_who_began():
    tracks = [Audio(Span(n, n, 0.0, 9.0, (piece,)), np.zeros(1)) for n, piece in enumerate([(1.0, 4.0), (3.0, 6.0)])]
    found = Channels().diarize(tracks, GO)
    assert [(turn.start_s, turn.end_s, turn.speaker) for turn in found.turns] == [(1.0, 4.0, 0), (4.0, 6.0, 1)]


def test_one_channel_alone_proves_nothing():
    assert Channels().diarize(mixed_spans(), GO).confidence is None


def test_acoustic_tells_the_two_voices_of_the_dialogue_apart():
    found = Acoustic().diarize(mixed_spans(), GO)
    assert found.speakers == 2
    assert share_of_truth(found) > 0.97


@pytest.mark.parametrize("track", [0, 1])
def test_acoustic_hears_one_voice_as_one(track):
    alone = [audio for audio in separate_spans() if audio.span.track == track]
    assert Acoustic().diarize(alone, GO).speakers == 1


def test_acoustic_finds_a_change_without_a_pause():
    voices = [np.concatenate([a.samples() for a in separate_spans() if a.span.track == track]) for track in (0, 1)]
    spoken = [(voice[np.abs(voice) > 0], 20 * SAMPLE_RATE_HZ) for voice in voices]
    joined = np.concatenate([voice[:size] for voice, size in spoken])
    border_s = min(len(spoken[0][0]), spoken[0][1]) / SAMPLE_RATE_HZ
    end_s = len(joined) / SAMPLE_RATE_HZ
    found = Acoustic().diarize([Audio(Span(0, 0, 0.0, end_s, ((0.0, end_s),)), joined)], GO)
    assert [turn.speaker for turn in found.turns] == [0, 1]
    assert found.turns[0].end_s == pytest.approx(border_s, abs=0.4)


def test_acoustic_stops_between_spans():
    stop = threading.Event()
    spans = mixed_spans()

    class Last(Audio):
        def samples(self) -> np.ndarray:
            stop.set()
            return super().samples()

    with pytest.raises(Transient):
        Acoustic().diarize([Last(spans[0].span, spans[0].samples()), *spans[1:]], stop)
    assert [audio.reads for audio in spans[1:]] == [0, 0]


def test_scripted_voices_take_turns_by_the_clock():
    audio = Audio(Span(0, 0, 0.0, 20.0, ((1.0, 12.0),)), np.zeros(1))
    found = Scripted(speakers=2, turn_s=5.0).diarize([audio], GO)
    assert [(turn.start_s, turn.end_s, turn.speaker) for turn in found.turns] == [
        (1.0, 5.0, 0),
        (5.0, 10.0, 1),
        (10.0, 12.0, 0),
    ]


def settings(**more) -> Settings:
    return Settings(database_url="", blobs_url="", secret_key="", **more)


def test_settings_and_table_know_the_same_diarizers():
    assert set(SETTING) == set(DIARIZERS)
    assert channels_diarizer().id == "channels"


@pytest.mark.parametrize("name", ["channels", "acoustic", "scripted"])
def test_the_chosen_diarizer_is_taken_without_a_word(name):
    made, warnings = resolve_diarizer(settings(diarizer=name))
    assert (made.id, warnings) == (name, ())


@pytest.mark.promise("J34")
def test_without_pyannote_the_light_one_stands_in_and_says_how_to_get_better(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    made, warnings = resolve_diarizer(settings())
    assert made.id == "acoustic"
    assert "TIRO_PYANNOTE_MODEL" in warnings[0]


def test_pyannote_that_was_chosen_and_cannot_run_is_an_error(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    with pytest.raises(Permanent) as refused:
        resolve_diarizer(settings(diarizer="pyannote"))
    assert refused.value.code == "engine_unavailable"


def test_an_unknown_diarizer_is_an_invalid_setting():
    with pytest.raises(Invalid):
        resolve_diarizer(settings(diarizer="crystal_ball"))
