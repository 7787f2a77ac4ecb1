"""Webhooks of jobs that the published clients hand in, checked by a receiver that knows only what the server publishes."""

from __future__ import annotations

import base64
import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from tests.acceptance.sdks import CURRENT, Service, node, python, service
from tests.media_builder import numbered, wav
from tests.servers.scripted_http import ScriptedHttp, Visit

pytestmark = [pytest.mark.timeout(280), pytest.mark.xdist_group("sdk-hooks")]
KEYS = "/.well-known/transcribeapi-webhook-keys.json"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    with service(tmp_path_factory.mktemp("served")) as serving:
        yield serving


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    file = tmp_path / "talk.wav"
    file.write_bytes(wav(numbered(3)))
    return file


class Receiver:
    """`fails`: attempts that it answers with 500 before it takes one."""

    def __init__(self, served: Service, fails: int = 0) -> None:
        self._served = served
        self._fails = fails
        self._taken = threading.Event()
        self.bodies: list[bytes] = []
        self.events: list[dict[str, Any]] = []
        self.http = ScriptedHttp({"/hook": self._take})

    @property
    def url(self) -> str:
        return self.http.url("/hook")

    def event(self) -> dict[str, Any]:
        assert self._taken.wait(90), "nothing came"
        (event,) = self.events
        return event

    def _take(self, visit: Visit) -> None:
        self.bodies.append(visit.body)
        self.verify(visit)
        if len(self.bodies) <= self._fails:
            visit.answer(500)
            return
        self.events.append(json.loads(visit.body))
        visit.answer(200)
        self._taken.set()

    def verify(self, visit: Visit) -> None:
        """The page's steps: key by id, timestamp and body, no older than five minutes. Raises InvalidSignature."""
        document = self._served.get(self._served.url + KEYS).json()
        (key,) = [one for one in document["keys"] if one["kid"] == visit.headers["x-transcribeapi-key-id"]]
        timestamp = visit.headers["x-transcribeapi-timestamp"]
        assert abs(time.time() - int(timestamp)) < 300
        raw = base64.urlsafe_b64decode(key["x"] + "=" * (-len(key["x"]) % 4))
        signature = base64.b64decode(visit.headers["x-transcribeapi-signature"], validate=True)
        Ed25519PublicKey.from_public_bytes(raw).verify(signature, timestamp.encode() + b"." + visit.body)


PYTHON = """
client = TranscribeAPI(apiKey=given["key"], baseUrl=given["base"])
tell(client.transcribe(files=[{"file": given["file"]}], webhookUrl=given["hook"]))
"""
NODE = """
const client = new TranscribeAPI({ apiKey: given.key, baseUrl: given.base });
tell(await client.transcribe({ files: [{ file: given.file }], webhookUrl: given.hook }));
"""


@pytest.mark.parametrize("client", ["python", "node"])
@pytest.mark.promise("T10", "T28")
def test_a_call_with_a_webhook_returns_at_once_and_its_result_is_announced(
    served: Service, talk: Path, client: str
) -> None:
    customer = served.customer()
    receiver = Receiver(served)
    with receiver.http:
        given = {**customer.given, "file": talk, "hook": receiver.url}
        taken = python(CURRENT, PYTHON, **given) if client == "python" else node(NODE, **given)
        event = receiver.event()
    assert taken["job_status"] not in {"completed", "failed"}
    assert (event["type"], event["job_id"], event["status"]) == (
        "transcription.completed",
        taken["job_id"],
        "completed",
    )
    result = served.get(event["result_url"])
    assert "w2" in result.text
    assert served.get(f"{served.url}/v1/transcribe/{taken['job_id']}", customer).json()["status"] == "completed"


@pytest.mark.promise("T1")
def test_a_webhook_that_is_taken_late_leaves_the_result_to_be_fetched(served: Service, talk: Path) -> None:
    customer = served.customer()
    receiver = Receiver(served, fails=1)
    with receiver.http:
        taken = python(CURRENT, PYTHON, file=talk, hook=receiver.url, **customer.given)
        receiver.event()
    assert len(set(receiver.bodies)) == 1
    job = served.get(f"{served.url}/v1/transcribe/{taken['job_id']}", customer).json()
    assert (job["status"], job["job_status"]) == ("result_available", "completed")
    assert served.get(job["result_url"]).status_code == 200


def test_a_receiver_refuses_what_was_altered(served: Service) -> None:
    """So that the other tests can fail."""
    from cryptography.exceptions import InvalidSignature

    document = served.get(served.url + KEYS).json()
    key = document["keys"][0]
    raw = base64.urlsafe_b64decode(key["x"] + "=" * (-len(key["x"]) % 4))
    with pytest.raises(InvalidSignature):
        Ed25519PublicKey.from_public_bytes(raw).verify(bytes(64), b"1.{}")
