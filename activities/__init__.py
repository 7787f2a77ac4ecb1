"""Stations of a job: one class each, its ports injected, every activity idempotent and `async`.

tasks.py (inputs and outputs) · flow.py (begin, settle, sweep) · recording.py (fetch, fetch_ahead, ingest) · sources.py (a recording as a file)
speech.py (detect, transcribe) · voices.py (diarize) · writing.py (merge, publish, finish) · delivery.py (attempt)
hearing.py (an engine asked about a span)
threads.py (blocking work, cancellable) · heartbeat.py · faults.py (what Temporal is told of an error)
"""
