"""How many hosts, how large batches, how long windows? What was wished, what the rule says, and what was chosen."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import msgspec

from tiro.adapters.engines.calibration.machine import Machine

Context = Literal["full", "short"]
WHOLE_S = 30.0
"""What Whisper was made for."""
_WHEN_SHORT_S = 20.0
_BATCH_ON_CPU = 1
"""A core gains little by more, and who is in a hurry waits for the one that runs."""
_BATCH_ON_CARD = 16
_SHARE_OF_MEMORY = 0.8
_LIBRARIES_BYTES = 300 << 20


class Wishes(msgspec.Struct, frozen=True):
    """What the settings name of it; None: whatever is best here. `measure` False: by the rule alone."""

    replicas: int | None = None
    batch: int | None = None
    context: Context | None = None
    window_s: float | None = None
    measure: bool = True

    @property
    def complete(self) -> bool:
        """Nothing is left to choose."""
        return None not in (self.replicas, self.batch, self.context, self.window_s)


class Sizes(msgspec.Struct, frozen=True):
    """What was chosen. `replica_bytes`: memory of one host; `speed`: x real time that all of them showed, where that was measured."""

    replicas: int
    batch: int
    context: Context
    window_s: float
    replica_bytes: int = 0
    speed: float | None = None
    measured: tuple[str, ...] = ()
    """Which of these were measured; the others were wished, or follow the rule."""


def by_rule(wishes: Wishes, machine: Machine, folder: Path | None) -> Sizes:
    """Without measuring: a host per card, or one per core as far as memory goes; every window in the 30 s that it was made for."""
    context = wishes.context or "full"
    replica_bytes = expected_bytes(folder)
    most = machine.cards or min(machine.cores, fitting(machine, replica_bytes))
    return Sizes(
        replicas=wishes.replicas or most,
        batch=wishes.batch or (_BATCH_ON_CARD if machine.cards else _BATCH_ON_CPU),
        context=context,
        window_s=wishes.window_s or (WHOLE_S if context == "full" else _WHEN_SHORT_S),
        replica_bytes=replica_bytes,
    )


def fitted(sizes: Sizes, wishes: Wishes, machine: Machine) -> Sizes:
    """No more replicas than there is memory for now, unless somebody wished for them."""
    if wishes.replicas or machine.cards:
        return sizes
    return msgspec.structs.replace(sizes, replicas=min(sizes.replicas, fitting(machine, sizes.replica_bytes)))


def expected_bytes(folder: Path | None) -> int:
    """Memory of one host, by the size of the model's file: halved as int8, and as much again for what passes through it."""
    file = None if folder is None else folder / "model.bin"
    return _LIBRARIES_BYTES + (file.stat().st_size if file is not None and file.is_file() else 0)


def fitting(machine: Machine, replica_bytes: int) -> int:
    """How many hosts of this size there is memory for; one in any case."""
    return max(1, int(machine.memory_bytes * _SHARE_OF_MEMORY / max(1, replica_bytes)))
