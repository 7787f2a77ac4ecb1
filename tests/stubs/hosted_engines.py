"""Servers that speak OpenAI's and AssemblyAI's HTTP APIs on real sockets and hear numbered audio."""

from __future__ import annotations

import io
import itertools
import json
import wave
from email.parser import BytesParser
from email.policy import HTTP
from typing import Any

import numpy as np

from tests.servers.scripted_http import ScriptedHttp, Visit
from tiro.adapters.engines.numbered import hear
from tiro.model.speech import HeardWord

KEY = "sk-right"


def heard(wav: bytes) -> tuple[list[HeardWord], float]:
    """The words, and the seconds of audio."""
    with wave.open(io.BytesIO(wav)) as file:
        assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (16_000, 1, 2)
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / 32768
    return hear(samples), len(samples) / 16_000


def reply(visit: Visit, document: object, status: int = 200, **headers: str) -> None:
    visit.answer(status, json.dumps(document).encode(), {"Content-Type": "application/json", **headers})


def form(visit: Visit) -> dict[str, list[Any]]:
    """The parts of a multipart body by name."""
    head = f"Content-Type: {visit.headers['content-type']}\r\n\r\n".encode()
    parts: dict[str, list[Any]] = {}
    for part in BytesParser(policy=HTTP).parsebytes(head + visit.body).iter_parts():
        name = part.get_param("name", header="content-disposition")
        raw = part.get_payload(decode=True)
        parts.setdefault(name, []).append(raw if part.get_filename() else raw.decode())
    return parts


class OpenAiStub(ScriptedHttp):
    """`plain`: segments without words. `say` overrides the next answers: (status, document, headers)."""

    def __init__(self, *, plain: bool = False) -> None:
        super().__init__({"/v1/audio/transcriptions": self._hear, "/v1/audio/translations": self._hear})
        self.plain = plain
        self.say: list[tuple[int, object, dict[str, str]]] = []
        self.forms: list[dict[str, list[Any]]] = []

    def _hear(self, visit: Visit) -> None:
        if self.say:
            status, document, headers = self.say.pop(0)
            return reply(visit, document, status, **headers)
        if visit.headers.get("authorization") != f"Bearer {KEY}":
            return reply(visit, {"error": {"code": "invalid_api_key", "type": "invalid_request_error"}}, 401)
        fields = form(visit)
        self.forms.append(fields)
        words, length_s = heard(fields["file"][0])
        text = " ".join(word.text for word in words)
        document: dict[str, object] = {"text": text}
        if fields["response_format"] == ["verbose_json"]:
            document |= {"task": "transcribe", "language": "english", "duration": length_s, "segments": []}
            if words:
                document["segments"] = [
                    {
                        "start": words[0].start_s,
                        "end": words[-1].end_s,
                        "text": text,
                        "avg_logprob": -0.2,
                        "no_speech_prob": 0.01,
                    }
                ]
            if "timestamp_granularities[]" in fields and not self.plain:
                document["words"] = [{"word": word.text, "start": word.start_s, "end": word.end_s} for word in words]
        return reply(visit, document)


class AssemblyAiStub(ScriptedHttp):
    """A transcript is complete when it has been asked for twice. `say` overrides answers by (method, path's last noun)."""

    def __init__(self) -> None:
        super().__init__({"/v2/upload": self._upload, "/v2/transcript": self._order})
        self.say: dict[str, tuple[int, object]] = {}
        self.error: str | None = None
        self.orders: list[dict[str, Any]] = []
        self.deleted: list[str] = []
        self._numbers = itertools.count(1)
        self._uploads: dict[str, bytes] = {}
        self._asked: dict[str, int] = {}
        self._audio: dict[str, bytes] = {}

    def _allowed(self, visit: Visit, noun: str) -> bool:
        if noun in self.say:
            status, document = self.say[noun]
            reply(visit, document, status)
            return False
        if visit.headers.get("authorization") != KEY:
            reply(visit, {"error": "Authentication error, API token missing/invalid"}, 401)
            return False
        return True

    def _upload(self, visit: Visit) -> None:
        if self._allowed(visit, "upload"):
            url = f"https://cdn.test/upload/{next(self._numbers)}"
            self._uploads[url] = visit.body
            reply(visit, {"upload_url": url})

    def _order(self, visit: Visit) -> None:
        if self._allowed(visit, "order"):
            order = json.loads(visit.body)
            self.orders.append(order)
            name = f"t{next(self._numbers)}"
            self._audio[name] = self._uploads.pop(order["audio_url"])
            self._asked[name] = 0
            self.scripts[f"/v2/transcript/{name}"] = self._transcript
            reply(visit, {"id": name, "status": "queued"})

    def _transcript(self, visit: Visit) -> None:
        if not self._allowed(visit, "poll"):
            return None
        name = visit.path.rsplit("/", 1)[1]
        if visit.method == "DELETE":
            self.deleted.append(name)
            return reply(visit, {"id": name, "status": "completed"})
        self._asked[name] += 1
        if self._asked[name] < 2:
            return reply(visit, {"id": name, "status": "processing"})
        if self.error:
            return reply(visit, {"id": name, "status": "error", "error": self.error})
        words, _ = heard(self._audio[name])
        said = [
            {
                "text": w.text,
                "start": round(w.start_s * 1000),
                "end": round(w.end_s * 1000),
                "confidence": 0.9,
                "speaker": None,
            }
            for w in words
        ]
        return reply(
            visit,
            {"id": name, "status": "completed", "words": said, "language_code": "en_us", "language_confidence": 0.97},
        )
