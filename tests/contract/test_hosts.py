"""Model hosts: whatever a model does, the other windows get their answers, and nothing is left behind."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

import pytest

from tests.stubs.moody_hosts import LIMITS, US, WHOLE, ask, hosts_of_ours, pool, spec, texts, window
from tests.stubs.moody_model import DIE, GROW, HANG, RAISE, SLOW
from tiro.adapters.engines.hosts.host import Host, HostLimits
from tiro.adapters.engines.hosts.pool import Killers, Pool
from tiro.adapters.engines.hosts.protocol import Ask
from tiro.model.errors import Permanent, Transient
from tiro.ports import Urgency


async def test_answers_come_in_order_with_each_windows_own_audio():
    async with pool() as hosts:
        answers = await hosts.ask([window(size=n) for n in (100, 480_000, 300, 2, 500)], ask(), US)
    assert texts(answers) == ["100 of en", "480000 of en", "300 of en", "2 of en", "500 of en"]


async def test_languages_are_detected_per_window():
    async with pool() as hosts:
        answers = await hosts.ask([window(), window()], Ask(detect=True), US)
    assert [answer.languages for answer in answers] == [{"en": 0.75, "de": 0.25}] * 2


async def test_only_the_window_that_kills_alone_fails_and_the_second_time_for_good():
    async with pool() as hosts:
        jobs = [hosts.ask([window(mood, name)], ask(), US) for mood, name in ((0, 0.1), (DIE, 0.2), (0, 0.3))]
        first = await asyncio.gather(*jobs, return_exceptions=True)
        assert [texts(first[0]), texts(first[2])] == [["1600 of en"], ["1600 of en"]]
        assert isinstance(first[1], Transient)
        assert first[1].code == "engine_crash"
        with pytest.raises(Permanent) as second:
            await hosts.ask([window(DIE, 0.2)], ask(), US)
        assert second.value.code == "engine_crash"
        assert texts(await hosts.ask([window()], ask(), US)) == ["1600 of en"]


async def test_a_host_that_is_killed_from_outside_costs_no_window():
    async with pool() as hosts:
        call = asyncio.create_task(hosts.ask([window(SLOW, n / 10) for n in range(4)], ask(), US))
        await asyncio.sleep(0.3)
        os.kill(hosts.pids[0], 9)
        assert len(await call) == 4


async def test_a_batch_past_its_deadline_is_killed_and_its_other_windows_answered():
    async with pool(limits=HostLimits(load_s=60, batch_s=1.5, batch_s_per_audio_s=0)) as hosts:
        jobs = [hosts.ask([window(mood)], ask(), US) for mood in (HANG, 0.0)]
        hung, fine = await asyncio.gather(*jobs, return_exceptions=True)
        assert isinstance(hung, Transient)
        assert hung.code == "engine_crash"
        assert texts(fine) == ["1600 of en"]


async def test_a_host_that_outgrows_its_memory_is_killed():
    async with pool(
        limits=HostLimits(load_s=60, batch_s=20, batch_s_per_audio_s=0, memory_bytes=180 * 1024**2)
    ) as hosts:
        with pytest.raises(Transient) as failed:
            await hosts.ask([window(GROW)], ask(), US)
        assert failed.value.code == "engine_crash"


async def test_an_error_of_the_model_fails_its_window_only_and_keeps_the_host():
    async with pool() as hosts:
        before = hosts.pids
        answers = await hosts.ask([window(), window(RAISE), window()], ask(), US)
        assert [answer.failed for answer in answers] == [False, True, False]
        assert hosts.pids == before


async def test_windows_of_different_jobs_share_a_batch_and_different_options_never_do(tmp_path):
    marks = tmp_path / "marks"
    async with pool([spec(max_batch=8, marks=str(marks))]) as hosts:
        calls = [
            hosts.ask([window(name=n / 10)], ask(prompt=p), Urgency(f"job_{n}"))
            for n, p in ((1, "a"), (2, "b"), (3, "a"), (4, "b"))
        ]
        await asyncio.gather(*calls)
    assert marks.read_text().splitlines() == ["a:2:0.1,0.3", "b:2:0.2,0.4"]


async def test_more_urgent_windows_are_taken_first(tmp_path):
    marks = tmp_path / "marks"
    async with pool([spec(max_batch=1, marks=str(marks))]) as hosts:
        busy = asyncio.create_task(hosts.ask([window(SLOW, 0.1, WHOLE)], ask(), US))
        await asyncio.sleep(0.1)
        later = asyncio.create_task(hosts.ask([window(name=0.2, size=WHOLE)], ask(), Urgency("batch", 4)))
        await asyncio.sleep(0)
        await asyncio.gather(busy, later, hosts.ask([window(name=0.3, size=WHOLE)], ask(), Urgency("sync", 1)))
    assert [line.split(":")[2] for line in marks.read_text().splitlines()] == ["0.1", "0.3", "0.2"]


async def test_cancelling_drops_the_windows_that_wait(tmp_path):
    marks = tmp_path / "marks"
    async with pool([spec(max_batch=1, marks=str(marks))]) as hosts:
        call = asyncio.create_task(hosts.ask([window(SLOW, n / 10, WHOLE) for n in (1, 2, 3)], ask(), US))
        while not marks.exists():
            await asyncio.sleep(0.01)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        await hosts.ask([window(name=0.9)], ask(), US)
    assert [line.split(":")[2] for line in marks.read_text().splitlines()] == ["0.1", "0.9"]


async def test_a_model_that_does_not_load_is_engine_unavailable_and_leaves_no_process():
    hosts = Pool([spec(), spec(name="broken")], LIMITS)
    with pytest.raises(Permanent) as failed:
        await hosts.start()
    assert failed.value.code == "engine_unavailable"
    assert hosts.pids == []
    assert not hosts_of_ours()


async def test_stop_fails_what_waits_and_leaves_no_process_and_no_shared_memory():
    shared, opened = in_memory(), descriptors()
    async with pool([spec(max_batch=1), spec(max_batch=1)]) as hosts:
        calls = [asyncio.create_task(hosts.ask([window(SLOW)], ask(), US)) for _ in range(6)]
        await asyncio.sleep(0.1)
        await hosts.stop()
        ends = await asyncio.gather(*calls, return_exceptions=True)
    assert {end.code for end in ends} == {"engine_stopped"}
    assert not hosts_of_ours()
    assert in_memory() == shared
    assert descriptors() <= opened


async def test_a_host_dies_with_its_parent():
    script = (
        "import asyncio, os, signal\n"
        "from tiro.adapters.engines.hosts.host import Host, HostLimits\n"
        "from tiro.adapters.engines.hosts.protocol import Spec\n"
        "async def main():\n"
        "    host = await Host.spawn(Spec('tests.stubs.moody_model:load', {}, 1), HostLimits())\n"
        "    print(host.pid, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(main())\n"
    )

    parent = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        script,
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
    )
    said, _ = await parent.communicate()
    pid = int(said)
    async with asyncio.timeout(5):
        while _alive(pid):
            await asyncio.sleep(0.02)


async def test_a_host_has_its_own_group_lower_priority_and_none_of_our_secrets(monkeypatch):
    monkeypatch.setenv("TIRO_SECRET_KEY", "do-not-pass-me-on")
    host = await Host.spawn(spec(), LIMITS)
    try:
        environ = Path(f"/proc/{host.pid}/environ").read_bytes()
        assert b"do-not-pass-me-on" not in environ
        assert b"OMP_NUM_THREADS=1" in environ
        assert os.getpgid(host.pid) == host.pid
        assert os.getpriority(os.PRIO_PROCESS, host.pid) >= min(19, os.getpriority(os.PRIO_PROCESS, 0) + 10)
    finally:
        await host.end()
        await host.end()


def test_killers_are_remembered_only_so_long():
    killers = Killers(capacity=2)
    codes = [type(killers.verdict(window(name=n))).__name__ for n in (0.1, 0.2, 0.1, 0.3, 0.4, 0.1)]
    assert codes == ["Transient", "Transient", "Permanent", "Transient", "Transient", "Transient"]


def _alive(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except FileNotFoundError:
        return False


def in_memory():
    return {entry.name for entry in Path("/dev/shm").iterdir() if "tiro" in entry.name or "psm" in entry.name}


def descriptors():
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_a_host_that_cannot_come_back_fails_its_batch_in_passing_and_the_pool_goes_on(monkeypatch):
    spawn = Host.spawn
    async with pool() as hosts:
        for error in (OSError("no more processes"), Permanent("engine_unavailable"), ValueError("a mistake of ours")):

            async def refuse(*_, error=error):
                raise error

            monkeypatch.setattr(Host, "spawn", refuse)
            os.kill(hosts.pids[0], 9)
            with pytest.raises(Transient):
                await asyncio.wait_for(hosts.ask([window()], ask(), US), 10)
            monkeypatch.setattr(Host, "spawn", spawn)
            assert texts(await hosts.ask([window()], ask(), US)) == ["1600 of en"]
