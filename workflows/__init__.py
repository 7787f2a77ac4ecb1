"""Flow: which station comes when, what runs beside what, and what happens when one fails. No I/O, no clocks of their own.

stations.py (the table of queues, timeouts and retries; the one way to run an activity) · transcription.py, fetch.py, delivery.py, upkeep.py
fleet.py (spans in flight) · display.py (what the Temporal UI shows)
"""
