"""What all tests share: each test's tier, by its folder, and a word per tier and the tables at the end."""

from __future__ import annotations

import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from tests.dialects.jobs.promises import PROMISES as JOBS
from tests.dialects.transcribe.promises import PROMISES as TRANSCRIBE
from tests.servers.temporal import end_server, name_run, temporal_address, temporal_client, temporal_namespace
from tests.tables import Tables, seen

TIERS = ("unit", "contract", "dialects", "workflows", "replay", "acceptance", "hostile")
__all__ = ["seen", "temporal_address", "temporal_client", "temporal_namespace"]
_ROOT = Path(__file__).parent


def _tier(path: Path) -> str | None:
    folder = path.relative_to(_ROOT).parts[0]
    return folder if folder in TIERS else None


def pytest_configure(config: pytest.Config) -> None:
    config.pluginmanager.register(Tables(config, JOBS | TRANSCRIBE))
    if not hasattr(config, "workerinput"):
        name_run()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        tier = _tier(item.path)
        if tier:
            item.add_marker(tier)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """One line per tier: how many tests ended how, and how long they took together."""
    ended: dict[str, Counter[str]] = {tier: Counter() for tier in TIERS}
    spent_s = dict.fromkeys(TIERS, 0.0)
    for outcome in ("passed", "failed", "error", "skipped", "xfailed"):
        for report in terminalreporter.stats.get(outcome, []):
            tier = report.nodeid.split("/")[1] if report.nodeid.startswith("tests/") else ""
            if tier in ended:
                ended[tier][outcome] += 1
                spent_s[tier] += getattr(report, "duration", 0.0)
    for tier, outcomes in ended.items():
        if outcomes:
            words = ", ".join(f"{count} {outcome}" for outcome, count in outcomes.items())
            terminalreporter.write_line(f"{tier:>10}: {words} ({spent_s[tier]:.0f} s)")


def pytest_sessionfinish(session: pytest.Session) -> None:
    """The main process ends the Temporal server that the test processes share."""
    if not hasattr(session.config, "workerinput"):
        end_server()


def pytest_unconfigure() -> None:
    """A process that ends right after its last Temporal worker closed aborts now and then: let its threads finish."""
    if "temporalio.worker" in sys.modules:
        time.sleep(1.5)
