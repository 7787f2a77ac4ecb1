"""What an operator sees of a run in the Temporal UI: a small table, renewed as the run goes on. Never content."""

from __future__ import annotations

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
    return "\n".join(["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in rows)])
