"""What does a killed API lose? Nothing that it has answered for: what it took in is started by the next one, once."""

from __future__ import annotations

from tests.acceptance.site import Site
from tests.media_builder import numbered, wav
from tiro.adapters.temporal.devserver import free_port
from tiro.adapters.temporal.names import job_workflow_id


async def test_a_job_that_was_accepted_and_not_started_is_started_once_by_the_next_api(site: Site) -> None:
    """Temporal could not be reached, the job was accepted all the same, and then the API was killed."""
    await site.working()
    api, address = await site.serving(TEMPORAL_ADDRESS=f"127.0.0.1:{free_port()}")
    job_id = await site.post(address, content=wav(numbered(10)))
    api.kill()
    assert (await site.job(job_id)).state == "queued"
    await site.serving()
    await site.ended(job_id)
    await site.delivered(job_id)

    async def listed() -> bool:
        return {found.id async for found in site.client.list_workflows("WorkflowType = 'Transcription'")} != set()

    await site.until(listed, "the workflow can be listed")
    found = [found.id async for found in site.client.list_workflows("WorkflowType = 'Transcription'")]
    assert found == [job_workflow_id(job_id, 1)]
    await site.audit(job_id, seconds=10)
