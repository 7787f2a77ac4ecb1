"""AssemblyAI's HTTP API as an engine: upload, order a transcript, ask until it is there, delete it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from typing import Literal
from urllib.parse import quote

import httpx2
import msgspec

from tiro.adapters.engines import words
from tiro.adapters.engines.abilities import Abilities, base
from tiro.adapters.engines.hosted import HostedEngine, HttpFactory, decoded, refusal, wav
from tiro.adapters.engines.languages import code
from tiro.model.errors import Invalid, QuotaExceeded, TiroError, Transient
from tiro.model.languages import LANGUAGES
from tiro.model.media import SAMPLE_RATE_HZ
from tiro.model.speech import EngineOptions, Heard, HeardWord
from tiro.ports import Samples, Urgency

MODELS: dict[str, Abilities] = {
    "universal-3-pro": Abilities(
        "assemblyai", "assemblyai_universal_3", frozenset({"en", "es", "de", "fr", "it", "pt"}), max_window_s=300.0
    ),
    "universal-2": Abilities(
        "assemblyai_universal_2", "assemblyai_universal_2", LANGUAGES - {"yue"}, max_window_s=300.0
    ),
}
"""The names the API knows. Each is an engine of its own, so that a transcript never claims the one when the other ran."""

DEFAULT = "universal-3-pro"
_POLLS_S = (0.5, 1.0, 1.0, 2.0, 3.0)
_LONGEST_S = 1200.0
_MONEY = ("balance", "credit", "quota", "top up", "insufficient funds")
"""The API refuses for money in words only; there is no code to read."""
_NOBODY_SPEAKS = ("no spoken audio", "no speech")
_KEYTERMS = 200


class _Uploaded(msgspec.Struct):
    upload_url: str


class _Word(msgspec.Struct):
    text: str
    start: float
    end: float
    confidence: float = 0.0


class _Transcript(msgspec.Struct):
    id: str
    status: Literal["queued", "processing", "completed", "error"]
    words: list[_Word] | None = None
    language_code: str | None = None
    language_confidence: float | None = None
    error: str | None = None


class _Fault(msgspec.Struct):
    error: str = ""


def abilities(script: str) -> Abilities:
    """Of the model named after the colon of the engine's id. Raises Invalid `invalid_setting`."""
    found = MODELS.get(script or DEFAULT)
    if found is None:
        raise Invalid(
            "invalid_setting", f"assemblyai:{script} is not a model. Known: {', '.join(MODELS)}.", param="TIRO_ENGINES"
        )
    return found


class AssemblyAiEngine(HostedEngine):
    """One transcript per window; what was uploaded and written there is deleted when it has been read."""

    def __init__(self, url: str, key: str, model: str, http: HttpFactory, poll_scale: float = 1.0) -> None:
        super().__init__(abilities(model), url, {"Authorization": key}, http)
        self._remote_model = model or DEFAULT
        self._poll_scale = poll_scale

    async def transcribe(self, windows: Sequence[Samples], options: EngineOptions, urgency: Urgency) -> list[Heard]:
        return await self.each(windows, lambda window: self._hear(window, options))

    async def detect(self, windows: Sequence[Samples], urgency: Urgency) -> list[dict[str, float]]:
        heard = await self.transcribe(windows, EngineOptions(), urgency)
        return [{one.language: one.language_probability or 1.0} if one.language else {} for one in heard]

    async def _hear(self, window: Samples, options: EngineOptions) -> Heard:
        uploaded = decoded(await self.request("POST", "/v2/upload", content=wav(window)), _Uploaded)
        ordered = decoded(
            await self.request("POST", "/v2/transcript", json=self._order(uploaded, options)), _Transcript
        )
        try:
            transcript = await self._finished(ordered)
        finally:
            await self._forget(ordered.id)
        language = options.language or code(transcript.language_code)
        probability = None if options.language else transcript.language_confidence
        heard = [_word(word, len(window) / SAMPLE_RATE_HZ) for word in transcript.words or ()]
        return Heard(words.segments(heard), language, probability)

    def _order(self, uploaded: _Uploaded, options: EngineOptions) -> dict[str, object]:
        order: dict[str, object] = {"audio_url": uploaded.upload_url, "speech_models": [self._remote_model]}
        order.update({"language_code": base(options.language)} if options.language else {"language_detection": True})
        if options.vocabulary:
            order["keyterms_prompt"] = list(options.vocabulary[:_KEYTERMS])
        elif options.prompt:
            order["prompt"] = options.prompt
        return order

    async def _finished(self, transcript: _Transcript) -> _Transcript:
        """The transcript once it is complete. Raises Transient `engine_error` (`engine_slow` when it takes too long)."""
        waited_s, polls = 0.0, 0
        while transcript.status in {"queued", "processing"}:
            pause_s = _POLLS_S[min(polls, len(_POLLS_S) - 1)]
            if waited_s > _LONGEST_S:
                raise Transient("engine_slow")
            await asyncio.sleep(pause_s * self._poll_scale)
            waited_s, polls = waited_s + pause_s, polls + 1
            transcript = decoded(await self.request("GET", _path(transcript.id)), _Transcript)
        said = (transcript.error or "").lower()
        if transcript.status == "completed" or any(phrase in said for phrase in _NOBODY_SPEAKS):
            return transcript
        raise QuotaExceeded() if any(word in said for word in _MONEY) else Transient("engine_error")

    async def _forget(self, transcript_id: str) -> None:
        with contextlib.suppress(TiroError):
            await self.request("DELETE", _path(transcript_id))

    def refused(self, answer: httpx2.Response) -> TiroError:
        """As everywhere, but money has no status of its own here."""
        try:
            said = msgspec.json.decode(answer.content, type=_Fault).error.lower()
        except msgspec.MsgspecError:
            said = ""
        return refusal(answer, out_of_money=answer.status_code in {400, 403} and any(word in said for word in _MONEY))


def _path(transcript_id: str) -> str:
    """The id is the server's word: it leads nowhere else."""
    return f"/v2/transcript/{quote(transcript_id, safe='')}"


def _word(word: _Word, window_s: float) -> HeardWord:
    start_s, end_s = (round(min(max(ms / 1000, 0.0), window_s), 3) for ms in sorted((word.start, word.end)))
    return HeardWord(" " + word.text, start_s, end_s, round(min(max(word.confidence, 0.0), 1.0), 4))
