"""Any Whisper model, by name or folder, as an engine: one host per core on a CPU, one per card on GPUs, as the machine is used best."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from pathlib import Path

from tiro.adapters import checksums
from tiro.adapters.engines import whisper_models
from tiro.adapters.engines.calibration.choosing import Choosing
from tiro.adapters.engines.calibration.kept import subject_of
from tiro.adapters.engines.calibration.machine import Machine, this_machine
from tiro.adapters.engines.calibration.once import once
from tiro.adapters.engines.calibration.sizes import Sizes, Wishes, by_rule, fitted
from tiro.adapters.engines.hosts.host import HostLimits, child_environ
from tiro.adapters.engines.hosts.protocol import Spec
from tiro.adapters.engines.hosts.resident import ResidentEngine, fair_memory_bytes
from tiro.model.errors import Permanent, TiroError

_log = logging.getLogger(__name__)
_LOADER = "tiro.adapters.engines.hosts.whisper:load"


class FasterWhisperEngine(ResidentEngine):
    """Whisper on CTranslate2. `gpus` cards have a host each (float16); without one, replicas of one thread each (int8).

    What `wishes` leaves open is measured at the first start and kept in the folder `kept`; None: by the rule.
    """

    def __init__(
        self,
        model: str,
        gpus: int = 0,
        wishes: Wishes = Wishes(),  # noqa: B008 - frozen
        kept: Path | None = None,
        limits: HostLimits | None = None,
    ) -> None:
        self._wanted = model
        self._machine = this_machine(gpus)
        self._wishes = wishes
        self._kept = kept
        self._limits = limits
        self._started = False
        abilities = whisper_models.abilities(model)
        place = whisper_models.folder_of(model)
        self.sizes = by_rule(wishes, self._machine, place)
        super().__init__(abilities, *self._hosts(abilities.model, self.sizes))

    async def start(self) -> None:
        """Fetch the model where it is not here yet, check its files where they are listed, measure what is open, and load it.

        Raises Permanent `engine_unavailable` that says how to get it.
        """
        if self._started:
            return
        folder = await self._folder()
        self.sizes = await self._chosen(folder)
        self.settle(*self._hosts(self.model, self.sizes), window_s=self.sizes.window_s)
        await super().start()
        self._started = True

    async def stop(self) -> None:
        """As all that live in hosts; it may be started again."""
        self._started = False
        await super().stop()

    async def _folder(self) -> Path | None:
        place = await asyncio.to_thread(whisper_models.locate, self._wanted)
        if place is None or (place.repository is not None and not await _downloaded(place.repository)):
            raise Permanent("engine_unavailable", whisper_models.advice(self._wanted))
        folder = place.folder or whisper_models.folder_of(self._wanted)
        if place.folder is not None:
            await asyncio.to_thread(checksums.verify, place.folder)
        return folder

    async def _chosen(self, folder: Path | None) -> Sizes:
        self._machine = this_machine(self._machine.cards)
        rule = by_rule(self._wishes, self._machine, folder)
        if self._kept is None or folder is None or self._wishes.complete or not self._wishes.measure:
            return rule
        (_, limits) = self._hosts(self.model, rule)

        def spec_of(sizes: Sizes, number: int) -> Spec:
            return _spec(self._wanted, self.model, self._machine, sizes, number)

        choosing = Choosing(self._wishes, self._machine, rule, spec_of, limits)
        subject = subject_of(folder, self._machine, self._wishes)
        try:
            return fitted(await once(self._kept, subject, self.model, choosing.run), self._wishes, self._machine)
        except TiroError as error:
            _log.warning("%s: nothing could be measured (%s): the rule holds", self.model, error.code)
            return rule

    def _hosts(self, name: str, sizes: Sizes) -> tuple[list[Spec], HostLimits]:
        specs = [_spec(self._wanted, name, self._machine, sizes, number) for number in range(sizes.replicas)]
        per_audio_s = 2.0 if self._machine.cards else 10.0
        usual = HostLimits(batch_s_per_audio_s=per_audio_s, memory_bytes=fair_memory_bytes(sizes.replicas))
        return specs, self._limits or usual


def _spec(model: str, name: str, machine: Machine, sizes: Sizes, number: int) -> Spec:
    source = whisper_models.REPOSITORIES.get(model, model)
    config: dict[str, object] = {"model": source, "name": name, "device": "cpu", "compute_type": "int8"}
    if machine.cards:
        config |= {"device": "cuda", "compute_type": "float16", "device_index": number % machine.cards, "threads": 4}
    if sizes.context == "short":
        config["context"] = sizes.context
    # a card is filled by one of them, and leaves the processor free for the next batch
    return Spec(_LOADER, config, sizes.batch, ahead=machine.cards > 0, beside=machine.cards == 0)


async def _downloaded(repository: str) -> bool:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "tiro.adapters.engines.hosts.download", repository, env=child_environ()
    )
    try:
        return await process.wait() == 0
    finally:
        if process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
