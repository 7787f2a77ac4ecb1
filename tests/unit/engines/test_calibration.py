"""What is chosen for a machine: by the rule, by measuring, and from what was kept."""

from __future__ import annotations

import asyncio
import fnmatch
import tomllib
from pathlib import Path

import msgspec
import pytest

from tiro.adapters.engines.calibration import choosing, kept, speech
from tiro.adapters.engines.calibration.choosing import Choosing, smallest
from tiro.adapters.engines.calibration.machine import Machine, this_machine
from tiro.adapters.engines.calibration.once import once, said
from tiro.adapters.engines.calibration.sizes import Sizes, Wishes, by_rule, fitted
from tiro.adapters.engines.faster_whisper import FasterWhisperEngine
from tiro.adapters.engines.hosts.host import HostLimits
from tiro.adapters.engines.hosts.protocol import Spec
from tiro.model.errors import Permanent, Transient
from worker import speech_slots

ROOT = Path(__file__).parents[3]
WHISPER = ROOT / "tests" / "data" / "whisper-words"
GIB = 1 << 30
TWO_CORES = Machine(cores=2, cards=0, device="a processor", memory_bytes=16 * GIB)
FOUND = Sizes(replicas=2, batch=1, context="short", window_s=20.0, replica_bytes=GIB, speed=40.0, measured=("context",))
OPEN = Wishes()
SUBJECT = {"model": "one", "cores": "2"}


def chosen(wishes=OPEN, machine=TWO_CORES, **config) -> Sizes:
    """What is found for a model that hears as `config` says."""

    def spec_of(sizes, number):
        return Spec("tests.stubs.measured_model:load", {**config, "context": sizes.context}, sizes.batch)

    rule = by_rule(wishes, machine, None)
    return asyncio.run(Choosing(wishes, machine, rule, spec_of, HostLimits()).run())


# --- by the rule


def test_without_measuring_each_core_has_a_host_as_far_as_memory_goes(tmp_path):
    (tmp_path / "model.bin").write_bytes(bytes(100))
    scarce = Machine(cores=16, cards=0, device="a processor", memory_bytes=1 * GIB)
    assert by_rule(Wishes(), TWO_CORES, tmp_path).replicas == 2
    assert by_rule(Wishes(), scarce, tmp_path).replicas == 2
    assert by_rule(Wishes(replicas=16), scarce, tmp_path).replicas == 16
    assert by_rule(Wishes(), Machine(16, 3, "a card", GIB), tmp_path).replicas == 3


def test_what_is_wished_is_chosen():
    rule = by_rule(Wishes(replicas=3, batch=7, context="short", window_s=12.0), TWO_CORES, None)
    assert (rule.replicas, rule.batch, rule.context, rule.window_s) == (3, 7, "short", 12.0)


def test_what_was_kept_in_better_times_still_has_to_fit_into_memory():
    scarce = Machine(cores=2, cards=0, device="a processor", memory_bytes=GIB)
    assert fitted(FOUND, Wishes(), TWO_CORES).replicas == 2
    assert fitted(FOUND, Wishes(), scarce).replicas == 1
    assert fitted(FOUND, Wishes(replicas=2), scarce).replicas == 2


@pytest.mark.parametrize(
    ("line", "folder", "files"),
    [
        ("0::/box", "box", {"memory.max": "3000", "memory.current": "2500", "memory.stat": "inactive_file 400\n"}),
        (
            "4:memory:/box",
            "memory/box",
            {
                "memory.limit_in_bytes": "3000",
                "memory.usage_in_bytes": "2500",
                "memory.stat": "total_inactive_file 400\n",
            },
        ),
    ],
    ids=["v2", "v1"],
)
def test_a_container_has_the_memory_of_its_group(tmp_path, line, folder, files):
    """Less what it uses, but for what the kernel gives back."""
    (tmp_path / "proc/self").mkdir(parents=True)
    (tmp_path / "proc/meminfo").write_text("MemTotal: 99 kB\nMemAvailable: 50 kB\n")
    (tmp_path / "proc/self/cgroup").write_text(f"{line}\n")
    assert this_machine(0, tmp_path / "proc", tmp_path / "groups").memory_bytes == 50 * 1024
    group = tmp_path / "groups" / folder
    group.mkdir(parents=True)
    for name, text in files.items():
        (group / name).write_text(text)
    assert this_machine(0, tmp_path / "proc", tmp_path / "groups").memory_bytes == 900


# --- by measuring


def test_windows_are_heard_at_their_own_length_where_the_model_hears_the_same_so_and_faster():
    found = chosen(Wishes(replicas=1, batch=1), work=(0.15, 0.002))
    assert found.context == "short"
    assert set(found.measured) == {"context", "window_s"}
    assert found.replica_bytes > 10 << 20


def test_windows_are_padded_where_the_model_mishears_them_at_their_own_length():
    found = chosen(Wishes(replicas=1, batch=1), work=(0.15, 0.002), mistakes=("short",))
    assert (found.context, found.window_s) == ("full", 30.0)


def test_a_model_that_understands_nothing_of_it_is_judged_by_nothing():
    found = chosen(Wishes(replicas=1, batch=1), work=(0.15, 0.002), mistakes=("short", "full"))
    assert (found.context, found.measured) == ("full", ())


def test_as_many_hosts_as_cores_are_taken_where_they_are_faster_together():
    """These wait side by side: two are twice as fast as one."""
    found = chosen(Wishes(batch=1, context="full", window_s=30.0), nap_s=0.3)
    assert (found.replicas, found.measured) == (2, ("replicas",))
    assert found.speed


def test_on_a_card_batches_grow_as_long_as_that_makes_it_faster():
    """This one hears sixteen windows in the time of one."""
    found = chosen(machine=Machine(2, 1, "a card", GIB), nap_s=0.2, room=16)
    assert found.batch >= 16
    assert (found.replicas, found.context, found.measured) == (1, "full", ("batch",))


def test_of_batches_that_are_about_as_fast_the_smallest_is_taken():
    assert smallest({1: 1.0, 4: 0.95}, 0.1) == 1
    assert smallest({1: 1.0, 4: 0.85}, 0.1) == 4
    assert smallest({8: 2.0, 16: 1.0, 32: 0.97}, 0.05) == 16


def test_a_model_that_is_too_slow_is_measured_no_longer_than_it_is_worth(monkeypatch):
    """After one look at the opening everything else follows the rule, and a batch is short."""
    monkeypatch.setattr(choosing, "WORTH_S", 0.0)
    monkeypatch.setattr(choosing, "_LONGEST_BATCH_S", 0.2)
    found = chosen(work=(0.15, 0.002))
    assert (found.context, found.batch, found.replicas, found.measured) == ("full", 1, 2, ())


def test_a_model_that_cannot_be_loaded_is_no_measurement():
    with pytest.raises(Permanent) as failed:
        chosen(Wishes(replicas=1), unknown=1)
    assert failed.value.code == "engine_unavailable"


async def test_a_measurement_that_fails_is_not_kept(tmp_path):
    async def fails() -> Sizes:
        raise Transient("engine_crash")

    with pytest.raises(Transient):
        await once(tmp_path, SUBJECT, "a model", fails)
    assert kept.load(tmp_path, SUBJECT) is None


def test_a_model_that_takes_longer_than_a_minute_for_a_sentence_is_let_be(monkeypatch):
    monkeypatch.setattr(choosing, "AT_MOST_S", 2.0)
    found = chosen(nap_s=30.0)
    assert (found.context, found.batch, found.replicas, found.measured) == ("full", 1, 2, ())


# --- kept


def test_what_was_kept_is_found_for_the_same_model_and_machine_alone(tmp_path):
    assert kept.save(tmp_path / "a" / "calibration", SUBJECT, FOUND)
    assert kept.load(tmp_path / "a" / "calibration", SUBJECT) == FOUND
    assert kept.load(tmp_path / "a" / "calibration", {**SUBJECT, "cores": "4"}) is None
    assert (tmp_path / "a").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize("damage", [b"", b"{", b"\xff", b'{"subject":{},"sizes":{}}', b"null"])
def test_a_file_that_is_damaged_counts_for_nothing_and_is_replaced(tmp_path, damage):
    kept.save(tmp_path, SUBJECT, FOUND)
    (file,) = tmp_path.glob("*.json")
    file.write_bytes(damage)
    assert kept.load(tmp_path, SUBJECT) is None
    assert kept.save(tmp_path, SUBJECT, FOUND)
    assert kept.load(tmp_path, SUBJECT) == FOUND
    assert [one.name for one in tmp_path.iterdir()] == [file.name]


def test_sizes_that_cannot_be_are_not_believed(tmp_path):
    kept.save(tmp_path, SUBJECT, Sizes(replicas=0, batch=1, context="full", window_s=30.0))
    assert kept.load(tmp_path, SUBJECT) is None


def test_a_model_that_was_changed_is_measured_anew(tmp_path):
    for name in ("model.bin", "config.json"):
        (tmp_path / name).write_bytes(b"1")
    before = kept.subject_of(tmp_path, TWO_CORES, Wishes())
    assert kept.subject_of(tmp_path, TWO_CORES, Wishes()) == before
    (tmp_path / "config.json").write_bytes(b"2")
    assert kept.subject_of(tmp_path, TWO_CORES, Wishes()) != before


async def test_of_two_that_start_at_once_one_measures(tmp_path):
    measured = []

    async def measure() -> Sizes:
        measured.append(1)
        await asyncio.sleep(0)
        return FOUND

    found = await asyncio.gather(*(once(tmp_path, SUBJECT, "a model", measure) for _ in range(2)))
    assert found == [FOUND, FOUND]
    assert len(measured) == 1


async def test_where_nothing_can_be_kept_it_is_measured_all_the_same(tmp_path):
    (tmp_path / "file").write_bytes(b"")

    async def measure() -> Sizes:
        return FOUND

    assert await once(tmp_path / "file" / "calibration", SUBJECT, "a model", measure) == FOUND


async def test_an_engine_starts_with_what_was_kept_for_it(tmp_path):
    """And says so to whoever cuts windows and gives out slots."""
    wishes, found = Wishes(batch=1), msgspec.structs.replace(FOUND, window_s=15.0)
    kept.save(tmp_path, kept.subject_of(WHISPER, this_machine(0), wishes), found)
    engine = FasterWhisperEngine(str(WHISPER), 0, wishes, tmp_path)
    await engine.start()
    try:
        assert (engine.sizes, engine.max_window_s) == (found, 15.0)
        assert len(engine.pool.pids) == 2
        assert engine.windows_in_flight == 4
        assert speech_slots([engine], 150.0) == 2
    finally:
        await engine.stop()


async def test_an_engine_that_is_told_everything_measures_nothing(tmp_path):
    engine = FasterWhisperEngine(str(WHISPER), 0, Wishes(1, 2, "full", 25.0), tmp_path)
    await engine.start()
    await engine.stop()
    assert (engine.max_window_s, engine.sizes.measured, list(tmp_path.iterdir())) == (25.0, (), [])


def test_what_was_chosen_is_said_with_the_settings_that_override_it():
    assert said(FOUND) == (
        "TIRO_REPLICAS=2 (not measured) TIRO_WHISPER_BATCH=1 (not measured) TIRO_WHISPER_CONTEXT=short "
        "TIRO_WHISPER_WINDOW_S=20 (not measured), about 40.0 x real time"
    )


# --- the speech


def test_the_speech_comes_with_the_package_and_is_what_its_text_says():
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["*"]
    assert all(
        any(fnmatch.fnmatch(file.name, pattern) for pattern in patterns)
        for file in speech.FILE.parent.iterdir()
        if file.suffix not in {".py", ""}
    )
    dialogue, words = speech.passages()
    assert dialogue.words[:4] == ["hello", "and", "welcome", "today"]
    assert words.words[:3] == ["seven", "three", "seventeen"]
    assert 45 <= len(dialogue.samples) / 16_000 <= 60
    assert speech.wrong(["a", "c"], ["a", "b", "c"]) == 1
