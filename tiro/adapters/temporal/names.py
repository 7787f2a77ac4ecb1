"""The names under which Temporal knows us. Operators filter and script by them; they change only by an ADR."""

from __future__ import annotations

from temporalio.common import SearchAttributeKey

CONTROL = "tiro-control"
ADDRESSES = "tiro-fetch"
MEDIA = "tiro-media"
SPEECH = "tiro-speech"
VOICES = "tiro-voices"
DELIVER = "tiro-deliver"
QUEUES: dict[str, str] = {
    "control": CONTROL,
    "fetch": ADDRESSES,
    "media": MEDIA,
    "speech": SPEECH,
    "voices": VOICES,
    "deliver": DELIVER,
}
"""Short name, as `worker.py --queue` takes it -> task queue."""

TRANSCRIPTION = "Transcription"
BATCH_WORKFLOW = "Batch"
PAGE = "Page"
FETCH = "Fetch"
DELIVERY = "Delivery"
UPKEEP = "Upkeep"

ACCOUNT = SearchAttributeKey.for_keyword("TiroAccount")
DIALECT = SearchAttributeKey.for_keyword("TiroDialect")
STATUS = SearchAttributeKey.for_keyword("TiroStatus")
ERROR_CODE = SearchAttributeKey.for_keyword("TiroErrorCode")
BATCH = SearchAttributeKey.for_keyword("TiroBatch")
FLAGS = SearchAttributeKey.for_keyword_list("TiroFlags")
AUDIO_SECONDS = SearchAttributeKey.for_int("TiroAudioSeconds")
SEARCH_ATTRIBUTES = (ACCOUNT, DIALECT, STATUS, ERROR_CODE, BATCH, FLAGS, AUDIO_SECONDS)


def job_workflow_id(job_id: str, run: int) -> str:
    """`job/<job id>/<run>`."""
    return f"job/{job_id}/{run}"


def batch_workflow_id(job_id: str, run: int) -> str:
    """`batch/<job id>/<run>`."""
    return f"batch/{job_id}/{run}"


def page_workflow_id(job_id: str, run: int, page: int) -> str:
    """`batch/<job id>/<run>/<page>`: a hundred files of a batch."""
    return f"batch/{job_id}/{run}/{page}"


def fetch_workflow_id(job_id: str, run: int) -> str:
    """`fetch/<job id>/<run>`: of a recording that is brought in while its job waits."""
    return f"fetch/{job_id}/{run}"


def delivery_workflow_id(event_id: str) -> str:
    """`deliver/<event id>`."""
    return f"deliver/{event_id}"
