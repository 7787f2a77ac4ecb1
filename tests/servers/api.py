"""Fixtures: the real HTTP server on a free port, over SQLite, a folder and a Temporal that only remembers."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import pytest
import pytest_asyncio
import uvicorn

from api.app import create_app
from api.config import ApiConfig, RequestLimits
from api.server import server_config
from tests.servers.audio import tone_wav
from tiro.adapters.database.migrate import migrate
from tiro.adapters.fakes import RecordedOrchestrator
from tiro.model.account import Account
from tiro.model.blob import transcript_key
from tiro.model.job import Job, JobPatch
from tiro.model.media import Span, SpanPlan
from tiro.model.transcript import Segment, SpeakerInfo, Transcript, Word
from tiro.ports import Clock
from tiro.services.ending import Fault
from tiro.services.house import House
from tiro.settings import read
from tiro.wiring import build_house

ADMIN = "admin-token-of-the-tests"
PUBLIC_URL = "https://tiro.example"
TOKEN_KEY = b"k" * 64


class Api:
    """A running server with one account; `key` is its API key. `house` is what the server works with."""

    def __init__(self, house: House, orchestrator: RecordedOrchestrator, port: int, account: Account, key: str) -> None:
        self.house, self.orchestrator, self.port, self.account, self.key = house, orchestrator, port, account, key
        self.url = f"http://127.0.0.1:{port}"
        self.http = self._client("", key)

    @staticmethod
    def bearer(credential: str) -> dict[str, str]:
        return {"Authorization": f"Bearer {credential}"}

    def admin(self) -> httpx2.AsyncClient:
        return self._client("/_admin", ADMIN)

    def _client(self, path: str, credential: str) -> httpx2.AsyncClient:
        """Nothing is verified on plain http: reading the world's certificates would cost each test more than its requests."""
        return httpx2.AsyncClient(
            base_url=f"{self.url}{path}", headers=self.bearer(credential), timeout=30, trust_env=False, verify=False
        )

    async def account_with_key(self, **wishes: Any) -> tuple[Account, str]:
        account = await self.house.accounts.create("another", wishes.pop("plan", "pro"), **wishes)
        return account, (await self.house.accounts.create_key(account.account_id, "test")).text

    async def submit(self, **fields: str) -> str:
        """The id of a new job with a tone of two seconds."""
        answer = await self.http.post("/jobs", files={"file": ("tone.wav", tone_wav(2.0))}, data=fields)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["job_id"])

    async def run_until(self, job_id: str, spans_done: int = 0) -> Job:
        """As a worker would: claim the job and finish some of its two spans."""
        await self.house.dispatch.once()
        job = await self.house.line.begin(job_id, 1, "test")
        assert job is not None
        spans = tuple(Span(n, 0, n * 1.0, n + 1.0, speech=((n * 1.0, n + 1.0),)) for n in range(2))
        await self.house.line.prepared(job, SpanPlan("plan", "mono", spans, decoded_s=2.0))
        for index in range(spans_done):
            await self.house.line.span_done(job_id, 1, "plan", index, self.house.line.hearing(job))
        return await self.house.jobs.get(job_id)

    async def complete(self, job_id: str, made: Transcript | None = None) -> None:
        await self.run_until(job_id, spans_done=2)
        patch = JobPatch(engine="scripted_primary", language="en", diarizer="acoustic")
        await self.house.line.patch(job_id, 1, patch)
        body = msgspec.json.encode(made or transcript(job_id))
        await asyncio.to_thread(self.house.blobs.put, transcript_key(job_id), body)
        await self.house.endings.end(job_id, 1, "completed")

    async def fail(self, job_id: str, code: str, reason: str | None = None, **extras: Any) -> None:
        await self.run_until(job_id)
        await self.house.endings.end(job_id, 1, "failed", Fault(code, reason, extras))

    async def raw(self, data: bytes, then: bytes = b"", wait_s: float = 0.0, *, half_close: bool = False) -> bytes:
        """Send bytes as they are; everything that comes back until the server closes, or three seconds pass."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        writer.write(data)
        await writer.drain()
        if then:
            await asyncio.sleep(wait_s)
            writer.write(then)
            await writer.drain()
        if half_close:
            writer.write_eof()
        got = b""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(3):
                while chunk := await reader.read(65536):
                    got += chunk
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        return got


def transcript(job_id: str) -> Transcript:
    """Two speakers, one sentence each, times and confidences with more digits than are shown."""
    words = (
        Word("So", 0.42049, 0.6, 0.98765, 0),
        Word("tell.", 0.6, 0.9, 0.9, 0),
    )
    reply = (Word("Yes.", 1.0, 1.5, 0.5, 1),)
    return Transcript(
        job_id=job_id,
        language="en",
        language_detected=True,
        duration_s=2.0,
        engine="scripted_primary",
        fallback=False,
        diarizer="acoustic",
        speakers=(SpeakerInfo(0, 0.7511), SpeakerInfo(1)),
        segments=(
            Segment(0.42049, 0.9, "So tell.", 0, 0.93, "scripted_primary", words),
            Segment(1.0, 1.5, "Yes.", 1, 0.5, "scripted_primary", reply),
        ),
    )


ApiMaker = Callable[..., Awaitable[Api]]


@pytest.fixture(scope="session")
def api_database(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("api") / "template.db"
    migrate(f"sqlite:///{file}")
    return file


@pytest.fixture
async def make_api(tmp_path: Path, api_database: Path) -> AsyncIterator[ApiMaker]:
    async with apis(tmp_path, api_database) as make:
        yield make


@contextlib.asynccontextmanager
async def apis(tmp_path: Path, api_database: Path) -> AsyncIterator[ApiMaker]:
    """Start a server; `change` may exchange ports of its house, `limits` its limits; `environ` sets more of its settings."""
    async with contextlib.AsyncExitStack() as stack:

        async def make(
            change: Callable[[House], House] = lambda house: house,
            limits: RequestLimits | None = None,
            plan: str = "business",
            unmetered: bool = True,
            environ: Mapping[str, str] | None = None,
            clock: Clock | None = None,
            token_key: bytes = TOKEN_KEY,
        ) -> Api:
            folder = tmp_path / f"api-{len(list(tmp_path.iterdir()))}"
            folder.mkdir()
            (folder / "tiro.db").write_bytes(api_database.read_bytes())
            orchestrator = RecordedOrchestrator()
            house = change(build_house(house_settings(folder, environ or {}), orchestrator, clock))
            account = await house.accounts.create("first", plan, unmetered=unmetered)
            key = (await house.accounts.create_key(account.account_id, "test")).text
            config = ApiConfig(
                public_url=PUBLIC_URL,
                token_key=token_key,
                admin_token=ADMIN,
                limits=limits or RequestLimits(),
            )
            port = await stack.enter_async_context(_serving(house, config))
            api = Api(house, orchestrator, port, account, key)
            stack.push_async_callback(api.http.aclose)
            return api

        yield make


@pytest.fixture
async def api(make_api: ApiMaker) -> Api:
    return await make_api()


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def lasting_api(tmp_path_factory: pytest.TempPathFactory, api_database: Path) -> AsyncIterator[Api]:
    """One server for all tests of a file; they are marked `asyncio(loop_scope="module")`, and each finds what the others left."""
    async with apis(tmp_path_factory.mktemp("lasting"), api_database) as make:
        yield await make()


def house_settings(folder: Path, environ: Mapping[str, str]) -> Any:
    """Of a house whose database, store and scratch lie in a folder."""
    return read(
        {
            "TIRO_DATABASE_URL": f"sqlite:///{folder / 'tiro.db'}",
            "TIRO_BLOBS": (folder / "blobs").as_uri(),
            "TIRO_SECRET_KEY": base64.b64encode(b"s" * 32).decode(),
            "TIRO_ENGINES": "scripted",
            "TIRO_PUBLIC_URL": PUBLIC_URL,
            "TIRO_SCRATCH": str(folder),
            **environ,
        }
    )


@contextlib.asynccontextmanager
async def _serving(house: House, config: ApiConfig) -> AsyncIterator[int]:
    """The port that the server listens on."""
    listener = socket.create_server(("127.0.0.1", 0))
    server = uvicorn.Server(server_config(create_app(house, config), "127.0.0.1", 0, stop_within_s=1))
    with contextlib.ExitStack() as quiet:
        setattr(server, "capture_signals", contextlib.nullcontext)  # noqa: B010 (pytest keeps its own)
        serving = asyncio.create_task(server.serve(sockets=[listener]))
        quiet.callback(listener.close)
        while not server.started and not serving.done():
            await asyncio.sleep(0.01)
        try:
            yield int(listener.getsockname()[1])
        finally:
            server.should_exit = True
            await serving
            await asyncio.to_thread(house.preparer.close)
            await house.records.close()
