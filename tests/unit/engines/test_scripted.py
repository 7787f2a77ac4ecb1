"""A scripted engine does what its script says."""

from __future__ import annotations

import asyncio
import json
import signal
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from tests.media_builder import numbered
from tiro.adapters.engines.scripted import ScriptedEngine, read_script
from tiro.model.errors import Permanent, QuotaExceeded, Transient
from tiro.model.speech import EngineOptions
from tiro.ports import Urgency

US = Urgency("job_1")


def hear(engine, seconds=2):
    return engine.transcribe([numbered(seconds)], EngineOptions(), US)


@pytest.mark.parametrize(
    ("script", "kind", "code"),
    [
        ("fail=transient_error*2", Transient, "transient_error"),
        ("refuse=engine_refused*2", Permanent, "engine_refused"),
        ("fail=quota_exceeded*2", QuotaExceeded, "quota_exceeded"),
    ],
)
async def test_the_first_calls_fail_as_written_and_the_next_succeeds(script, kind, code):
    engine = ScriptedEngine(read_script(script))
    for _ in range(2):
        with pytest.raises(kind) as failed:
            await hear(engine)
        assert failed.value.code == code
    assert (await hear(engine))[0].segments[0].text == "w0 w1"


async def test_without_a_count_every_call_fails():
    engine = ScriptedEngine(read_script("fail=transient_error"))
    for _ in range(3):
        with pytest.raises(Transient):
            await hear(engine)


async def test_latency_grows_with_the_audio():
    engine = ScriptedEngine(read_script("delay=0.05"))
    began_s = time.monotonic()
    await hear(engine, 4)
    assert time.monotonic() - began_s >= 0.2


async def test_calls_that_take_turns_add_their_latencies():
    engine = ScriptedEngine(read_script("delay=0.05;turns=1"))
    began_s = time.monotonic()
    await asyncio.gather(hear(engine, 2), hear(engine, 2))
    assert time.monotonic() - began_s >= 0.2


async def test_every_window_is_logged_once_with_its_words_and_failures(tmp_path):
    log = tmp_path / "calls.jsonl"
    engine = ScriptedEngine(read_script(f"log={log};fail=transient_error*1"))
    with pytest.raises(Transient):
        await hear(engine)
    await engine.transcribe([numbered(2), np.zeros(8000, np.float32)], EngineOptions(), US)
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    assert [(line["window_s"], line["words"], line["failed"]) for line in lines] == [
        (2.0, [], "transient_error"),
        (2.0, ["w0", "w1"], None),
        (0.5, [], None),
    ]
    assert {line["job_id"] for line in lines} == {"job_1"}


async def test_it_holds_until_the_gate_exists(tmp_path):
    gate = tmp_path / "gate"
    engine = ScriptedEngine(read_script(f"hold={gate}"))
    call = asyncio.create_task(hear(engine))
    await asyncio.sleep(0.2)
    assert not call.done()
    gate.touch()
    assert len(await call) == 1


async def test_one_window_in_a_hundred_fails_once_whichever_process_asks(tmp_path):
    """By its sound: the same ones in every test."""
    windows = [np.full(16, n, np.float32) for n in range(400)]

    async def failing():
        engine, failed = ScriptedEngine(read_script(f"slip={tmp_path}")), set()
        for number, window in enumerate(windows):
            try:
                await engine.transcribe([window], EngineOptions(), US)
            except Transient:
                failed.add(number)
        return failed

    first = await failing()
    assert 1 <= len(first) <= 8
    assert await failing() == set()
    for note in tmp_path.iterdir():
        note.unlink()
    assert await failing() == first


async def test_it_kills_its_process_once(tmp_path):
    script = (
        "import asyncio, sys\n"
        "from tests.unit.engines.test_scripted import ScriptedEngine, hear, read_script\n"
        "asyncio.run(hear(ScriptedEngine(read_script('crash=' + sys.argv[1]))))\n"
    )
    codes = []
    for _ in range(2):
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-c", script, str(tmp_path / "once"), cwd=Path(__file__).parents[3]
        )
        codes.append(await process.wait())
    assert codes == [-signal.SIGKILL, 0]


async def test_language_and_claims_come_from_the_script():
    engine = ScriptedEngine(read_script("language=de;languages=de|en;model=scripted_b;name=second"))
    assert (engine.id, engine.model) == ("second", "scripted_b")
    assert (engine.supports("de", "transcribe"), engine.supports("fr", "transcribe")) == (True, False)
    assert await engine.detect([numbered(1)], US) == [{"de": 1.0}]


async def test_an_engine_that_does_not_listen_says_its_word_over_each_window():
    engine = ScriptedEngine(read_script("says=so"))
    heard = await engine.transcribe([numbered(1), numbered(3)], EngineOptions(), US)
    words = [word for each in heard for one in each.segments for word in one.words]
    assert [(word.text.strip(), word.start_s, word.end_s) for word in words] == [("so", 0, 1), ("so", 0, 3)]
