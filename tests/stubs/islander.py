"""A client, a publisher and a receiver on one machine: jobs from an upload and from an address, to the last file and webhook.

Called with the address of the API, a key, the webhook secret and a recording; says what became of the jobs, as JSON.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from tests.acceptance.seed_client import Client, Receiver
from tests.servers.scripted_http import ScriptedHttp

FORMATS = ("json", "txt", "srt", "vtt", "docx")


def main(base: str, key: str, secret: str, file: str) -> None:
    """One job after the other."""
    recording, client = Path(file).read_bytes(), Client(base, key)
    scripts = {"/episode": lambda visit: visit.answer(200, recording)}
    with Receiver(secret) as receiver, ScriptedHttp(scripts) as web:
        jobs = [
            client.submit_file("interview.flac", recording, webhook_url=receiver.url)["job_id"],
            client.submit_url(web.url("/episode"), webhook_url=receiver.url)["job_id"],
        ]
        told = []
        for job_id in jobs:
            event = receiver.event(job_id, within_s=150)
            files = {wanted: len(client.transcript(job_id, wanted)[1]) for wanted in FORMATS}
            shape = json.loads(client.transcript(job_id)[1])
            told.append({"status": event["status"], "files": files, "engine": shape["engine"]})
    print(json.dumps(told))


if __name__ == "__main__":
    main(*sys.argv[1:])
