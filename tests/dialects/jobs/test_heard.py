"""What a transcript says of who spoke, in which language, and what heard it."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.servers.api import Api, transcript
from tiro.model.blob import transcript_key
from tiro.model.job import JobPatch
from tiro.model.transcript import SpeakerInfo, Transcript


async def _told(api: Api, **changes: Any) -> dict[str, Any]:
    job_id = await api.submit()
    await api.complete(job_id, msgspec.structs.replace(transcript(job_id), **changes))
    told: dict[str, Any] = (await api.http.get(f"/jobs/{job_id}/transcript")).json()
    return told


@pytest.mark.promise("J25")
async def test_a_fallback_is_told_everywhere(api: Api) -> None:
    """In the transcript, in each segment and in the job: what ran, by its own name, and that it was not the first choice."""
    job_id = await api.submit()
    made = transcript(job_id)
    first, second = made.segments
    second = msgspec.structs.replace(second, engine="whisper_large_v3")
    made = msgspec.structs.replace(made, engine="whisper_large_v3", fallback=True, segments=(first, second))
    await api.run_until(job_id, spans_done=2)
    await api.house.line.patch(job_id, 1, JobPatch(engine=made.engine, fallback=made.fallback))
    api.house.blobs.put(transcript_key(job_id), msgspec.json.encode(made))
    await api.house.endings.end(job_id, 1, "completed")
    told = (await api.http.get(f"/jobs/{job_id}/transcript")).json()
    assert (told["engine"], told["fallback"]) == ("whisper_large_v3", True)
    assert [segment["engine"] for segment in told["segments"]] == ["scripted_primary", "whisper_large_v3"]
    job = (await api.http.get(f"/jobs/{job_id}")).json()
    assert (job["engine"], job["fallback"]) == ("whisper_large_v3", True)


@pytest.mark.promise("J27")
async def test_a_language_that_nobody_found_is_not_called_detected(api: Api) -> None:
    """As with a chain that knows English only."""
    told = await _told(api, language_detected=False)
    assert (told["language"], told["language_detected"]) == ("en", False)


@pytest.mark.promise("J34")
async def test_channels_prove_who_spoke(api: Api) -> None:
    """Confidence 1.0, and `diarizer` says that it was no model."""
    told = await _told(api, speakers=(SpeakerInfo(0, 1.0), SpeakerInfo(1, 1.0)), diarizer="channels")
    assert told["speakers"] == [{"id": "speaker_0", "confidence": 1.0}, {"id": "speaker_1", "confidence": 1.0}]
    assert told["diarizer"] == "channels"


@pytest.mark.promise("J17", "J31")
async def test_a_transcript_of_nothing_has_all_its_keys(api: Api) -> None:
    """Speakers are a list, and each format is a file, though nobody said a word."""
    job_id = await api.submit()
    empty = Transcript(
        job_id=job_id,
        language=None,
        language_detected=False,
        duration_s=2.0,
        engine="scripted_primary",
        fallback=False,
        diarizer=None,
        speakers=(),
        segments=(),
    )
    await api.complete(job_id, empty)
    told = (await api.http.get(f"/jobs/{job_id}/transcript")).json()
    assert (told["speakers"], told["segments"], told["language"]) == ([], [], None)
    for name in ("txt", "srt", "vtt", "docx"):
        assert (await api.http.get(f"/jobs/{job_id}/transcript?format={name}")).status_code == 200


@pytest.mark.promise("J47")
async def test_files_are_as_they_are_said_to_be(api: Api) -> None:
    """A paragraph per turn with its speaker, a blank line between; cues with the speaker, in both kinds of subtitles."""
    job_id = await api.submit()
    await api.complete(job_id)
    txt, srt, vtt = [
        (await api.http.get(f"/jobs/{job_id}/transcript?format={name}")).text for name in ("txt", "srt", "vtt")
    ]
    assert txt == "speaker_0: So tell.\n\nspeaker_1: Yes.\n"
    assert srt.startswith("1\n00:00:00,420 --> ")
    assert vtt.startswith("WEBVTT\n")
    assert "So tell." in srt
    assert "So tell." in vtt
