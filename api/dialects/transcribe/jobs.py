"""The routes of work that is asked about later."""

from __future__ import annotations

from litestar.handlers import HTTPRouteHandler

from api.config import ApiConfig
from api.dialects.transcribe.door import Door
from api.faces import Answer, HttpRequest
from api.uploads import Uploads
from tiro.model.account import Account, ApiKey
from tiro.model.errors import Permanent
from tiro.model.job import Job
from tiro.services.house import House


class JobRoutes:
    """Create, bring the bytes, look, fetch the result."""

    def __init__(self, house: House, config: ApiConfig, door: Door, uploads: Uploads) -> None:
        self._house = house
        self._config = config
        self._door = door
        self._uploads = uploads

    def handlers(self) -> list[HTTPRouteHandler]:
        return []

    async def create(self, request: HttpRequest, account: Account, key: ApiKey) -> Answer:
        """The JSON of a job; who asks is known and counted. Raises Invalid."""
        raise Permanent("internal_error")

    async def shown(self, job: Job) -> Answer:
        """As GET /v1/transcribe/{job_id} tells it."""
        raise Permanent("internal_error")
