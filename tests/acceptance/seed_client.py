"""How does a client look that somebody wrote who has read the hosted service's page (the seed of the jobs API) and nothing else?

Standard library only; names, fields and statuses are the page's. Only the base URL is ours.
"""

from __future__ import annotations

import http.client
import http.server
import json
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlencode, urlsplit

VERIFY = """\
import hmac, hashlib
expected = hmac.new(secret.encode(), raw_body, hashlib.sha256).hexdigest()
if not hmac.compare_digest(expected, request.headers["X-Transcription-Signature"]):
    abort(401)
"""
"""The page's own lines, as a reader pastes them."""


class Refused(Exception):
    """What was answered instead of 2xx."""

    def __init__(self, status: int, headers: http.client.HTTPMessage, body: dict[str, Any]) -> None:
        super().__init__(f"{status} {body}")
        self.status, self.headers, self.body = status, headers, body


class Client:
    """Four calls: a token, a job, its state, its transcript."""

    def __init__(self, base: str, api_key: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self._address = urlsplit(base).netloc
        self._api_key = api_key
        self._sleep = sleep
        self.access_token = self.refresh_token = ""
        self.asked: list[str] = []

    def log_in(self) -> dict[str, Any]:
        """Exchange the key."""
        tokens = self._post("/auth/token", {"api_key": self._api_key})
        self.access_token, self.refresh_token = tokens["access_token"], tokens["refresh_token"]
        return tokens

    def submit_file(self, name: str, recording: bytes, *, query: str = "", **fields: str) -> dict[str, Any]:
        """The 202's body; the fields go after the file, as the page lists them."""
        boundary = secrets.token_hex(16)
        kind = f"multipart/form-data; boundary={boundary}"
        pieces = [_part(boundary, f'name="file"; filename="{name}"', recording)]
        pieces += [_part(boundary, f'name="{field}"', value.encode()) for field, value in fields.items()]
        return self._submit(query, b"".join(pieces) + f"--{boundary}--\r\n".encode(), kind)

    def submit_url(self, source_url: str, *, query: str = "", **fields: object) -> dict[str, Any]:
        return self._submit(query, json.dumps({"source_url": source_url, **fields}).encode(), "application/json")

    def job(self, job_id: str) -> dict[str, Any]:
        return dict(json.loads(self._bearing("GET", f"/jobs/{job_id}")[1]))

    def jobs(self, **query: str) -> list[dict[str, Any]]:
        return list(json.loads(self._bearing("GET", f"/jobs?{urlencode(query)}")[1])["jobs"])

    def wait(self, job_id: str, saw: Callable[[str], None] = lambda status: None) -> dict[str, Any]:
        """Poll until the job has ended, each time as much later as Retry-After says."""
        while True:
            headers, body = self._bearing("GET", f"/jobs/{job_id}")
            job: dict[str, Any] = json.loads(body)
            saw(job["status"])
            if job["status"] not in {"queued", "processing"}:
                return job
            self._sleep(int(headers["Retry-After"]))

    def transcript(self, job_id: str, wanted: str = "json") -> tuple[http.client.HTTPMessage, bytes]:
        """Headers, for the type, and the body."""
        return self._bearing("GET", f"/jobs/{job_id}/transcript?format={wanted}")

    def _submit(self, query: str, body: bytes, kind: str) -> dict[str, Any]:
        """Too many: wait as long as the answer says."""
        while True:
            try:
                return dict(json.loads(self._bearing("POST", f"/jobs{query}", body, kind)[1]))
            except Refused as refused:
                if refused.status != 429:
                    raise
                self._sleep(int(refused.headers["Retry-After"]))

    def _bearing(
        self, method: str, path: str, body: bytes | None = None, kind: str = ""
    ) -> tuple[http.client.HTTPMessage, bytes]:
        """With the token; when that has expired, with a fresh one."""
        if not self.access_token:
            self.log_in()
        try:
            return self._ask(method, path, body, kind)
        except Refused as refused:
            if (refused.status, refused.body["error"]) != (401, "token_expired"):
                raise
        self.access_token = self._post("/auth/refresh", {"refresh_token": self.refresh_token})["access_token"]
        return self._ask(method, path, body, kind)

    def _post(self, path: str, document: Mapping[str, str]) -> dict[str, Any]:
        return dict(json.loads(self._ask("POST", path, json.dumps(document).encode(), "application/json")[1]))

    def _ask(self, method: str, path: str, body: bytes | None, kind: str) -> tuple[http.client.HTTPMessage, bytes]:
        self.asked.append(f"{method} {path}")
        headers = {"Content-Type": kind} if kind else {}
        if not path.startswith("/auth/"):
            headers["Authorization"] = f"Bearer {self.access_token}"
        connection = http.client.HTTPConnection(self._address, timeout=30)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
        finally:
            connection.close()
        if answer.status >= 300:
            raise Refused(answer.status, answer.headers, json.loads(content))
        return answer.headers, content


def _part(boundary: str, disposition: str, content: bytes) -> bytes:
    head = f"--{boundary}\r\nContent-Disposition: form-data; {disposition}\r\n\r\n"
    return head.encode() + content + b"\r\n"


class Abort(Exception):
    """What a web framework's `abort` raises."""


def verify(secret: str, raw_body: bytes, request: Any) -> None:
    """Run the page's lines; `request` has headers. Raises Abort."""

    def abort(status: int) -> None:
        raise Abort(status)

    exec(VERIFY, {"secret": secret, "raw_body": raw_body, "request": request, "abort": abort})


class Receiver:
    """The endpoint behind webhook_url. `taken`: (headers, raw body) of what was verified; `turned_away`: statuses; `down`: out of order."""

    def __init__(self, secret: str) -> None:
        self.secret = secret
        self.down = False
        self.turned_away: list[int] = []
        self.taken: list[tuple[http.client.HTTPMessage, bytes]] = []
        self._news = threading.Condition()
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                self.send_response(receiver.take(self))
                self.end_headers()

            def log_message(self, *_: object) -> None:
                """Nothing is said."""

        self._http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}/hooks/transcription"

    def take(self, request: http.server.BaseHTTPRequestHandler) -> int:
        """The status that is answered."""
        raw_body = request.rfile.read(int(request.headers["Content-Length"]))
        status = 503 if self.down else 200
        try:
            verify(self.secret, raw_body, request)
        except Abort as aborted:
            status = int(aborted.args[0])
        with self._news:
            if status == 200:
                self.taken.append((request.headers, raw_body))
            else:
                self.turned_away.append(status)
            self._news.notify_all()
        return status

    def event(self, job_id: str, within_s: float = 60.0) -> dict[str, Any]:
        """The verified event of this job, as soon as it is here."""
        with self._news:
            assert self._news.wait_for(lambda: bool(self._of(job_id)), within_s), f"nothing came of {job_id}"
            (event,) = self._of(job_id)
            return event

    def outage(self, within_s: float = 60.0) -> None:
        """Returns when somebody has come in vain."""
        with self._news:
            assert self._news.wait_for(lambda: 503 in self.turned_away, within_s), "nobody came"

    def _of(self, job_id: str) -> list[dict[str, Any]]:
        events = [json.loads(body) for _, body in self.taken]
        return [event for event in events if event["job_id"] == job_id]

    def __enter__(self) -> Self:
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._http.shutdown()
        self._http.server_close()
