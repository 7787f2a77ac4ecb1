"""What does `tiro doctor` look at? One function per thing that the service needs, each giving findings with a code and a fix."""

from __future__ import annotations

import asyncio
import shutil
from datetime import date
from pathlib import Path

import msgspec
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError

from commands import weaknesses
from commands.subject import Check, Finding, Level, Subject
from tiro.adapters.database.migrate import current_revision, is_current
from tiro.adapters.database.records import open_records
from tiro.adapters.diarizers.registry import resolve_diarizer
from tiro.adapters.egress import sites
from tiro.adapters.engines.registry import resolve_chain
from tiro.adapters.storage import open_blobs
from tiro.adapters.system import SystemClock
from tiro.adapters.temporal.binary import find_binary
from tiro.adapters.temporal.client import connect
from tiro.adapters.temporal.names import QUEUES
from tiro.adapters.temporal.namespace import missing_attributes
from tiro.model.account import Account
from tiro.model.errors import TiroError, Transient
from tiro.model.plans import Plans
from tiro.settings import Settings
from tiro.wiring import engine_client, engine_facts, scratch_folder

_SITES_AT_LEAST = 1_500
_SITES_GROW_OLD_DAYS = 60
_SKEW_WARN_S, _SKEW_FAIL_S = 2.0, 30.0
_SCRATCH_FAIL_BYTES, _SCRATCH_WARN_BYTES = 1 << 30, 10 << 30
_PATIENCE_S = 20.0


async def examine(subject: Subject) -> list[Finding]:
    """All checks, in the order in which a job meets what they look at. A check that breaks is a finding itself."""
    return [finding for code, check in CHECKS.items() for finding in await _tried(code, check, subject)]


async def _tried(code: str, check: Check, subject: Subject) -> list[Finding]:
    try:
        async with asyncio.timeout(_PATIENCE_S):
            return await check(subject)
    except TiroError as error:
        return [Finding(error.code, "fail", f"{code}: {error.message}", _FIXES.get(error.code, ""))]
    except TimeoutError:
        return [
            Finding(f"{code}_silent", "fail", f"{code}: no answer within {_PATIENCE_S:.0f} s.", _FIXES.get(code, ""))
        ]


async def temporal(subject: Subject) -> list[Finding]:
    """The cluster answers, knows our attributes, and somebody polls our queues; or an embedded one can be had."""
    if subject.settings.temporal.address is None:
        return [_embedded_temporal(subject)]
    access = subject.settings.temporal
    try:
        client = await connect(access, lazy=False)
        missing = await missing_attributes(client)
        unserved = await _unserved(client)
    except (RuntimeError, RPCError):
        raise Transient("temporal_unavailable", f"No Temporal cluster answers at {access.address}.") from None
    found = [Finding("temporal", "ok", f"{access.address} answers, namespace {access.namespace}.")]
    if missing:
        text = f"The namespace lacks search attributes: {', '.join(missing)}."
        found.append(Finding("temporal_attributes", "fail", text, "Run `tiro migrate`."))
    if unserved:
        text = f"No worker polls {', '.join(QUEUES[name] for name in unserved)}: jobs wait there."
        found.append(
            Finding("queues_unserved", "warn", text, f"Start `python worker.py --queue {','.join(unserved)}`.")
        )
    return found


async def _unserved(client: Client) -> list[str]:
    unserved = []
    for name, queue in QUEUES.items():
        answer = await client.workflow_service.describe_task_queue(
            DescribeTaskQueueRequest(
                namespace=client.namespace,
                task_queue=TaskQueue(name=queue),
                task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
            )
        )
        if not answer.pollers:
            unserved.append(name)
    return unserved


def _embedded_temporal(subject: Subject) -> Finding:
    binary = find_binary(subject.environ)
    if binary is not None:
        return Finding("temporal", "ok", f"`tiro up` will start {binary}.")
    if shutil.which("go", path=subject.environ.get("PATH")):
        return Finding(
            "temporal", "ok", "`tiro up` will download the Temporal server, or build it with Go (3 minutes, once)."
        )
    text = (
        "The Temporal server is not here yet; `tiro up` will try to download it, and there is no Go to build it with."
    )
    return Finding("temporal_missing", "warn", text, "Without a network: put `temporal` on PATH, or install Go 1.24.")


async def database(subject: Subject) -> list[Finding]:
    """It answers, is at this version's schema, and its clock agrees with ours."""
    if subject.fresh:
        return [Finding("database", "ok", "It will be made at the first `tiro up`.")]
    url = subject.settings.database_url
    if not await asyncio.to_thread(is_current, url):
        at = await asyncio.to_thread(current_revision, url)
        fix = "The next `tiro up` brings it up." if subject.embedded else "Run `tiro migrate`."
        level: Level = "warn" if subject.embedded else "fail"
        return [Finding("database_old", level, f"The schema is at {at or 'nothing'}, not at this version's.", fix)]
    kind = url.partition(":")[0]
    return [Finding("database", "ok", f"{kind} answers, schema {await asyncio.to_thread(current_revision, url)}.")]


async def accounts(subject: Subject) -> list[Finding]:
    """They are on plans that the settings have, and on engines of the chain."""
    if subject.fresh:
        return []
    records = open_records(subject.settings.database_url, SystemClock())
    try:
        if not await asyncio.to_thread(is_current, subject.settings.database_url):
            return []
        async with records.begin() as tx:
            everyone = await tx.accounts.all()
    except Transient:
        return []  # said by the check before
    finally:
        await records.close()
    plans = Plans(subject.settings.plans)
    names = ", ".join(plan.name for plan in plans.all())
    found = [Finding("accounts", "ok", f"{len(everyone)} accounts; plans {names}.")]
    if missing := plans.missing(account.plan for account in everyone):
        text = f"Accounts are on plans that are not in the settings: {', '.join(missing)}."
        found = [Finding("plan_missing", "fail", text, _FIXES["plan_missing"])]
    return found + [_without_engine(account) for account in everyone if _deaf(account, subject.settings)]


def _deaf(account: Account, settings: Settings) -> bool:
    """Whether none of its engines is in the chain."""
    return bool(account.engines) and not {facts.id for facts in engine_facts(settings)} & set(account.engines)


def _without_engine(account: Account) -> Finding:
    text = f"None of the engines of {account.account_id} is in the chain: {', '.join(account.engines)}."
    fix = f"`tiro accounts set {account.account_id} --engines default`, or name them in TIRO_ENGINES."
    return Finding("account_engines", "warn", text, fix)


async def clock(subject: Subject) -> list[Finding]:
    """Tokens, quotas and purges go by time: ours and the database's must agree."""
    if subject.fresh:
        return []
    ours = SystemClock()
    records = open_records(subject.settings.database_url, ours)
    try:
        skew_s = abs((await records.now() - ours.now()).total_seconds())
    except Transient:
        return []  # said by the check before
    finally:
        await records.close()
    if skew_s < _SKEW_WARN_S:
        return [Finding("clock", "ok", f"{skew_s:.1f} s from the database's.")]
    level: Level = "fail" if skew_s > _SKEW_FAIL_S else "warn"
    return [Finding("clock_skew", level, f"{skew_s:.1f} s from the database's.", "Run NTP on both machines.")]


async def store(subject: Subject) -> list[Finding]:
    """A small object can be written, read and removed."""
    if subject.fresh:
        return [Finding("store", "ok", "It will be made at the first `tiro up`.")]
    blobs = await asyncio.to_thread(open_blobs, subject.settings.blobs_url)
    codes = await asyncio.to_thread(blobs.check)
    where = subject.settings.blobs_url.partition(":")[0]
    found = [Finding("store", "ok", f"{where}: written, read, removed.")]
    return found + [Finding(code, "warn", _STORE.get(code, code), _FIXES.get(code, "")) for code in codes]


async def engines(subject: Subject) -> list[Finding]:
    """Which engines can run here; nothing is loaded."""
    chain = await asyncio.to_thread(resolve_chain, subject.settings, lambda: engine_client(subject.settings))
    found = [Finding("engine", "ok", f"{engine.id}: {engine.model}.") for engine in chain.engines]
    fix = "`tiro up` works without; for better transcripts do as it says."
    return found + [Finding("engine_left_out", "warn", warning, fix) for warning in chain.warnings]


async def voices(subject: Subject) -> list[Finding]:
    """Which diarizer tells mixed voices apart."""
    diarizer, warnings = await asyncio.to_thread(resolve_diarizer, subject.settings)
    found = [Finding("diarizer", "ok", f"{diarizer.id} (stereo with a speaker per channel needs none).")]
    await asyncio.to_thread(diarizer.close)
    fix = ".venv/bin/pip install 'tiro[diarization]', and TIRO_PYANNOTE_MODEL or HF_TOKEN."
    return found + [Finding("diarizer_light", "warn", warning, fix) for warning in warnings]


async def egress(_: Subject) -> list[Finding]:
    """What downloads from sites need: yt-dlp, its extractors, a JavaScript runtime."""
    count, version = await asyncio.to_thread(sites.extractor_count), sites.version()
    runtime = await asyncio.to_thread(sites.js_runtime)
    text = f"yt-dlp {version}, {count} extractors, JavaScript by {runtime or 'nothing'}."
    found = [Finding("sites", "ok" if count >= _SITES_AT_LEAST else "fail", text)]
    if runtime is None:
        found.append(
            Finding(
                "sites_no_javascript",
                "warn",
                "YouTube needs a JavaScript runtime.",
                ".venv/bin/pip install 'tiro[sites]'.",
            )
        )
    if (age_days := _age_days(version)) > _SITES_GROW_OLD_DAYS:
        text = f"yt-dlp is {age_days} days old; sites change faster."
        found.append(
            Finding("sites_old", "warn", text, ".venv/bin/pip install --upgrade yt-dlp: it may go ahead of the rest.")
        )
    return found


def _age_days(version: str) -> int:
    """yt-dlp is named after its day."""
    year, month, day = (int(piece) for piece in version.split(".")[:3])
    return (SystemClock().now().date() - date(year, month, day)).days


async def scratch(subject: Subject) -> list[Finding]:
    """Recordings pass through it: it must be writable and have room."""
    settings = subject.settings
    if subject.fresh:
        settings = msgspec.structs.replace(settings, scratch="")
    folder = await asyncio.to_thread(scratch_folder, settings)
    probe = folder / ".doctor"
    try:
        await asyncio.to_thread(_write_and_remove, probe)
    except OSError as wrong:
        return [Finding("scratch_unwritable", "fail", f"{folder}: {wrong.strerror}.", "Set TIRO_SCRATCH.")]
    free = shutil.disk_usage(folder).free
    text = f"{folder}: {free / (1 << 30):.1f} GiB free."
    if free >= _SCRATCH_WARN_BYTES:
        return [Finding("scratch", "ok", text)]
    level: Level = "fail" if free < _SCRATCH_FAIL_BYTES else "warn"
    return [Finding("scratch_small", level, text, "Make room, or set TIRO_SCRATCH to a larger disk.")]


def _write_and_remove(file: Path) -> None:
    file.write_bytes(bytes(4096))
    file.unlink()


CHECKS: dict[str, Check] = {
    "temporal": temporal,
    "database": database,
    "accounts": accounts,
    "clock": clock,
    "store": store,
    "engines": engines,
    "voices": voices,
    "egress": egress,
    "scratch": scratch,
    **weaknesses.CHECKS,
}
"""Name -> check, in the order of the report."""

_STORE = {
    "bucket_keeps_versions": "The bucket keeps versions: what is deleted stays, and retention promises break.",
    "store_forgets": "The store lives in memory: it forgets everything when the process ends.",
}
_FIXES = {
    "temporal_unavailable": "Start the cluster, or correct TEMPORAL_ADDRESS (and TEMPORAL_NAMESPACE, TEMPORAL_API_KEY, TLS).",
    "temporal": "Is TEMPORAL_ADDRESS right, and does a firewall stand between?",
    "database_unavailable": "Start the database, or correct TIRO_DATABASE_URL.",
    "database_newer": "Install the newer version of Tiro that made it.",
    "plan_missing": "Name the plan in TIRO_PLANS (or [plans.NAME] of tiro.toml), or `tiro accounts plan ACCOUNT PLAN`.",
    "bucket_missing": "Make the bucket that TIRO_BLOBS names.",
    "bucket_keeps_versions": "Turn versioning off for it, or expire old versions at once.",
    "store_unavailable": "Correct TIRO_BLOBS and the AWS_ variables; is the store up?",
    "store_full": "Make room, or move the store.",
    "store_forgets": "Set TIRO_BLOBS to file:///folder or s3://bucket/prefix.",
    "engine_unavailable": "Do as it says, or name another engine in TIRO_ENGINES.",
}
