"""Flow: which station comes when, what runs beside what, and what happens when one fails. No I/O, no clocks of their own.

stations.py (the table of queues, timeouts and retries; the one way to run an activity) · transcription.py, fetch.py, delivery.py, upkeep.py
batch.py (many files) over page.py (a hundred of them), started by children.py · ending.py (whatever happens; marks, deliveries)
display.py (what the Temporal UI shows) · registry.py (which of them a worker runs)
"""
