"""How is an audit asked for that takes longer than a request? It is begun, and looked at until it is done."""

from __future__ import annotations

import asyncio
import itertools
import logging
from collections import Counter
from collections.abc import Awaitable, Callable

from litestar import get, post
from litestar.handlers import HTTPRouteHandler
from litestar.params import FromPath

from api.admin import translate
from api.admin.wire import AuditRow
from api.faces import Answer, HttpRequest, json_answer
from tiro.model.audit import Audited
from tiro.model.errors import NotFound, frames_of
from tiro.services.audit import Audit

log = logging.getLogger("tiro.admin")


class Running:
    """One audit on its way, counting along."""

    def __init__(self, audit: Audit, number: int) -> None:
        self.number = number
        self.compared = Counter[str]()
        self.task: asyncio.Task[Audited] = asyncio.create_task(audit.look(self.compared), name="audit")
        self.task.add_done_callback(_noted)

    def row(self) -> AuditRow:
        """Where it stands. Raises what kept it from its end."""
        if not self.task.done():
            return AuditRow(number=self.number, done=False, compared=dict(self.compared))
        return translate.audit_row(self.number, self.task.result())


def _noted(task: asyncio.Task[Audited]) -> None:
    """What kept it from its end is in the log, once, also when nobody asks."""
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("an audit has failed:\n%s%s", frames_of(error), type(error).__name__)


class AuditAdmin:
    """One at a time in this process: who asks while one is under way is told of that one."""

    def __init__(self, audit: Audit) -> None:
        self._audit = audit
        self._numbers = itertools.count(1)
        self._running: Running | None = None

    def handlers(self) -> list[tuple[Callable[..., HTTPRouteHandler], str, Callable[..., Awaitable[Answer]]]]:
        return [(post, "/audits", self.begin), (get, "/audits/{number:str}", self.show)]

    async def begin(self, request: HttpRequest) -> Answer:
        if self._running is None or self._running.task.done():
            self._running = Running(self._audit, next(self._numbers))
        return json_answer(AuditRow(number=self._running.number, done=False, compared={}), status=202)

    async def show(self, request: HttpRequest, number: FromPath[str]) -> Answer:
        if self._running is None or str(self._running.number) != number:
            raise NotFound("not_found", "There is no such audit; another has followed it.")
        return json_answer(self._running.row())
