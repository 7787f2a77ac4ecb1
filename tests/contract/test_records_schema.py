"""Does the schema come up once, on an empty database, under a race, and as the tables say?"""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import CheckConstraint, text

from tests.contract.records_nouns import account, delivery, given, job
from tests.servers.databases import SteppedClock
from tests.servers.postgres import PostgresServer
from tiro.adapters.database.connect import parse, sync_engine
from tiro.adapters.database.migrate import current_revision, is_current, migrate
from tiro.adapters.database.records import SqlRecords, open_records
from tiro.adapters.database.tables import METADATA
from tiro.model.errors import Invalid, Permanent, Transient
from tiro.model.hook import SealedUrl


@pytest.fixture(params=["sqlite", "postgresql"])
def empty_url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'empty.db'}"
        return
    server: PostgresServer = request.getfixturevalue("postgres_server")
    name = server.create()
    yield server.url(name)
    server.drop(name)


def test_an_empty_database_is_not_current_until_it_is_migrated(empty_url: str) -> None:
    assert current_revision(empty_url) is None
    assert not is_current(empty_url)
    assert migrate(empty_url) == current_revision(empty_url)
    assert is_current(empty_url)


def test_migrating_again_changes_nothing(database_url: str) -> None:
    before = current_revision(database_url)
    assert migrate(database_url) == before


def test_eight_at_once_migrate_once(empty_url: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        assert len(set(pool.map(migrate, [empty_url] * 8))) == 1


def test_the_migrations_make_the_tables_that_the_code_uses(database_url: str) -> None:
    engine = sync_engine(parse(database_url))
    with engine.connect() as connection:
        assert compare_metadata(MigrationContext.configure(connection), METADATA) == []
        assert _checks(database_url, connection) == {
            check.name
            for table in METADATA.tables.values()
            for holder in (table, *table.columns)
            for check in holder.constraints
            if isinstance(check, CheckConstraint)
        }


def test_a_database_of_a_later_version_is_refused(database_url: str) -> None:
    with sync_engine(parse(database_url)).begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(Permanent) as refused:
        migrate(database_url)
    assert refused.value.code == "database_newer"
    assert not is_current(database_url)


async def test_what_stood_in_plain_before_addresses_were_sealed_is_forgotten(
    records: SqlRecords, database_url: str
) -> None:
    """A webhook under way then ends by its schedule, as one whose address does not open."""
    await given(records, account(), job(webhook_url=SealedUrl(b"", "")), delivery())
    with sync_engine(parse(database_url)).begin() as connection:
        connection.execute(text("UPDATE jobs SET webhook_url = 'https://example.com/?token=canary'"))
        connection.execute(text("UPDATE deliveries SET url = 'https://example.com/?token=canary'"))
        for statement in _since_then():
            connection.execute(text(statement))
        connection.execute(text("UPDATE alembic_version SET version_num = '0003'"))
    migrate(database_url)
    async with records.begin() as tx:
        kept, event = await tx.jobs.get("job_1"), await tx.hooks.get("evt_1")
    assert kept is not None
    assert event is not None
    assert kept.webhook_url == event.url == SealedUrl(b"", "")
    assert kept.pace == ()


_INDEXES = ("ix_jobs_expiring", "ix_jobs_batch_id", "ix_jobs_reference", "ix_jobs_ahead", "ix_jobs_to_fetch")


def _since_then() -> Iterator[str]:
    """What later migrations have added, taken away again."""
    yield from (f"DROP INDEX {name}" for name in _INDEXES)
    yield from (f"DROP TABLE {name}" for name in ("wallet_entries", "wallets", "batch_files", "signing_keys"))
    # SQLite drops no column that an index names, and the first version of this one is there to be replaced
    yield "DROP INDEX ix_jobs_waiting"
    yield "CREATE INDEX ix_jobs_waiting ON jobs (account_id, changed_at) WHERE state = 'queued'"
    yield "ALTER TABLE accounts DROP COLUMN self_topup"
    columns = (
        *("pace", "fetch_run", "awaiting", "priority", "batch_id", "reference", "limits", "files_total", "files_done"),
        *("files_failed", "micros_per_hour", "cost_micros", "balance_micros", "expires_at"),
    )
    yield from (f"ALTER TABLE jobs DROP COLUMN {name}" for name in columns)


@pytest.mark.parametrize(
    "url", ["", "nonsense", "sqlite://", "sqlite:///:memory:", "mysql://host/db", "postgresql+asyncpg2"]
)
def test_an_address_of_another_kind_names_the_setting(url: str) -> None:
    with pytest.raises(Invalid) as refused:
        open_records(url, SteppedClock())
    assert refused.value.code == "invalid_setting"
    assert refused.value.extras == {"param": "TIRO_DATABASE_URL"}


def test_a_database_that_is_away_is_transient(tmp_path: Path) -> None:
    for url in (f"sqlite:///{tmp_path / 'missing' / 'tiro.db'}", f"postgresql://nobody@/none?host={tmp_path}"):
        with pytest.raises(Transient) as away:
            migrate(url)
        assert away.value.code == "database_unavailable"


def _checks(url: str, connection) -> set[str]:
    if url.startswith("sqlite"):
        made = "".join(connection.execute(text("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")).scalars())
        return {word for word in made.replace("(", " ").split() if word.startswith("ck_")}
    found = connection.execute(text("SELECT conname FROM pg_constraint WHERE contype = 'c' AND conname LIKE 'ck%'"))
    return set(found.scalars())
