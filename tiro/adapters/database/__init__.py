"""The records: accounts, jobs, ledger and deliveries on SQLite (one process) or PostgreSQL (several). Never transcript text.

records.py      open_records(url, clock) -> SqlRecords: engine, transaction, the database's clock
migrate.py      migrate(url), current_revision(url), is_current(url): bring the schema up, and say where it stands
accounts.py     accounts, keys, webhook secrets
jobs.py         job rows, open uploads, and the orders that Temporal must be given
admission.py    who gets a free slot; ahead.py whose recording is fetched before that
ledger.py       minutes and overage, guarded balances
wallets.py      money, guarded likewise
batches.py      the files of batches
hooks.py        deliveries and their attempts
signing.py      the server's own keys
replays.py      answers that are given again
limits.py       what may not come too often
families.py     refresh tokens, each used once
books.py        what an audit asks; books_money.py of the ledgers, books_sums.py how two sums are compared
tables.py       the tables; columns.py what a column takes; rows.py a connection that speaks in rows; faults.py its errors in our words
connect.py      an address -> an engine
migrations/     the steps from one schema to the next

Rows never leave this room: every answer is a frozen struct of the core.
"""
