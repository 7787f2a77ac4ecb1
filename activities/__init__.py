"""Stations of a job: one class each, its ports injected, every activity idempotent and `async`.

tasks.py (inputs and outputs) · flow.py (begin, settle, sweep) · recording.py (fetch, fetch_ahead, ingest)
over sources.py, incoming.py (what still comes in), span_plan.py
speech.py (detect, transcribe) over hearing.py · voices.py (diarize) · writing.py (merge, publish, finish) · delivery.py (attempt)
batch_tasks.py (inputs and outputs) · batch.py (begin_batch, check_manifest, finish_page, finish_batch) over batch_document.py
pack_fetch.py (fetch_pack), packs.py (ingest_pack), pack_speech.py (transcribe_pack) · files.py (long files of a batch)
under these: entries.py (what was handed in)
packing.py (what a pack holds) · troubles.py (what befell its files) · room.py (how much may still be fetched)
threads.py (blocking work, cancellable) · heartbeat.py · faults.py (what Temporal is told of an error)
"""
