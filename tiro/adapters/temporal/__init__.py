"""Temporal as the core sees it: how the server is found and run, how it is reached, how workflows are started by name.

names.py (queues, workflow names, search attributes) · converter.py (msgspec payloads) · client.py (connecting)
orchestrator.py (the `Orchestrator` port) · binary.py, devserver.py (the server beside `tiro up`) · namespace.py (attributes, schedules)
"""
