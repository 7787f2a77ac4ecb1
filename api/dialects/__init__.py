"""One folder per wire API; strangers to each other.

Each has wire.py (what is said), translate.py (to and from the core's words), faults.py (codes to statuses), routes.py (unpack, call, pack).
jobs: `/auth` and `/jobs`, four calls from a key to a transcript.
transcribe: `/v1`, one call that waits for its transcript, and jobs of one recording or ten thousand.
"""
