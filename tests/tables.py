"""Which promises do the tests of this run keep, and what did the hostile inputs come to? Two tables end a run."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping

import pytest

_MARKS = ("promise", "hostile_input")
_WHOLE = ("", "not diarization")  # the -m of a run of everything; the Makefile names the second


@pytest.fixture
def seen(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Write down what a hostile input came to, in few words, for the table."""

    def note(text: str) -> None:
        request.node.user_properties.append(("seen", text))

    return note


class Tables:
    """Collects, from the reports of all test processes, what tests say of themselves; prints it in the main one."""

    def __init__(self, config: pytest.Config, promises: Mapping[str, str]) -> None:
        self._config, self._promises = config, promises
        self._said: dict[str, list[tuple[str, object]]] = {}
        self._outcome: dict[str, str] = {}
        self._untested: list[str] = []

    @pytest.hookimpl(trylast=True)
    def pytest_collection_modifyitems(self, items: list[pytest.Item]) -> None:
        for item in items:
            for name in _MARKS:
                for mark in item.iter_markers(name):
                    item.user_properties.append((name, list(mark.args)))

    def pytest_runtest_setup(self, item: pytest.Item) -> None:
        """A slip of the pen in a mark is an error of its test."""
        for mark in item.iter_markers("promise"):
            unknown = [line for line in mark.args if line not in self._promises]
            assert mark.args, "a promise without a line"
            assert not unknown, f"nobody promised {unknown}"
        for mark in item.iter_markers("hostile_input"):
            assert len(mark.args) == 3, "hostile_input takes number, what and expected"

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        """Failed once is failed; passed is the test itself; a skipped test keeps nothing."""
        if report.failed:
            self._outcome[report.nodeid] = "failed"
        elif report.when == "call" and report.passed:
            self._outcome.setdefault(report.nodeid, "passed")
        self._said[report.nodeid] = list(report.user_properties)

    @pytest.hookimpl(tryfirst=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        """A whole run that leaves a promise untested has failed."""
        if hasattr(self._config, "workerinput") or not self._whole(session):
            return
        tested = self._tested()
        self._untested = [line for line in self._promises if not tested[line]]
        if self._untested and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def _whole(self, session: pytest.Session) -> bool:
        option = self._config.option
        chosen = [getattr(option, name, None) for name in ("keyword", "deselect", "ignore", "ignore_glob", "lf")]
        return (
            self._config.args_source is not pytest.Config.ArgsSource.ARGS
            and option.markexpr in _WHOLE
            and not any(chosen)
            and not option.collectonly
            and session.exitstatus in {pytest.ExitCode.OK, pytest.ExitCode.TESTS_FAILED}
            and not session.shouldstop
            and not session.shouldfail
        )

    def _tested(self) -> dict[str, list[str]]:
        """How the tests of each line ended."""
        ended: dict[str, list[str]] = defaultdict(list)
        for nodeid, args in self._arguments("promise"):
            if nodeid in self._outcome:
                for line in args:
                    ended[str(line)].append(self._outcome[nodeid])
        return ended

    def _arguments(self, mark: str) -> Iterator[tuple[str, list[object]]]:
        for nodeid, said in self._said.items():
            for name, value in said:
                if name == mark and isinstance(value, list):
                    yield nodeid, value

    @pytest.hookimpl(trylast=True)
    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        self._print_promises(terminalreporter)
        self._print_hostile(terminalreporter)
        if self._untested:
            terminalreporter.write_line(
                f"Everything was run, and no test keeps {', '.join(self._untested)}: the run has failed.", red=True
            )

    def _print_promises(self, to: pytest.TerminalReporter) -> None:
        tested = self._tested()
        if tested or self._untested:
            to.section("promises")
        for line, what in self._promises.items():
            ended = tested[line]
            if ended or line in self._untested:
                word = "BROKEN" if "failed" in ended else "kept" if ended else "untested"
                to.write_line(f"{line:>4}  {word:<8}  {len(ended):>3} tests  {what}", red=word != "kept")

    def _print_hostile(self, to: pytest.TerminalReporter) -> None:
        cases = [(*args, nodeid) for nodeid, args in self._arguments("hostile_input") if nodeid in self._outcome]
        if not cases:
            return
        to.section("hostile inputs: what was sent, expected -> seen")
        for number, what, expected, nodeid in sorted(cases, key=lambda case: (int(str(case[0])), str(case[1]))):
            saw = ", ".join(str(value) for name, value in self._said[nodeid] if name == "seen") or "(not written down)"
            word = self._outcome[str(nodeid)]
            to.write_line(f"{number:>4}  {word:<6}  {what}: {expected} -> {saw}", red=word != "passed")
        passed = sum(self._outcome[str(nodeid)] == "passed" for *_, nodeid in cases)
        inputs = len({str(number) for number, *_ in cases})
        to.write_line(f"hostile inputs: {len(cases)} cases of {inputs} inputs, {passed} passed")
