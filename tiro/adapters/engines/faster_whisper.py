"""Any Whisper model, by name or folder, as an engine: one host per core on a CPU, one per card on GPUs."""

from __future__ import annotations

import asyncio
import contextlib
import sys

from tiro.adapters import checksums
from tiro.adapters.engines import whisper_models
from tiro.adapters.engines.hosts.host import HostLimits, child_environ
from tiro.adapters.engines.hosts.protocol import Spec
from tiro.adapters.engines.hosts.resident import ResidentEngine, fair_memory_bytes, replicas_on_cpu
from tiro.model.errors import Permanent

_BATCH_ON_CPU = 4
_BATCH_ON_GPU = 16
_LOADER = "tiro.adapters.engines.hosts.whisper:load"


class FasterWhisperEngine(ResidentEngine):
    """Whisper on CTranslate2. `gpus` cards have a host each (float16); without one, replicas of one thread each (int8)."""

    def __init__(
        self, model: str, gpus: int = 0, replicas: int | None = None, limits: HostLimits | None = None
    ) -> None:
        self._wanted = model
        abilities = whisper_models.abilities(model)
        hosts = gpus or replicas_on_cpu(replicas)
        per_audio_s = 2.0 if gpus else 10.0
        specs = [_spec(model, abilities.model, card if gpus else None) for card in range(hosts)]
        usual = HostLimits(batch_s_per_audio_s=per_audio_s, memory_bytes=fair_memory_bytes(hosts))
        super().__init__(abilities, specs, limits or usual)

    async def start(self) -> None:
        """Fetch the model where it is not here yet, check its files where they are listed, and load it.

        Raises Permanent `engine_unavailable` that says how to get it.
        """
        place = await asyncio.to_thread(whisper_models.locate, self._wanted)
        if place is None or (place.repository is not None and not await _downloaded(place.repository)):
            raise Permanent("engine_unavailable", whisper_models.advice(self._wanted))
        if place.folder is not None:
            await asyncio.to_thread(checksums.verify, place.folder)
        await super().start()


def _spec(model: str, name: str, card: int | None) -> Spec:
    source = whisper_models.REPOSITORIES.get(model, model)
    config: dict[str, object] = {"model": source, "name": name, "device": "cpu", "compute_type": "int8"}
    if card is None:
        return Spec(_LOADER, config, _BATCH_ON_CPU)
    on_card = {"device": "cuda", "compute_type": "float16", "device_index": card, "threads": 4}
    return Spec(_LOADER, {**config, **on_card}, _BATCH_ON_GPU)


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
