"""What an operator sees of a run in the Temporal UI: a small table, renewed as the run goes on. Never content."""

from __future__ import annotations

from collections.abc import Iterable

import msgspec


class Board(msgspec.Struct, frozen=True):
    """Where a run stands. `spans_final`: the recording is cut, no more spans will come."""

    stage: str
    spans_done: int
    spans_known: int
    spans_final: bool
    engine: str | None
    paused: bool
    priority: int


def details(board: Board) -> str:
    """Markdown for `workflow.set_current_details`."""
    spans = f"{board.spans_done} of {board.spans_known}{'' if board.spans_final else ' so far'}"
    rows = (
        ("stage", board.stage + (" (paused)" if board.paused else "")),
        ("spans", spans),
        ("engine", board.engine or "not chosen yet"),
        ("priority", str(board.priority)),
    )
    return _table(rows)


class BatchBoard(msgspec.Struct, frozen=True):
    """Where a batch stands. `pages_left`: pages with something to do that have not come to their end."""

    stage: str
    files: int
    pages: int
    pages_left: int
    paused: bool
    priority: int


def batch_details(board: BatchBoard) -> str:
    """As `details`."""
    rows = (
        ("stage", board.stage + (" (paused)" if board.paused else "")),
        ("files", str(board.files)),
        ("pages", f"{board.pages - board.pages_left} of {board.pages}"),
        ("priority", str(board.priority)),
    )
    return _table(rows)


def _table(rows: Iterable[tuple[str, str]]) -> str:
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])
