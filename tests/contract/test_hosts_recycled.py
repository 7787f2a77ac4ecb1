"""Model hosts that keep more and more memory are replaced, and nobody who waits for words notices."""

from __future__ import annotations

import asyncio
import logging
import os
from pathlib import Path

import msgspec
import pytest

from tests.stubs.moody_hosts import LIMITS, US, WHOLE, ask, hosts_of_ours, pool, spec, texts, window
from tests.stubs.moody_model import FEW, LEAK
from tiro.adapters.engines.hosts.host import Host
from tiro.model.errors import Permanent

STRICT = msgspec.structs.replace(LIMITS, grown_ratio=1.0, grown_bytes=8 * 1024**2, settled_batches=1)
"""A host that keeps 8 MiB more than after its first batch has to go."""


async def caller(hosts, answers):
    answers += texts(await hosts.ask([window(LEAK, size=WHOLE) for _ in range(3)], ask(), US))


@pytest.mark.parametrize(("beside", "ahead"), [(True, False), (False, True), (True, True)])
async def test_a_host_that_leaks_is_replaced_between_batches_and_every_window_is_answered(beside, ahead, caplog):
    answers, calls, seen = [], 0, set()
    with caplog.at_level(logging.INFO):
        async with pool([spec(1, beside=beside, ahead=ahead)], STRICT) as hosts:
            while hosts.figures().recyclings < 2:
                seen |= set(hosts.pids)
                await asyncio.gather(*(caller(hosts, answers) for _ in range(4)))
                calls += 4
            gone = seen - set(hosts.pids)
            assert gone
            assert not [pid for pid in gone if Path(f"/proc/{pid}").exists()]
            figures = hosts.figures()
    assert answers == ["480000 of en"] * 3 * calls
    assert figures.deaths == 0
    assert caplog.text.count("took its place") == figures.recyclings


async def test_a_host_that_nobody_can_follow_stays(monkeypatch, caplog):
    async with pool([spec(1)], STRICT) as hosts:
        (pid,) = hosts.pids

        async def refuse(*_):
            raise Permanent("engine_unavailable")

        monkeypatch.setattr(Host, "spawn", refuse)
        answers = []
        while "stays" not in caplog.text:
            await caller(hosts, answers)
        assert hosts.pids == [pid]
        assert set(answers) == {"480000 of en"}
        assert (hosts.figures().recyclings, hosts.figures().deaths) == (0, 0)


async def test_a_host_that_dies_while_another_loads_to_follow_it_costs_no_window():
    async with pool([spec(1)], STRICT) as hosts:
        (pid,) = hosts.pids
        answers = []
        while len(hosts_of_ours()) < 2:
            await caller(hosts, answers)
        os.kill(pid, 9)
        await caller(hosts, answers)
        assert set(answers) == {"480000 of en"}
        assert hosts.pids != [pid]


async def test_stop_ends_what_loads_to_follow():
    async with pool([spec(1)], STRICT) as hosts:
        while len(hosts_of_ours()) < 2:
            await caller(hosts, [])
        await hosts.stop()
        assert hosts_of_ours() == []


async def test_a_pool_says_what_its_hosts_did():
    async with pool([spec(1)]) as hosts:
        assert hosts.figures().batches == 0
        await hosts.ask([window(size=WHOLE), window(size=WHOLE), window(size=16_000)], ask(), US)
        os.kill(hosts.pids[0], 9)
        await hosts.ask([window(size=16_000)], ask(), US)
        figures = hosts.figures()
    assert (figures.windows, figures.batches, figures.audio_s) == (4, 4, 62.0)
    assert (figures.deaths, figures.recyclings) == (1, 0)
    assert figures.busy_s > 0


async def test_a_model_that_answers_too_few_windows_fails_those_only():
    async with pool() as hosts:
        answers = await hosts.ask([window(), window(FEW), window()], ask(), US)
    assert [answer.failed for answer in answers] == [False, True, False]
