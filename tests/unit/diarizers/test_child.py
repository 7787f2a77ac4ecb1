"""The child of a diarizer: answers one at a time, dies when told, comes back when asked."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator

import pytest

from tiro.adapters.diarizers.child import Child, environment
from tiro.model.errors import Transient

GO = threading.Event()


@pytest.fixture
def child() -> Iterator[Child]:
    made = Child("tests.unit.diarizers.echoing", ["model"], environment({"TOLD": "you"}))
    yield made
    made.close()


def gone(pid: int | None) -> bool:
    try:
        os.kill(pid or 0, 0)
    except ProcessLookupError:
        return True
    return False


def test_it_answers_and_stays_for_the_next_request(child):
    assert child.ask(b"hello", GO, 30) == b"hello you model"
    first = child.pid
    assert child.ask(b"again", GO, 30) == b"again you model"
    assert child.pid == first


def test_stop_kills_it_at_once(child):
    child.ask(b"hello", GO, 30)
    pid, stop = child.pid, threading.Event()
    threading.Timer(0.2, stop.set).start()
    began = time.monotonic()
    with pytest.raises(Transient) as stopped:
        child.ask(b"sleep", stop, 30)
    assert stopped.value.code == "stopped"
    assert time.monotonic() - began < 2
    assert gone(pid)


def test_one_that_dies_is_transient_and_the_next_request_gets_a_new_one(child):
    with pytest.raises(Transient) as crashed:
        child.ask(b"die", GO, 30)
    assert crashed.value.code == "diarizer_crash"
    assert child.ask(b"hello", GO, 30) == b"hello you model"


def test_one_that_has_kept_too_much_answers_and_the_next_request_gets_a_new_one():
    limited = Child("tests.unit.diarizers.echoing", ["model"], environment({"TOLD": "you"}), memory_bytes=64 * 1024**2)
    try:
        assert limited.ask(b"hello", GO, 30) == b"hello you model"
        first = limited.pid
        assert limited.ask(b"keep", GO, 30) == b"keep you model"
        assert gone(first)
        assert limited.pid is None
        assert limited.ask(b"hello", GO, 30) == b"hello you model"
    finally:
        limited.close()


def test_one_that_does_not_answer_in_time_is_killed(child):
    child.ask(b"hello", GO, 30)
    pid = child.pid
    with pytest.raises(Transient) as late:
        child.ask(b"sleep", GO, 0.2)
    assert late.value.code == "diarizer_timeout"
    assert gone(pid)


def test_who_waits_for_another_request_can_be_stopped(child):
    child.ask(b"hello", GO, 30)
    first_stop, second_stop = threading.Event(), threading.Event()

    def sleep() -> None:
        with pytest.raises(Transient):
            child.ask(b"sleep", first_stop, 30)

    first = threading.Thread(target=sleep)
    first.start()
    while not child._one_at_a_time.locked():
        time.sleep(0.01)
    threading.Timer(0.2, second_stop.set).start()
    with pytest.raises(Transient):
        child.ask(b"hello", second_stop, 30)
    assert first.is_alive()
    first_stop.set()
    first.join(5)
    assert not first.is_alive()


def test_close_ends_it(child):
    child.ask(b"hello", GO, 30)
    pid = child.pid
    child.close()
    child.close()
    assert gone(pid)


def test_a_child_sees_none_of_our_secrets(monkeypatch):
    monkeypatch.setenv("TIRO_SECRET_KEY", "secret")
    monkeypatch.setenv("HF_HOME", "models")
    assert "TIRO_SECRET_KEY" not in environment({})
    assert environment({"A": "b"})["A"] == "b"
    assert environment({})["HF_HOME"] == "models"
