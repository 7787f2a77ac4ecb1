"""The command line, one file per command; `cli.py` assembles them.

up.py, transcribe.py, jobs.py, keys.py, accounts.py, wallets.py, hooks.py, audit.py, doctor.py, migrate.py, serve.py   the commands
folder.py        the data folder and its lock          embedded.py    the whole service in one process
listening.py     an app behind a socket                server.py      which server a command uses
reach.py         records through a server or directly  orchestrator.py  what stands in for Temporal meanwhile
recordings.py    sources and where results go          client.py      the public API, from outside
submission.py    from a recording to its files         progress.py    what a person sees meanwhile
subject.py, findings.py, weaknesses.py, measuring.py   what doctor looks at
hearing.py       how fast decoder and engine hear, for doctor and bench
console.py, logs.py   options, errors, tables, redacted logs
batch/   many recordings at once       bench/   how fast this machine is, and what would make it faster

A command imports what is heavy when it runs: `tiro --help` answers at once.
"""
