"""Where exactly is a process killed? Inside one transaction, which stands at a gate in the database until the test opens it.

What stands at a `kept` gate has begun to commit: although its process is killed there, the database goes on and keeps it. What stands
at another is in the middle: with its process it is lost.
"""

from __future__ import annotations

import itertools

import psycopg
from psycopg import sql

TAKEN = "INSERT ON jobs FOR EACH ROW"
"""A job is accepted."""
BEGUN = "UPDATE ON jobs FOR EACH ROW WHEN (NEW.claim IS DISTINCT FROM OLD.claim AND NEW.claim IS NOT NULL)"
"""A run is claimed."""
PREPARED = "UPDATE ON jobs FOR EACH ROW WHEN (NEW.plan IS DISTINCT FROM OLD.plan AND NEW.plan IS NOT NULL)"
"""The recording's length is known, and held."""
ENDED = "UPDATE ON jobs FOR EACH ROW WHEN (NEW.ended_at IS DISTINCT FROM OLD.ended_at AND NEW.ended_at IS NOT NULL)"
"""A run ends, and is charged."""

_NUMBERS = itertools.count(1)
_WAIT = """
    CREATE OR REPLACE FUNCTION gate() RETURNS trigger LANGUAGE plpgsql AS
    $$ BEGIN PERFORM pg_advisory_xact_lock_shared(TG_ARGV[0]::bigint); RETURN NULL; END $$
"""
_WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


class Gate:
    """Closed from the start. Transactions of this kind wait; once it is open it stays open."""

    def __init__(self, database_url: str, moment: str, *, kept: bool) -> None:
        number = next(_NUMBERS)
        kind = "CONSTRAINT TRIGGER" if kept else "TRIGGER"
        # deferred: it fires in the commit itself
        place = moment.replace(" FOR EACH", " DEFERRABLE INITIALLY DEFERRED FOR EACH") if kept else moment
        self._connection = psycopg.connect(database_url, autocommit=True)
        self._connection.execute("SELECT pg_advisory_lock(%s)", [number])
        self._connection.execute(_WAIT)
        trigger = f"CREATE {kind} gate_{number} AFTER {place} EXECUTE FUNCTION gate({number})"
        self._connection.execute(sql.SQL(trigger))  # type: ignore[arg-type]

    async def reached(self, transactions: int = 1) -> bool:
        """Whether so many wait, or more: the first at the gate, others for what that one holds."""
        (waiting,) = self._connection.execute(_WAITING).fetchone() or (0,)
        return bool(waiting >= transactions)

    def open(self) -> None:
        """Whoever waits goes on, as far as there is a process left."""
        self._connection.close()
