"""An engine whose model lives in hosts: how much it has in hand, and what it says of its work."""

from __future__ import annotations

import logging

import pytest

from tests.stubs.moody_hosts import LIMITS, US, spec, window
from tiro.adapters.engines.abilities import ENGLISH, Abilities
from tiro.adapters.engines.hosts.resident import ResidentEngine
from tiro.model.speech import EngineOptions


def engine(specs, window_s=30.0):
    return ResidentEngine(Abilities("moody", "moody_1", ENGLISH, max_window_s=window_s), specs, LIMITS)


@pytest.mark.parametrize(
    ("specs", "window_s", "windows"),
    [
        ([spec(4)], 30.0, 4),
        ([spec(4), spec(4)], 30.0, 8),
        ([spec(4)], 28.0, 4),
        ([spec(4)], 10.0, 12),
        ([spec(4)], 1.0, 32),
        ([spec(16, ahead=True)], 30.0, 32),
    ],
)
def test_it_has_the_windows_of_all_its_hosts_batches_in_hand(specs, window_s, windows):
    assert engine(specs, window_s).windows_in_flight == windows


async def test_it_says_in_the_log_what_its_hosts_did_once_when_they_stop(caplog):
    made = engine([spec(1)])
    with caplog.at_level(logging.INFO):
        await made.start()
        await made.transcribe([window(size=16_000), window(size=8_000)], EngineOptions(language="en"), US)
        await made.stop()
        await made.stop()
    (said,) = [record.getMessage() for record in caplog.records if record.getMessage().startswith("moody: ")]
    assert f"moody: {made.figures()}" == said
    assert (made.figures().windows, made.figures().audio_s) == (2, 1.5)
