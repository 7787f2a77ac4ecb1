"""The `transcribe` dialect: `/v1/transcribe`, `/v1/jobs`, `/v1/add-funds`. Described to its users in docs/dialects/transcribe.md.

routes (the face: who is asked for which path) · door (who may come in, and how often) · options (what a request may choose)
sync (a recording in, its transcript out) · jobs (work that is asked about later) · funds (money that an account credits itself)
webhook_keys (by which receivers check a webhook) · status (how a job is called)
wire, translate, jobs_wire, jobs_translate, jobs_answers (what is said)
faults (codes to statuses) · openapi (all of it as a document)
"""
