"""Any server with OpenAI's audio API (a hosted one, vLLM, Speaches, ...) as an engine."""

from __future__ import annotations

import math
from collections.abc import Sequence

import msgspec

from tiro.adapters.engines import words
from tiro.adapters.engines.abilities import Abilities, base
from tiro.adapters.engines.hosted import UNMEASURED, HostedEngine, HttpFactory, decoded, wav
from tiro.adapters.engines.languages import code
from tiro.model.media import SAMPLE_RATE_HZ
from tiro.model.speech import EngineOptions, Heard, HeardSegment, HeardWord
from tiro.ports import Samples, Urgency

_NO_SPEECH_LIMIT = 0.6
_LOGPROB_LIMIT = -1.0


class _Word(msgspec.Struct):
    word: str
    start: float
    end: float
    probability: float | None = None


class _Segment(msgspec.Struct):
    start: float
    end: float
    text: str
    avg_logprob: float | None = None
    no_speech_prob: float | None = None
    words: list[_Word] | None = None


class _Verbose(msgspec.Struct):
    text: str
    language: str | None = None
    segments: list[_Segment] | None = None
    words: list[_Word] | None = None


class OpenAiEngine(HostedEngine):
    """Asks for words with times; where the server has none, spreads a segment's (or the window's) words over its time."""

    def __init__(self, url: str, key: str | None, model: str, abilities: Abilities, http: HttpFactory) -> None:
        super().__init__(abilities, url, {"Authorization": f"Bearer {key}"} if key else {}, http)
        self._remote_model = model
        # the gpt models answer plain JSON only
        self._verbose = not model.startswith("gpt-")

    async def transcribe(self, windows: Sequence[Samples], options: EngineOptions, urgency: Urgency) -> list[Heard]:
        if options.task == "translate" and options.language is None and windows:
            # of what it has translated the service says that it was English
            (found,) = await self.detect(windows[:1], urgency)
            options = msgspec.structs.replace(options, language=max(found, key=lambda one: found[one], default=None))
        return await self.each(windows, lambda window: self._hear(window, options))

    async def detect(self, windows: Sequence[Samples], urgency: Urgency) -> list[dict[str, float]]:
        heard = await self.transcribe(windows, EngineOptions(), urgency)
        return [{one.language: 1.0} if one.language else {} for one in heard]

    async def _hear(self, window: Samples, options: EngineOptions) -> Heard:
        path = "/audio/translations" if options.task == "translate" else "/audio/transcriptions"
        answer = await self.request(
            "POST", path, data=self._fields(options), files={"file": ("window.wav", wav(window), "audio/wav")}
        )
        verbose = decoded(answer, _Verbose)
        heard = _segments(verbose, len(window) / SAMPLE_RATE_HZ)
        told = code(verbose.language) if options.task == "transcribe" else None
        return Heard(heard, options.language or told)

    def _fields(self, options: EngineOptions) -> dict[str, str | list[str]]:
        fields: dict[str, str | list[str]] = {"model": self._remote_model, "temperature": "0"}
        fields["response_format"] = "verbose_json" if self._verbose else "json"
        if options.language and options.task == "transcribe":
            fields["language"] = base(options.language)
        if self._verbose and options.task == "transcribe":
            fields["timestamp_granularities[]"] = ["word", "segment"]
        hints = ", ".join(options.vocabulary)
        prompt = " ".join(filter(None, [hints, options.prompt]))
        if prompt:
            fields["prompt"] = prompt
        return fields


def _segments(verbose: _Verbose, window_s: float) -> tuple[HeardSegment, ...]:
    spoken = [segment for segment in verbose.segments or () if not _silent(segment) and segment.text.strip()]
    if not spoken:
        if verbose.segments or not verbose.text.strip():
            return ()
        spoken = [_Segment(0.0, window_s, verbose.text)]
    timed = verbose.words or [word for segment in spoken for word in segment.words or ()]
    return tuple(_segment(segment, _inside(timed, spoken, n), window_s) for n, segment in enumerate(spoken))


def _segment(segment: _Segment, timed: Sequence[_Word], window_s: float) -> HeardSegment:
    confidence = UNMEASURED if segment.avg_logprob is None else min(1.0, math.exp(min(segment.avg_logprob, 0.0)))
    start_s, end_s = sorted((_within(segment.start, window_s), _within(segment.end, window_s)))
    heard = tuple(_word(word, confidence, window_s) for word in timed if word.word.strip())
    heard = heard or words.spread(segment.text, start_s, end_s, round(confidence, 4))
    return HeardSegment(heard[0].start_s, heard[-1].end_s, segment.text.strip(), heard, round(confidence, 4))


def _inside(timed: Sequence[_Word], spoken: Sequence[_Segment], n: int) -> list[_Word]:
    """The words whose middle lies before this segment's end and not before the last one's; the last segment takes the rest."""
    first = spoken[n - 1].end if n else -math.inf
    last = spoken[n].end if n < len(spoken) - 1 else math.inf
    return [word for word in timed if first <= (word.start + word.end) / 2 < last]


def _word(word: _Word, confidence: float, window_s: float) -> HeardWord:
    start_s, end_s = sorted((_within(word.start, window_s), _within(word.end, window_s)))
    measured = confidence if word.probability is None else min(max(word.probability, 0.0), 1.0)
    return HeardWord(word.word.strip(), start_s, end_s, round(measured, 4))


def _silent(segment: _Segment) -> bool:
    return (segment.no_speech_prob or 0.0) > _NO_SPEECH_LIMIT and (segment.avg_logprob or 0.0) < _LOGPROB_LIMIT


def _within(time_s: float, window_s: float) -> float:
    return round(min(max(time_s, 0.0), window_s), 3)
