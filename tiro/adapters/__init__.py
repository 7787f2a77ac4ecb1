"""Windows to the world, one room each; a room implements ports of `tiro.ports` and lets nothing of its library out.

database/ (records) · storage/ (blobs) · media/ (decoder, speech, spans) · egress/ (guard, downloads, webhooks)
engines/ (speech to words) · diarizers/ (who spoke) · temporal/ (flow)
system.py, vault.py (time, names, secrets) · scratch.py (files in passing) · seccomp.py (what a child gives up) · checksums.py (models)
allocator.py (memory that is let go, or kept) · priority.py (who makes way) · fakes.py (what a test decides)
"""
