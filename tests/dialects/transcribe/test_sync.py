"""A recording in, its transcript out."""

from __future__ import annotations

import pytest

from tests.dialects.transcribe.calling import calling, funded, send, transcribed
from tests.servers.api import Api


@pytest.mark.promise("T11")
async def test_the_answer_is_the_transcript(api: Api) -> None:
    """Exactly these fields, numbers as numbers."""
    await funded(api)
    answer = await transcribed(api, {"language": "en"})
    assert answer.status_code == 200, answer.text
    print(answer.json())
