"""How the parts of a batch are started: below their batch, once, found by its id, and as urgent as it is at that moment."""

from __future__ import annotations

from typing import Any, TypedDict

from temporalio import workflow
from temporalio.common import Priority, SearchAttributePair, TypedSearchAttributes, WorkflowIDReusePolicy

with workflow.unsafe.imports_passed_through():
    from activities.batch_tasks import PageTask
    from tiro.adapters.temporal import names
    from workflows.stations import urgency


class ChildOptions(TypedDict):
    """What pages and long files have in common; the names are Temporal's."""

    task_queue: str
    parent_close_policy: workflow.ParentClosePolicy
    id_reuse_policy: WorkflowIDReusePolicy
    priority: Priority
    search_attributes: TypedSearchAttributes


def child_options(task: PageTask, priority: int | None, *marks: SearchAttributePair[Any]) -> ChildOptions:
    """`priority` None: the parent's. `marks`: of this child alone."""
    return {
        "task_queue": names.CONTROL,
        "parent_close_policy": workflow.ParentClosePolicy.REQUEST_CANCEL,
        "id_reuse_policy": WorkflowIDReusePolicy.REJECT_DUPLICATE,
        "priority": urgency(priority),
        "search_attributes": TypedSearchAttributes(
            [
                SearchAttributePair(names.ACCOUNT, task.account_id),
                SearchAttributePair(names.DIALECT, task.dialect),
                SearchAttributePair(names.BATCH, task.job_id),
                *marks,
            ]
        ),
    }
