"""Pools of moody models, and windows for them."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import numpy as np

from tiro.adapters.engines.hosts.host import HostLimits
from tiro.adapters.engines.hosts.pool import Pool
from tiro.adapters.engines.hosts.protocol import Ask, Spec
from tiro.model.speech import EngineOptions
from tiro.ports import Urgency

LIMITS = HostLimits(load_s=60, batch_s=20, batch_s_per_audio_s=0)
US = Urgency("job_1")
WHOLE = 480_000
"""The samples of a window that fills a pass: no other shares it."""


def spec(max_batch=4, *, ahead=False, beside=True, **config):
    return Spec("tests.stubs.moody_model:load", config, max_batch, ahead=ahead, beside=beside)


@contextlib.asynccontextmanager
async def pool(specs=None, limits=LIMITS):
    made = Pool(specs or [spec()], limits)
    await made.start()
    try:
        yield made
    finally:
        pids = made.pids
        await made.stop()
        assert not [pid for pid in pids if Path(f"/proc/{pid}").exists()]


def window(mood=0.0, name=0.0, size=1600):
    samples = np.zeros(size, np.float32)
    samples[0], samples[1] = mood, name
    return samples


def texts(answers):
    return [answer.heard.segments[0].text for answer in answers]


def ask(language="en", prompt=None):
    return Ask(EngineOptions(language=language, prompt=prompt))


def hosts_of_ours():
    """Children of this test process that are model hosts; servers of other tests may be among its children too."""
    pids = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
    return [pid for pid in pids if b"tiro.adapters.engines.hosts" in Path(f"/proc/{pid}/cmdline").read_bytes()]
