"""Does faster-whisper transcribe speech through the whole line? With a real model: small, our own, shipped with the tests."""

from __future__ import annotations

import json
from pathlib import Path

import httpx2
import jiwer
import pytest

from tests.acceptance.conftest import SiteMaker
from tests.acceptance.site import ALL

WORDS = Path(__file__).parents[1] / "data" / "whisper-words"
MOST_WRONG = 0.05
"""Share of words that the small model may get wrong here; its README says what it was measured at."""


@pytest.mark.promise("J25", "J33")
async def test_spoken_words_come_back_with_their_times_and_speakers(make_site: SiteMaker) -> None:
    """87 s of words that the model was not trained on: text, word times in order, a speaker for each, and the model's own name."""
    spoken = json.loads((WORDS / "spoken.json").read_text())
    site = await make_site(
        TIRO_ENGINES="faster_whisper",
        TIRO_WHISPER_MODEL=str(WORDS),
        TIRO_WHISPER_CALIBRATE="0",
        TIRO_DIARIZER="acoustic",
        TIRO_REPLICAS="1",
    )
    await site.processes.worker(site.environ, ALL).says("working on")
    _, address = await site.serving()
    job_id = await site.post(address, content=(WORDS / "spoken.flac").read_bytes(), language="en")
    await site.ended(job_id)
    async with httpx2.AsyncClient(base_url=address, timeout=30, trust_env=False) as http:
        bearer = {"Authorization": f"Bearer {site.key}"}
        transcript = (await http.get(f"/jobs/{job_id}/transcript", params={"format": "json"}, headers=bearer)).json()
    segments = transcript["segments"]
    words = [word for segment in segments for word in segment["words"]]
    heard = " ".join(word["word"] for word in words)
    assert jiwer.wer(" ".join(spoken["text"]), heard) <= MOST_WRONG
    assert transcript["engine"] == "whisper_words"
    assert transcript["fallback"] is False
    starts = [word["start"] for word in words]
    assert starts == sorted(starts)
    assert all(0 <= word["start"] <= word["end"] <= transcript["duration_seconds"] for word in words)
    assert all(word["speaker"] for word in words)
