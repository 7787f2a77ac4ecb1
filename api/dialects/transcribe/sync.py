"""A recording comes in, and its transcript is the answer. Who goes away, or waits too long, finds it as a job."""

from __future__ import annotations

from api.config import ApiConfig
from api.dialects.transcribe.jobs import JobRoutes
from api.faces import Answer, HttpRequest
from api.uploads import Uploads
from tiro.model.account import Account, ApiKey
from tiro.model.errors import Permanent
from tiro.services.house import House


class Sync:
    """Takes a form in, and waits for what becomes of it."""

    def __init__(self, house: House, config: ApiConfig, uploads: Uploads, jobs: JobRoutes) -> None:
        self._house = house
        self._limits = config.limits
        self._uploads = uploads
        self._jobs = jobs

    async def transcribe(self, request: HttpRequest, account: Account, key: ApiKey) -> Answer:
        """Raises what the dialect's faults word."""
        raise Permanent("internal_error")
