"""The face of the `transcribe` dialect: which addresses are its own, and who answers at each."""

from __future__ import annotations

from litestar import post
from litestar.handlers import HTTPRouteHandler

from api.body import media_type
from api.config import ApiConfig
from api.dialects.transcribe.door import Door
from api.dialects.transcribe.faults import answer
from api.dialects.transcribe.funds import Funds
from api.dialects.transcribe.jobs import JobRoutes
from api.dialects.transcribe.openapi import document
from api.dialects.transcribe.sync import Sync
from api.dialects.transcribe.webhook_keys import WebhookKeyRoutes
from api.faces import Answer, Cors, Face, HttpRequest
from api.forms import Forms
from api.identity import Identity
from tiro.model.errors import Invalid
from tiro.services.house import House
from tiro.services.limiter import Limiter

PREFIXES = ("/v1", "/.well-known")
"""Addresses below them that nobody owns are answered in this dialect; a longer prefix of another dialect wins."""


def face(house: House, config: ApiConfig, identity: Identity, forms: Forms) -> Face:
    """The dialect as the app takes it in."""
    door = Door(identity, Limiter(house.records, house.clock), house.plans)
    jobs = JobRoutes(house, config, door)
    entrance = Entrance(door, Sync(house, config, forms, jobs), jobs)
    rooms = (entrance, jobs, Funds(house, config, door), WebhookKeyRoutes(house.signing))
    routes = tuple(route for room in rooms for route in room.handlers())
    return Face(PREFIXES, routes, answer, document, cors=Cors())


class Entrance:
    """POST /v1/transcribe is two calls, told apart by the type of the body."""

    def __init__(self, door: Door, sync: Sync, jobs: JobRoutes) -> None:
        self._door = door
        self._sync = sync
        self._jobs = jobs

    def handlers(self) -> list[HTTPRouteHandler]:
        return [post("/v1/transcribe", status_code=200)(self.transcribe)]

    async def transcribe(self, request: HttpRequest) -> Answer:
        """A form is transcribed while its sender waits; JSON creates a job."""
        account, key = await self._door.submitter(request)
        match media_type(request):
            case "multipart/form-data":
                return await self._sync.transcribe(request, account, key)
            case "application/json":
                return await self._jobs.create(request, account)
            case _:
                raise Invalid("invalid_form_data", "Send multipart/form-data with an audio file, or JSON for a job.")
