"""The command line, one file per command; `cli.py` assembles them.

folder.py (the data folder and its lock) · embedded.py (the whole service in one process) · up.py, serve.py, migrate.py, doctor.py
transcribe.py (submit and wait) · jobs.py, keys.py, accounts.py (records, through a running server or by themselves) · logs.py
"""
