"""Does the transcribe API's result hold all that was said, once and in order, with the numbers and the shape that are promised?"""

from __future__ import annotations

import html
import io
import json
import re
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
import webvtt
from hypothesis import given
from hypothesis import strategies as st

from tests.unit.render.samples import HOSTILE, ordered, patient, said, segment, transcript, wild
from tiro.model.batch import BatchFile, ManifestEntry
from tiro.model.blob import BlobRef
from tiro.model.job import Job
from tiro.model.request import CueSize, JobOptions, UploadedSource
from tiro.model.transcript import Transcript
from tiro.model.wallet import Charged
from tiro.render import DOCUMENTS
from tiro.render.documents import OMISSIBLE
from tiro.render.words import spoken

NOW = datetime(2026, 6, 4, 12, tzinfo=UTC)
DOCUMENT = DOCUMENTS["transcribe"]
JOB = Job(
    job_id="job_1",
    account_id="acc_1",
    dialect="transcribe",
    options=JobOptions(diarize=False),
    source=UploadedSource(BlobRef("jobs/job_1/source", 5, "0" * 64)),
    state="completed",
    created_at=NOW,
    changed_at=NOW,
    ended_at=NOW,
    billed_s=600,
    micros_per_hour=150_000,
    cost_micros=25_000,
    balance_micros=152_475_800,
)
TALK = transcript([said("The first sentence. Dr. Who asks: is it?", 0, None, 1.03), said("It is.", 3_700, None)])


def job(**options: Any) -> Job:
    return msgspec.structs.replace(JOB, options=JobOptions(diarize=False, **options))


def single(made: Transcript, of: Job = JOB) -> Any:
    return json.loads(DOCUMENT.single(of, made))


def cues(made: Transcript, size: CueSize) -> list[Any]:
    return list(webvtt.from_buffer(io.StringIO(single(made, job(cues=size))["vtt"])))


def bare(text: str) -> str:
    return "".join(text.split())


def words(made: Transcript) -> list[str]:
    return [token.text for turn in spoken(made) for token in turn.tokens]


@pytest.mark.promise("T11")
def test_the_fields_and_their_order_are_those_of_the_answer() -> None:
    assert DOCUMENT.single(JOB, TALK) == (
        b'{"job_id":"job_1","billed_seconds":600,"price_per_hour":0.15,"cost":0.025,"remaining_balance":152.4758,'
        b'"text":"The first sentence. Dr. Who asks: is it? It is.",'
        b'"vtt":"WEBVTT\\n\\n00:00.000 --> 00:03.090\\nThe first sentence.\\n\\n00:03.090 --> 00:08.240\\nDr. Who asks: is it?\\n\\n'
        b'01:01:40.000 --> 01:01:40.600\\nIt is.\\n",'
        b'"segments":[{"id":0,"start_seconds":0,"end_seconds":3.09,"text":"The first sentence."},'
        b'{"id":1,"start_seconds":3.09,"end_seconds":8.24,"text":"Dr. Who asks: is it?"},'
        b'{"id":2,"start_seconds":3700,"end_seconds":3700.6,"text":"It is."}],"detected_language":"en","model":"scripted"}'
    )


@pytest.mark.promise("T11")
def test_a_reference_is_given_back_byte_for_byte() -> None:
    reference = 'Ünïcode "/\\\u2028 </script>'
    named = single(TALK, msgspec.structs.replace(JOB, reference=reference))
    assert list(named)[:2] == ["job_id", "reference_id"]
    assert named["reference_id"] == reference


@pytest.mark.promise("T16")
def test_the_model_is_the_one_that_ran_in_the_words_of_the_api() -> None:
    made = msgspec.structs.replace(TALK, engine="whisper_large_v3_turbo")
    assert single(made)["model"] == "whisper-large-v3-turbo"


@pytest.mark.promise("T12")
@given(st.integers(0, 10**13))
def test_money_is_written_to_the_micro_dollar(micros: int) -> None:
    told = DOCUMENT.single(msgspec.structs.replace(JOB, balance_micros=micros), transcript([])).decode()
    found = re.search(r'"remaining_balance":(\d+)(?:\.(\d{1,6}))?,', told)
    assert found
    assert int(found[1]) * 10**6 + int((found[2] or "").ljust(6, "0")) == micros
    assert json.loads(told)["remaining_balance"] == micros / 10**6


@pytest.mark.promise("T13")
@pytest.mark.parametrize("name", OMISSIBLE)
def test_what_is_excluded_is_left_out_and_nothing_else(name: str) -> None:
    of = msgspec.structs.replace(job(omit=(name,)), reference="mine")
    whole = single(TALK, msgspec.structs.replace(JOB, reference="mine"))
    assert single(TALK, of) == {key: value for key, value in whole.items() if key not in OMISSIBLE[name]}


@pytest.mark.promise("T13")
@pytest.mark.parametrize("left", ["text", "vtt", "segments"])
def test_a_field_that_is_left_alone_stands_for_itself(left: str) -> None:
    omitted = tuple(name for name in OMISSIBLE if name != left)
    assert single(TALK, job(omit=omitted)) == single(TALK)[left]


@pytest.mark.promise("T13")
def test_a_text_that_reads_like_a_number_stays_a_string() -> None:
    omitted = tuple(name for name in OMISSIBLE if name != "text")
    assert DOCUMENT.single(job(omit=omitted), transcript([said("42", 0, None)])) == b'"42"'


@pytest.mark.promise("T13")
def test_a_language_left_alone_stays_an_object() -> None:
    omitted = tuple(name for name in OMISSIBLE if name != "detected_language")
    assert single(TALK, job(omit=omitted)) == {"detected_language": "en"}
    assert single(TALK, job(omit=tuple(OMISSIBLE))) == {}


@pytest.mark.promise("T14")
@pytest.mark.parametrize("size", ["sentence", "word"])
@patient
@given(made=ordered)
def test_every_word_is_shown_once_in_order(size: CueSize, made: Transcript) -> None:
    everything = bare("".join(words(made)))
    assert bare("".join(html.unescape(cue.text) for cue in cues(made, size))) == everything
    told = single(made)
    assert bare(told["text"]) == everything
    assert bare("".join(one["text"] for one in told["segments"])) == everything


@pytest.mark.promise("T14")
@patient
@given(made=ordered)
def test_a_cue_is_a_word_where_words_are_asked_for(made: Transcript) -> None:
    assert [html.unescape(cue.text) for cue in cues(made, "word")] == words(made)


@pytest.mark.promise("T14")
@patient
@given(made=ordered)
def test_a_cue_is_a_segment_where_sentences_are_asked_for(made: Transcript) -> None:
    shown = [(round(cue.start_in_seconds), html.unescape(cue.text)) for cue in cues(made, "sentence")]
    assert [text for _, text in shown] == [one["text"] for one in single(made)["segments"]]


@pytest.mark.promise("T14")
@pytest.mark.parametrize("size", ["sentence", "word"])
@patient
@given(made=st.one_of(ordered, wild))
def test_times_follow_one_another_without_overlap(size: CueSize, made: Transcript) -> None:
    stamp = r"(?:(\d\d+):)?(\d\d):(\d\d)\.(\d{3})"
    at_ms = 0
    for line in single(made, job(cues=size))["vtt"].split("\n"):
        found = re.fullmatch(f"{stamp} --> {stamp}", line)
        assert (found is None) == ("-->" not in line)
        if found is None:
            continue
        h1, m1, s1, t1, h2, m2, s2, t2 = (int(part or 0) for part in found.groups())
        start_ms, end_ms = ((h1 * 60 + m1) * 60 + s1) * 1000 + t1, ((h2 * 60 + m2) * 60 + s2) * 1000 + t2
        assert at_ms <= start_ms < end_ms
        at_ms = end_ms
    segments = single(made)["segments"]
    assert [one["id"] for one in segments] == list(range(len(segments)))


@pytest.mark.promise("T14")
def test_hours_are_written_from_the_first_on() -> None:
    vtt = single(transcript([said("late.", 3_599.9, None), said("Later.", 3_600.5, None)]))["vtt"]
    assert re.findall(r"^\S+ -->", vtt, re.MULTILINE) == ["59:59.900 -->", "01:00:00.500 -->"]


@pytest.mark.promise("T14")
def test_nothing_said_is_a_tag_an_arrow_or_a_line_of_its_own() -> None:
    vtt = single(transcript([said(" ".join(HOSTILE), 0, None, 0.01)]))["vtt"]
    assert not re.search(r"<[^>]*>|&(?!amp;|lt;|gt;)|[\x00-\x09\x0b-\x1f\u2028\u2029\u202a-\u202e]", vtt)
    assert sum("-->" in line for line in vtt.split("\n")) == 1


def test_without_punctuation_a_pause_and_then_half_a_minute_end_a_sentence() -> None:
    made = transcript([said(" ".join(["word"] * 100), 0, None, 0.5), said("after a pause", 51.6, None)])
    lengths = [len(one["text"].split()) for one in single(made)["segments"]]
    assert lengths == [60, 40, 3]


def test_scripts_without_spaces_are_cut_at_their_own_marks() -> None:
    made = transcript([segment(["今日は。", "いい", "天気です。"], [(0, 1), (1, 2), (2, 3)], None, "")])
    assert [one["text"] for one in single(made)["segments"]] == ["今日は。", "いい天気です。"]


@patient
@given(made=wild)
def test_the_same_arguments_give_the_same_bytes(made: Transcript) -> None:
    assert DOCUMENT.single(JOB, made) == DOCUMENT.single(JOB, made)


# ---- batches

BATCH = msgspec.structs.replace(JOB, files_total=3, cost_micros=None, balance_micros=None)
ENTRIES = [ManifestEntry(index=number, reference=f"episode_{number}") for number in range(3)]
FILES = [
    BatchFile(job_id="job_1", index=0, run=1, state="completed", seconds=709, pack="p"),
    BatchFile(job_id="job_1", index=1, run=1, state="failed", error_code="source_unavailable", error_reason="gone"),
    BatchFile(job_id="job_1", index=2, run=1, state="completed", seconds=1, pack="p"),
]


def batch(of: Job) -> Any:
    items = [
        DOCUMENT.item(of, entry, file, TALK if file.state == "completed" else None)
        for entry, file in zip(ENTRIES, FILES, strict=True)
    ]
    return json.loads(DOCUMENT.head(of, 2, 1, Charged(710, 29_584)) + DOCUMENT.separator.join(items) + DOCUMENT.tail())


@pytest.mark.promise("T40")
def test_a_batch_is_a_head_and_its_files_in_the_order_of_the_manifest() -> None:
    """What it cost in all is told as it was charged: two runs are rounded twice."""
    told = batch(BATCH)
    results = told.pop("results")
    assert told == {
        "job_id": "job_1",
        "status": "completed_with_errors",
        "total_files": 3,
        "succeeded": 2,
        "failed": 1,
        "billed_seconds": 710,
        "cost": 0.029584,
    }
    assert [result["reference_id"] for result in results] == ["episode_0", "episode_1", "episode_2"]
    assert [result.get("cost") for result in results] == [0.029542, None, 0.000042]
    assert results[0]["segments"] == single(TALK)["segments"]


@pytest.mark.promise("T40")
def test_a_failed_file_has_its_name_a_sentence_and_a_code() -> None:
    told = batch(BATCH)["results"][1]
    assert told == {
        "reference_id": "episode_1",
        "error": "There is nothing at the address of the file.",
        "code": "failed_source_missing",
    }


@pytest.mark.promise("T40")
def test_a_batch_of_which_nothing_is_left_is_still_a_document() -> None:
    told = batch(msgspec.structs.replace(BATCH, options=JobOptions(omit=tuple(OMISSIBLE))))
    assert [result["reference_id"] for result in told["results"]] == ["episode_0", "episode_1", "episode_2"]
    assert told["status"] == "completed_with_errors"


@pytest.mark.promise("T40")
def test_a_batch_without_files_that_are_written_is_json_all_the_same() -> None:
    whole = json.loads(DOCUMENT.head(BATCH, 3, 0, Charged(3, 125)) + DOCUMENT.tail())
    assert (whole["status"], whole["results"]) == ("completed", [])
