"""A server of HTTP that a command starts and ends."""

from __future__ import annotations

import gc
from collections.abc import Iterator

import pytest
from litestar import Litestar

from api.edge import Edge
from api.faces import Answer, Face
from commands.listening import Listening, listener
from tiro.adapters.system import SystemIds


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    """Other tests of this process have their garbage collected."""
    yield
    gc.unfreeze()


async def test_what_stands_when_it_answers_is_not_looked_at_by_later_collections() -> None:
    """A look at all of it would keep every request waiting."""
    gc.unfreeze()
    with listener("127.0.0.1", 0) as socket:
        server = Listening(
            Edge(Litestar([]), [Face(("/jobs",), (), lambda _: Answer(b""))], SystemIds()), socket, lambda: None
        )
        await server.start()
        kept = gc.get_freeze_count()
        await server.stop()
    assert kept > 10_000
