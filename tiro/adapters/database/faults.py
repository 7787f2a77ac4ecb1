"""What the database says, in the words of the core: again (Transient `database_unavailable`) or not."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import exc

from tiro.model.errors import Conflict, Invalid, TiroError, Transient


@contextmanager
def translated() -> Iterator[None]:
    """Turns what SQLAlchemy raises into ours; what only a bug can cause passes as it is.

    Refused, lost or exhausted connections, locks, deadlocks and failed serialization: Transient `database_unavailable`.
    A value that cannot be stored: Invalid. A broken constraint: Conflict. Their causes are cut off, since they may quote values.
    """
    try:
        yield
    except exc.IntegrityError:
        raise Conflict("conflict", "It exists already, or what it belongs to does not.") from None
    except exc.DataError:
        raise Invalid("invalid_request", "A value cannot be stored.") from None
    except (exc.SQLAlchemyError, OverflowError) as wrong:
        if _unavailable(wrong):
            raise Transient("database_unavailable", "The database cannot be used at the moment.") from wrong
        refused = _refused(wrong)
        if refused is not None:
            raise refused from None
        raise


def _refused(wrong: Exception) -> TiroError | None:
    """The error about a value, if that is what lies behind."""
    cause = wrong.orig if isinstance(wrong, exc.StatementError) else wrong
    if isinstance(cause, TiroError):
        return cause
    if isinstance(cause, (UnicodeError, OverflowError)):
        return Invalid("invalid_request", "A value cannot be stored.")
    return None


def _unavailable(wrong: Exception) -> bool:
    if isinstance(wrong, exc.TimeoutError):
        return True
    if not isinstance(wrong, exc.DBAPIError):
        return False
    if isinstance(wrong.orig, sqlite3.OperationalError):
        # SQLITE_ERROR is wrong SQL or a missing table, which does not pass by waiting; locks, a full or a failing disk do
        return getattr(wrong.orig, "sqlite_errorcode", sqlite3.SQLITE_BUSY) != sqlite3.SQLITE_ERROR
    return isinstance(wrong, (exc.OperationalError, exc.InterfaceError)) or wrong.connection_invalidated
