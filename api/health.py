"""Does this server answer? What everything needs is asked, and whoever asks at the same time shares the answer."""

from __future__ import annotations

import asyncio

from api.faces import Answer, json_answer
from tiro.model.errors import TiroError
from tiro.services.house import House

WITHIN_S = 2.0
_KEY = "health"
"""Nothing lies there: that the store says so is enough."""


class Health:
    """GET /health. A store that hangs holds one thread, however many ask."""

    def __init__(self, house: House) -> None:
        self._house = house
        self._asking: asyncio.Task[str] | None = None

    async def answer(self) -> Answer:
        """200 or 503; it is public, and says nothing else."""
        if self._asking is None or self._asking.done():
            self._asking = asyncio.create_task(self._ask(), name="health")
        await asyncio.wait([self._asking], timeout=WITHIN_S)
        status = self._asking.result() if self._asking.done() else "unavailable"
        if status == "ok":
            return json_answer({"status": status})
        return json_answer({"status": status}, status=503, headers={"Retry-After": "5"})

    async def _ask(self) -> str:
        try:
            await self._house.records.now()
        except TiroError:
            return "database_unavailable"
        try:
            await asyncio.to_thread(self._house.blobs.head, _KEY)
        except TiroError:
            return "store_unavailable"
        return "ok"
