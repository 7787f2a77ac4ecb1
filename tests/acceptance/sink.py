"""A webhook's receiver that is down, moody or up, and remembers what it was sent."""

from __future__ import annotations

import hashlib
import hmac
import threading
from collections.abc import Callable

import msgspec

from tests.servers.scripted_http import ScriptedHttp, Visit

SIGNATURE = "x-transcription-signature"


class Sent(msgspec.Struct, frozen=True):
    """One attempt as the receiver saw it. `status` None: it hung up without an answer."""

    body: bytes
    signature: str
    status: int | None

    @property
    def event_id(self) -> str:
        return str(msgspec.json.decode(self.body)["id"])

    @property
    def job_id(self) -> str:
        return str(msgspec.json.decode(self.body)["job_id"])


class Sink:
    """`answer` decides each status (None: hang up); `taken` runs after the answer is on its way."""

    def __init__(self) -> None:
        self.answer: Callable[[int], int | None] = lambda number: 200
        self.before: Callable[[], None] = lambda: None
        self.after: Callable[[], None] = lambda: None
        self.sent: list[Sent] = []
        self._lock = threading.Lock()
        self._http = ScriptedHttp({"/hook": self._take})

    @property
    def url(self) -> str:
        return self._http.url("/hook")

    def of_job(self, job_id: str) -> list[Sent]:
        return [one for one in self.sent if one.job_id == job_id]

    def start(self) -> None:
        self._http.__enter__()

    def stop(self) -> None:
        self._http.__exit__()

    def _take(self, visit: Visit) -> None:
        with self._lock:
            self.before()
            status = self.answer(len(self.sent) + 1)
            self.sent.append(Sent(visit.body, visit.headers[SIGNATURE], status))
            if status is None:
                visit.reset()
            else:
                visit.answer(status)
            self.after()


def check_deliveries(sent: list[Sent], secret: str) -> None:
    """One id, the same bytes and a good signature on every attempt."""
    assert len({one.event_id for one in sent}) <= 1
    assert len({one.body for one in sent}) <= 1
    for one in sent:
        expected = hmac.new(secret.encode(), one.body, hashlib.sha256).hexdigest()
        assert hmac.compare_digest(one.signature, expected)
