"""Which workflows a control worker runs, and the sandbox they run in."""

from __future__ import annotations

from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from workflows.batch import Batch
from workflows.delivery import Delivery
from workflows.fetch import Fetch
from workflows.page import Page
from workflows.transcription import Transcription
from workflows.upkeep import Upkeep

WORKFLOWS: list[type] = [Transcription, Batch, Page, Fetch, Delivery, Upkeep]


def workflow_runner() -> SandboxedWorkflowRunner:
    """The core and the stations pass through: workflows use only their pure parts, and importing them anew per run is slow."""
    passed = ("msgspec", "numpy", "tiro", "activities")
    return SandboxedWorkflowRunner(restrictions=SandboxRestrictions.default.with_passthrough_modules(*passed))
