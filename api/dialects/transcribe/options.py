"""What may a request choose? The fields that a sync form and the JSON of a job share, checked once for both."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from tiro.model.account import Account
from tiro.model.errors import Invalid
from tiro.model.languages import LANGUAGES
from tiro.model.request import CueSize, JobOptions
from tiro.model.speech import EngineFacts, Task, chosen
from tiro.render.documents import OMISSIBLE

DEFAULT_MODEL = "whisper-large-v3-turbo"
ALIASES: frozenset[str] = frozenset(
    {
        DEFAULT_MODEL,
        "whisper-1",
        "gpt-transcribe",
        "gpt-4o-transcribe",
        "gpt-4o-mini-transcribe",
        "gpt-4o-transcribe-diarize",
    }
)
"""Ids that mean whatever the server uses; the answer says what that was."""
PROMPT_BYTES = 4096
REFERENCE_CHARS = 128
_SPELLINGS = {"jv": "jw"}
_ANY_LANGUAGE = {"", "auto"}


class Choices(msgspec.Struct, frozen=True, kw_only=True):
    """The fields as they are sent, in forms and in JSON alike. None: not sent, and the default holds."""

    model: str | None = None
    language: str | None = None
    task: Task | None = None
    vad_filter: bool | None = None
    initial_prompt: str | None = None
    vtt_granularity: CueSize | None = None
    exclude: str | None = None


def chain_of(account: Account, chain: Sequence[EngineFacts]) -> tuple[EngineFacts, ...]:
    """What this account may ask for by name: where its operator chose engines for it, those and no others."""
    return chosen(chain, account.engines)


def options_of(asked: Choices, chain: Sequence[EngineFacts], code: str = "invalid_request_options") -> JobOptions:
    """Raises Invalid `code` with `param`."""
    try:
        return JobOptions(
            language=language_of(asked.language),
            diarize=False,
            task=asked.task or "transcribe",
            prompt=_prompt_of(asked.initial_prompt),
            engines=_engines_of(asked.model or DEFAULT_MODEL, chain),
            vad=bool(asked.vad_filter),
            cues=asked.vtt_granularity or "sentence",
            omit=_omitted(asked.exclude or ""),
            moving_pictures=False,
        )
    except Invalid as wrong:
        raise Invalid(code, wrong.message, **wrong.extras) from None


def language_of(text: str | None) -> str | None:
    """None: found by listening. Raises Invalid."""
    if text is None or text in _ANY_LANGUAGE:
        return None
    code = _SPELLINGS.get(text, text)
    if code not in LANGUAGES:
        raise _wrong("language", "is one of the documented codes, such as en; leave it out to have it detected")
    return code


def reference_of(text: str | None, code: str = "invalid_request_options") -> str | None:
    """The client's own name for a recording, as it was sent. Raises Invalid `code`."""
    if text is not None and len(text) > REFERENCE_CHARS:
        raise Invalid(code, f"reference_id has at most {REFERENCE_CHARS} characters.", param="reference_id")
    return text or None


def _prompt_of(text: str | None) -> str | None:
    if text is not None and len(text.encode("utf-8", "surrogatepass")) > PROMPT_BYTES:
        raise _wrong("initial_prompt", f"has at most {PROMPT_BYTES} bytes")
    return text or None


def _engines_of(model: str, chain: Sequence[EngineFacts]) -> tuple[str, ...]:
    """() is the whole chain. An engine of the chain may be asked for by name."""
    if model in ALIASES:
        return ()
    named = tuple(facts.id for facts in chain if model in {facts.id, facts.model})
    if not named:
        raise _wrong("model", f"is not known; leave it out, or send {DEFAULT_MODEL}")
    return named


def _omitted(text: str) -> tuple[str, ...]:
    """Names with commas between them, in the order of the table, so that the same wish is the same."""
    wanted = {name.strip() for name in text.split(",")} - {""}
    if wanted - OMISSIBLE.keys():
        raise _wrong("exclude", f"names fields of {', '.join(OMISSIBLE)}, with commas between them")
    return tuple(name for name in OMISSIBLE if name in wanted)


def _wrong(param: str, why: str) -> Invalid:
    return Invalid("invalid_request_options", f"{param} {why}.", param=param)
