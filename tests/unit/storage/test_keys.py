"""Does whoever empties a job know of everything that is written below it?"""

from __future__ import annotations

import pytest

from tiro.model import blob

JOB, FILE = "job_1", "job_1.00042"
EVENT = blob.event_key(JOB, "evt_1")
KEYS = [
    blob.source_key(JOB),
    blob.source_key(FILE),
    blob.plan_key(JOB, "plan"),
    blob.span_audio_key(JOB, "plan", 1),
    blob.span_record_key(JOB, "plan", 1),
    blob.part_key(JOB, "plan", "engine", 1),
    blob.turns_key(JOB, "plan", "diarizer"),
    blob.transcript_key(JOB),
    blob.result_key(JOB, "srt"),
    blob.manifest_key(JOB),
    blob.manifest_page_key(JOB, 1),
    blob.pack_audio_key(JOB, "pack"),
    blob.pack_result_key(JOB, "pack"),
    blob.page_document_key(JOB, 1),
    blob.document_key(JOB),
]


def test_all_that_is_written_of_a_job_is_content_of_it_but_the_bodies_of_its_events() -> None:
    """A key of a new kind has to be put among them, else it would outlive its job."""
    assert {name for name in dir(blob) if name.endswith("_key")} <= {
        f"{kind}_key"
        for kind in (
            "source plan span_audio span_record part turns transcript result event manifest manifest_page "
            "pack_audio pack_result page_document document"
        ).split()
    }
    below = tuple(blob.job_prefix(JOB) + name for name in blob.CONTENT)
    assert [key for key in [*KEYS, EVENT] if not key.startswith(below)] == [EVENT]


@pytest.mark.parametrize("key", KEYS)
def test_numbers_are_read_from_the_keys_that_have_them_and_from_no_other(key: str) -> None:
    """Recordings of files and pages of a document, as they are named."""
    assert blob.source_number(key) == (42 if key == blob.source_key(FILE) else None)
    assert blob.page_number(key) == (1 if key == blob.page_document_key(JOB, 1) else None)
