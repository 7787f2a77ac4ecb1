"""Can runs that are under way go on with this code? Recorded histories are replayed, and changes of commands are noticed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from tests.replay.commands import FINGERPRINTS, fingerprints
from tests.replay.record import HISTORIES, PATHS
from tiro.adapters.temporal import names
from tiro.adapters.temporal.converter import DATA_CONVERTER
from workflows.registry import WORKFLOWS, workflow_runner

HOW_TO_CHANGE = """
Runs that are under way were begun by the code before this change, and must be able to go on with the code after it:
  1. keep the old commands for them:
         if workflow.patched("what-is-new"):
             <the new commands>
         else:
             <the old commands>
  2. run this test: the recorded histories must still replay;
  3. then record anew, and commit the histories and fingerprints together with the change:
         python -m tests.replay.record
     and keep one old history beside the new ones (histories/<path>-<patch>.json) for as long as the patch stands;
  4. when no run from before is left, `workflow.deprecate_patch("what-is-new")`, one release later nothing at all.
"""


def _replayer() -> Replayer:
    return Replayer(workflows=WORKFLOWS, data_converter=DATA_CONVERTER, workflow_runner=workflow_runner())


@pytest.mark.parametrize("recorded", sorted(HISTORIES.glob("*.json")), ids=lambda path: path.stem)
async def test_a_recorded_run_can_go_on_with_this_code(recorded: Path) -> None:
    """The same commands in the same order."""
    history = WorkflowHistory.from_json(f"replay-{recorded.stem}", recorded.read_text())
    result = await _replayer().replay_workflow(history, raise_on_replay_failure=False)
    assert result.replay_failure is None, f"{recorded.name}: {result.replay_failure}\n{HOW_TO_CHANGE}"


def test_every_workflow_and_every_path_has_a_history() -> None:
    """A path without one would break unseen."""
    recorded = {path.stem: json.loads(path.read_text()) for path in HISTORIES.glob("*.json")}
    assert {path.__name__ for path in PATHS} <= set(recorded)
    types = {
        history["events"][0]["workflowExecutionStartedEventAttributes"]["workflowType"]["name"]
        for history in recorded.values()
    }
    assert types == {names.TRANSCRIPTION, names.BATCH_WORKFLOW, names.PAGE, names.FETCH, names.DELIVERY, names.UPKEEP}
    assert len(types) == len(WORKFLOWS)


def test_commands_change_only_on_purpose() -> None:
    """What replay cannot see, since no recorded run took that way, is seen here."""
    before, now = json.loads(FINGERPRINTS.read_text()), fingerprints()
    changed = [
        f"  {name}\n    before: {before.get(name)}\n    now:    {now.get(name)}"
        for name in sorted({*before, *now})
        if before.get(name) != now.get(name)
    ]
    assert not changed, "Commands of workflows have changed:\n" + "\n".join(changed) + f"\n{HOW_TO_CHANGE}"


async def test_a_change_of_order_is_noticed() -> None:
    """The replayer itself is awake: a history of another workflow's commands does not pass."""
    events = json.loads((HISTORIES / "upkeep.json").read_text())
    for event in events["events"]:
        scheduled = event.get("activityTaskScheduledEventAttributes")
        if scheduled:
            scheduled["activityType"]["name"] = "begin"
    history = WorkflowHistory.from_json("replay-changed", events)
    result = await _replayer().replay_workflow(history, raise_on_replay_failure=False)
    assert result.replay_failure is not None
