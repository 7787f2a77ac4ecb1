"""Model hosts that have their next batch before they are done with the one before."""

from __future__ import annotations

import asyncio

import msgspec
import pytest

from tests.stubs.moody_hosts import LIMITS, US, WHOLE, ask, pool, spec, texts, window
from tests.stubs.moody_model import DIE_EARLY, HANG, RAISE_EARLY, WAIT
from tiro.model.errors import Transient
from tiro.ports import Urgency


@pytest.fixture
def story(tmp_path):
    return tmp_path / "story"


def open_gate(story):
    story.with_name("story.go").touch()


async def until(told, story):
    """What the model has done says this."""
    async with asyncio.timeout(15):
        while not story.exists() or told not in story.read_text().splitlines():
            await asyncio.sleep(0.01)


def asked(hosts, *windows, urgency=US):
    return asyncio.create_task(hosts.ask(windows, ask(), urgency))


def short(*moods, name=0.2):
    """Eight windows, which are a full batch of one pass."""
    return [window(mood, name) for mood in (*moods, *[0.0] * (8 - len(moods)))]


async def test_the_next_batch_is_prepared_while_one_is_heard(story):
    async with pool([spec(1, ahead=True, story=str(story))]) as hosts:
        first = asked(hosts, window(WAIT, 0.1, WHOLE))
        await until("hears 0.1", story)
        second = asked(hosts, window(0.0, 0.2, WHOLE - 2), window(0.0, 0.3, 2))
        await until("prepares 0.2,0.3", story)
        assert "heard 0.1" not in story.read_text()
        open_gate(story)
        assert [texts(await first), texts(await second)] == [["480000 of en"], ["479998 of en", "2 of en"]]


async def test_what_was_sent_ahead_is_at_most_one_batch(story):
    async with pool([spec(1, ahead=True, story=str(story))]) as hosts:
        calls = [asked(hosts, window(WAIT, 0.1, WHOLE))]
        await until("hears 0.1", story)
        calls.append(asked(hosts, window(0.0, 0.2, WHOLE)))
        await until("prepares 0.2", story)
        calls.append(asked(hosts, window(0.0, 0.4, WHOLE), urgency=Urgency("batch", 4)))
        await asyncio.sleep(0)
        calls.append(asked(hosts, window(0.0, 0.3, WHOLE), urgency=Urgency("sync", 1)))
        await asyncio.sleep(0)
        open_gate(story)
        await asyncio.gather(*calls)
    heard = [line.split()[1] for line in story.read_text().splitlines() if line.startswith("heard")]
    assert heard == ["0.1", "0.2", "0.3", "0.4"]


async def test_of_two_batches_that_die_with_their_host_only_the_window_that_kills_alone_fails(story):
    async with pool([spec(1, ahead=True, story=str(story))]) as hosts:
        (pid,) = hosts.pids
        first = asked(hosts, window(WAIT, 0.1, WHOLE))
        await until("hears 0.1", story)
        others = [asked(hosts, one) for one in short(DIE_EARLY)]
        async with asyncio.timeout(15):
            while hosts.pids in ([pid], []):
                await asyncio.sleep(0.01)
        open_gate(story)
        killed, *fine = await asyncio.gather(*others, return_exceptions=True)
        assert isinstance(killed, Transient)
        assert killed.code == "engine_crash"
        assert [texts(one) for one in fine] == [["1600 of en"]] * 7
        assert texts(await first) == ["480000 of en"]
        assert hosts.figures().deaths == 2


async def test_a_batch_has_its_seconds_from_when_it_can_begin(story):
    limits = msgspec.structs.replace(LIMITS, batch_s=2.0, batch_s_per_audio_s=2.0)
    async with pool([spec(1, ahead=True, story=str(story))], limits) as hosts:
        first = asked(hosts, window(WAIT, 0.1, WHOLE))
        await until("hears 0.1", story)
        second = asked(hosts, *short())
        await until("prepares " + ",".join(["0.2"] * 8), story)
        # what the second one has, and more: a minute of the first one's is left
        await asyncio.sleep(2.5)
        open_gate(story)
        assert len(await second) == 8
        assert len(await first) == 1
        assert hosts.figures().deaths == 0


async def test_a_batch_sent_ahead_that_hangs_is_killed_too(story):
    limits = msgspec.structs.replace(LIMITS, batch_s=1.0)
    async with pool([spec(1, ahead=True, story=str(story))], limits) as hosts:
        first = asked(hosts, window(WAIT, 0.1, WHOLE))
        await until("hears 0.1", story)
        others = [asked(hosts, one) for one in short(HANG)]
        await until("prepares " + ",".join(["0.2"] * 8), story)
        open_gate(story)
        hung, *fine = await asyncio.gather(*others, return_exceptions=True)
        assert isinstance(hung, Transient)
        assert [texts(one) for one in fine] == [["1600 of en"]] * 7
        assert texts(await first) == ["480000 of en"]


async def test_a_caller_that_leaves_while_its_window_hangs_alone_harms_no_other(story):
    limits = msgspec.structs.replace(LIMITS, batch_s=1.0)
    async with pool([spec(1, story=str(story))], limits) as hosts:
        calls = [asked(hosts, one) for one in (window(HANG, 0.1), window(0.0, 0.2))]
        await until("hears 0.1", story)
        calls[0].cancel()
        assert texts(await calls[1]) == ["1600 of en"]
        assert hosts.figures().deaths == 2


async def test_an_error_while_preparing_fails_its_window_only(story):
    async with pool([spec(1, ahead=True)]) as hosts:
        answers = await hosts.ask(short(RAISE_EARLY), ask(), US)
        assert [answer.failed for answer in answers] == [True] + [False] * 7
        assert hosts.figures().deaths == 0


async def test_stop_ends_a_host_with_two_batches(story):
    async with pool([spec(1, ahead=True, story=str(story))]) as hosts:
        calls = [asked(hosts, window(WAIT, 0.1, WHOLE))]
        await until("hears 0.1", story)
        calls += [asked(hosts, window(0.0, 0.2, WHOLE)), asked(hosts, window(0.0, 0.3, WHOLE))]
        await until("prepares 0.2", story)
        await hosts.stop()
        ends = await asyncio.gather(*calls, return_exceptions=True)
    assert {end.code for end in ends} == {"engine_stopped"}
