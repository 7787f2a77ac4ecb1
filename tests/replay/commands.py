"""Which commands a workflow may give Temporal, read from its source: the places where a change can break runs that are under way."""

from __future__ import annotations

import ast
from pathlib import Path

from workflows.stations import STATIONS

WORKFLOWS = Path(__file__).parents[2] / "workflows"
FINGERPRINTS = Path(__file__).parent / "fingerprints.json"
_TOLD = {
    "run_station", "fan_out", "together", "to_its_end", "settle", "deliver", "mark_end",
    "execute_activity", "execute_local_activity", "start_activity", "start_local_activity",
    "execute_child_workflow", "start_child_workflow", "get_external_workflow_handle",
    "sleep", "timeout", "wait_for", "wait_condition", "continue_as_new",
    "upsert_search_attributes", "upsert_memo", "patched", "deprecate_patch",
}  # fmt: skip
"""Calls that become commands, or decide in which order commands are given. `set_current_details` becomes none."""


def fingerprints() -> dict[str, list[str]]:
    """Function -> its commands in the order of the source, for every function of `workflows/` that has any."""
    found: dict[str, list[str]] = {}
    for path in sorted(WORKFLOWS.glob("*.py")):
        for name, function in _functions(ast.parse(path.read_text()), path.stem):
            commands = [_said(call) for call in _calls(function) if _name(call) in _TOLD]
            if commands:
                found[name] = commands
    found["stations"] = [f"{name}: {station.queue or 'local'}" for name, station in sorted(STATIONS.items())]
    return found


def _functions(tree: ast.AST, prefix: str) -> list[tuple[str, ast.AST]]:
    found: list[tuple[str, ast.AST]] = []
    for node in ast.iter_child_nodes(tree):
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                found.append((f"{prefix}.{node.name}", node))
            case ast.ClassDef():
                found += _functions(node, f"{prefix}.{node.name}")
    return found


def _calls(function: ast.AST) -> list[ast.Call]:
    calls = [node for node in ast.walk(function) if isinstance(node, ast.Call)]
    return sorted(calls, key=lambda call: (call.lineno, call.col_offset))


def _name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


def _said(call: ast.Call) -> str:
    """The call and what it is about: a station, a workflow's name, a patch."""
    about = ast.unparse(call.args[0]) if call.args else ""
    return f"{_name(call)} {about}".strip()
