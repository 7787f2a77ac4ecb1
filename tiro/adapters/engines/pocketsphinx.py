"""Pocketsphinx as an engine: English on any machine, with the model that comes in its wheel. It stands in where no Whisper can run."""

from __future__ import annotations

from tiro.adapters.engines.abilities import ENGLISH, Abilities
from tiro.adapters.engines.hosts.protocol import Spec
from tiro.adapters.engines.hosts.resident import ResidentEngine, replicas_on_cpu

ABILITIES = Abilities("pocketsphinx", "pocketsphinx_en_us", ENGLISH, detects=False)


class PocketsphinxEngine(ResidentEngine):
    """One decoder per host, one window at a time."""

    def __init__(self, replicas: int | None = None) -> None:
        spec = Spec("tiro.adapters.engines.hosts.sphinx:load", {}, max_batch=1)
        super().__init__(ABILITIES, [spec] * replicas_on_cpu(replicas))
