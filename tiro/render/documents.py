"""What stands behind a job's result address, and in the answer of a call that waited for it: the same bytes, by dialect.

A document of one recording is made at once. That of a batch is `head`, the items with a comma between them, and `tail`: written piece
by piece, in the order of the manifest, however many files there are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable

import msgspec

from tiro.model.batch import BatchFile, ManifestEntry
from tiro.model.job import Job
from tiro.model.transcript import AnyTranscript
from tiro.model.wallet import MICROS, Charged, cost_micros
from tiro.render.outcomes import SENTENCES, failed_file
from tiro.render.sentences import Sentence, sentences, single_words, whole_text
from tiro.render.subtitles import escaped

Fields = dict[str, object]


class Document(msgspec.Struct, frozen=True):
    """How one dialect writes results. The same arguments give the same bytes.

    `single` wants the job as it ended, or with `billed_s`, `micros_per_hour`, `cost_micros` and `balance_micros` as they will be.
    `item` wants the transcript of a file that is completed, None for one that failed. `head`: files completed and failed, and what
    the batch is charged in all.
    """

    media_type: str
    single: Callable[[Job, AnyTranscript], bytes]
    item: Callable[[Job, ManifestEntry, BatchFile, AnyTranscript | None], bytes]
    head: Callable[[Job, int, int, Charged], bytes]
    tail: Callable[[], bytes]
    separator: bytes = b","


OMISSIBLE: dict[str, tuple[str, ...]] = {
    "text": ("text",),
    "vtt": ("vtt",),
    "segments": ("segments",),
    "detected_language": ("detected_language",),
    "metadata": ("job_id", "reference_id", "model"),
    "billing": ("billed_seconds", "price_per_hour", "cost", "remaining_balance"),
}
"""What `JobOptions.omit` may name in the transcribe API, and the fields that go with it."""
_BARE = ("text", "vtt", "segments")


def model_name(engine: str) -> str:
    """How the transcribe API writes a model: `whisper_large_v3_turbo` -> `whisper-large-v3-turbo`."""
    return engine.replace("_", "-")


def dollars(micros: int) -> float:
    """As a number whose digits end with the micro-dollars."""
    return micros / MICROS


def _single(job: Job, transcript: AnyTranscript) -> bytes:
    """A field of the transcript that is left alone stands for itself: a JSON string or list."""
    price = job.micros_per_hour or 0
    billed_s = job.billed_s or 0
    cost = cost_micros(billed_s, price) if job.cost_micros is None else job.cost_micros
    fields: Fields = {"job_id": job.job_id}
    if job.reference is not None:
        fields["reference_id"] = job.reference
    fields |= {"billed_seconds": billed_s, "price_per_hour": _money(price), "cost": _money(cost)}
    fields["remaining_balance"] = None if job.balance_micros is None else _money(job.balance_micros)
    kept = _without(job.options.omit, fields | _heard(job, transcript))
    alone = len(kept) == 1 and next(iter(kept)) in _BARE
    return msgspec.json.encode(next(iter(kept.values())) if alone else kept)


def _item(job: Job, entry: ManifestEntry, file: BatchFile, transcript: AnyTranscript | None) -> bytes:
    """It keeps its name, whatever is left out: without it nobody knows which file it is."""
    named: Fields = {"reference_id": entry.reference}
    if transcript is None or file.state != "completed":
        word = failed_file(file.error_code, file.error_reason)
        return msgspec.json.encode(named | {"error": SENTENCES[word], "code": word})
    price = job.micros_per_hour or 0
    billing = {"billed_seconds": file.seconds, "price_per_hour": _money(price)}
    billing["cost"] = _money(cost_micros(file.seconds, price))
    return msgspec.json.encode(named | _without(job.options.omit, billing | _heard(job, transcript)))


def _head(job: Job, succeeded: int, failed: int, charged: Charged) -> bytes:
    fields: Fields = {
        "job_id": job.job_id,
        "status": "completed_with_errors" if failed else "completed",
        "total_files": job.files_total,
        "succeeded": succeeded,
        "failed": failed,
        "billed_seconds": charged.seconds,
        "cost": _money(charged.amount_micros),
    }
    return msgspec.json.encode(_without(job.options.omit, fields)).removesuffix(b"}") + b',"results":['


def _tail() -> bytes:
    return b"]}"


def _without(omitted: Iterable[str], fields: Fields) -> Fields:
    gone = {field for name in omitted for field in OMISSIBLE.get(name, ())}
    return {name: value for name, value in fields.items() if name not in gone}


def _heard(job: Job, transcript: AnyTranscript) -> Fields:
    said = sentences(transcript)
    return {
        "text": whole_text(transcript),
        "vtt": _vtt(said if job.options.cues == "sentence" else single_words(transcript)),
        "segments": [
            {
                "id": number,
                "start_seconds": _seconds(one.start_ms),
                "end_seconds": _seconds(one.end_ms),
                "text": one.text,
            }
            for number, one in enumerate(said)
        ],
        "detected_language": transcript.language,
        "model": model_name(transcript.engine),
    }


def _vtt(shown: Iterable[Sentence]) -> str:
    """WebVTT (W3C), a line for each cue."""
    cues = (f"{_time(cue.start_ms)} --> {_time(cue.end_ms)}\n{escaped(cue.text)}\n" for cue in shown)
    return "\n".join(("WEBVTT\n", *cues))


def _time(ms: int) -> str:
    """`MM:SS.mmm`, from an hour on `HH:MM:SS.mmm`."""
    rest, thousandths = divmod(ms, 1000)
    minutes, seconds = divmod(rest, 60)
    hours, minutes = divmod(minutes, 60)
    front = f"{hours:02d}:" if hours else ""
    return f"{front}{minutes:02d}:{seconds:02d}.{thousandths:03d}"


def _seconds(ms: int) -> int | float:
    return ms // 1000 if ms % 1000 == 0 else ms / 1000


def _money(micros: int) -> msgspec.Raw:
    """The same number as `dollars`, never with an exponent."""
    sign, rest = ("-", -micros) if micros < 0 else ("", micros)
    return msgspec.Raw(f"{sign}{rest // MICROS}.{rest % MICROS:06d}".rstrip("0").rstrip(".").encode())


DOCUMENTS: dict[str, Document] = {
    "transcribe": Document("application/json", single=_single, item=_item, head=_head, tail=_tail),
}
"""By dialect. Those that are not here have no such document."""
