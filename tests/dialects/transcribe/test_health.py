"""Whether the server answers: for everybody, and nothing else."""

from __future__ import annotations

import asyncio
import threading

import msgspec
import pytest

from tests.servers.api import Api, ApiMaker
from tiro.model.errors import Transient
from tiro.services.house import House


@pytest.mark.promise("T41")
async def test_who_has_no_key_may_ask(api: Api) -> None:
    answer = await api.http.get("/health", headers={"Authorization": ""})
    assert (answer.status_code, answer.json()) == (200, {"status": "ok"})


@pytest.mark.promise("T41")
async def test_a_store_that_is_away_is_a_503(make_api: ApiMaker) -> None:
    class Away:
        def head(self, key: str) -> object:
            raise Transient("store_unavailable", "at 10.0.0.7")

    api = await make_api(change=lambda house: msgspec.structs.replace(house, blobs=Away()))
    answer = await api.http.get("/health")
    assert (answer.status_code, answer.json()) == (503, {"status": "store_unavailable"})


@pytest.mark.promise("T41")
async def test_a_store_that_hangs_is_a_503_and_holds_one_thread(
    make_api: ApiMaker, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many ask; once it answers again, so does the server."""
    monkeypatch.setattr("api.health.WITHIN_S", 0.1)

    class Hangs:
        def __init__(self, house: House) -> None:
            self.house, self.asked, self.free = house, 0, threading.Event()

        def head(self, key: str) -> object:
            self.asked += 1
            self.free.wait(30)
            return self.house.blobs.head(key)

    made: list[Hangs] = []

    def hanging(house: House) -> House:
        made.append(Hangs(house))
        return msgspec.structs.replace(house, blobs=made[0])

    api = await make_api(change=hanging)
    answers = await asyncio.gather(*(api.http.get("/health") for _ in range(50)))
    assert {(answer.status_code, answer.text) for answer in answers} == {(503, '{"status":"unavailable"}')}
    assert made[0].asked == 1
    made[0].free.set()
    async with asyncio.timeout(20):
        while (await api.http.get("/health")).status_code != 200:
            await asyncio.sleep(0.05)
