"""What a bench recommends follows from its figures, and what nobody measured is said."""

from __future__ import annotations

import tomllib

import pytest

from commands.bench.advice import advice_on, not_measured, settings_of
from commands.bench.figures import Chosen, Host, Run
from tiro.settings import read

MACHINE = Host(cores=2, cards=0, device="a processor", memory_bytes=1 << 34)
CHOSEN = Chosen(
    engine="faster_whisper", model="whisper_small", replicas=2, batch=1, context="short", window_s=20.0,
    measured=("replicas", "batch", "context", "window_s"),
)  # fmt: skip


def run_at(speed: float, what: str = "one recording", through: str = "engine") -> Run:
    return Run(
        what=what,
        through=through,
        files=1,
        audio_s=60.0,
        took_s=60 / speed,
        x_real_time=speed,
        files_per_s=speed / 60,
    )


def advice(*runs: Run, chosen: Chosen | None = CHOSEN, model: str | None = "small") -> str:
    return "\n".join(advice_on(MACHINE, chosen, model, runs))


def test_the_settings_can_be_pasted_into_the_settings_file(tmp_path):
    file = tmp_path / "tiro.toml"
    file.write_text("\n".join(settings_of(CHOSEN)))
    base = {"database_url": "sqlite://", "blobs_url": "memory://", "secret_key": "x"}
    settings = read({}, file, base)
    found = (settings.replicas, settings.whisper_batch, settings.whisper_context, settings.whisper_window_s)
    assert found == (2, 1, "short", 20.0)
    assert settings_of(None) == []
    assert len(tomllib.loads(file.read_text())) == 4


@pytest.mark.parametrize(
    ("speed", "model", "says"),
    [
        (2.0, "small", 'base would be about 3.3 x as fast, and hear less well: whisper_model = "base"'),
        (0.1, "small", 'whisper_model = "tiny"'),
        (30.0, "small", 'There is room for a better model: large-v3-turbo would be about 9 x: whisper_model = "large-v3-turbo"'),
        (7.0, "small", ""),
        (2.0, "tiny", "people expect 10"),
    ],
)  # fmt: skip
def test_a_model_is_named_that_keeps_what_people_expect(speed, model, says):
    assert says in advice(run_at(speed), model=model)
    assert ("whisper_model" in advice(run_at(speed), model=model)) is ("whisper_model" in says)


def test_of_a_model_that_is_not_known_by_its_name_nothing_is_guessed():
    assert "whisper_model" not in advice(run_at(1.0), model="words")


def test_a_machine_on_which_callers_wait_in_vain_is_told_of():
    assert "callers of POST /v1/transcribe wait" in advice(run_at(2.0))
    assert "callers" not in advice(run_at(8.0))


def test_short_files_that_cost_more_are_told_of():
    assert "A second of a short file costs 4.0 x" in advice(run_at(40.0), run_at(10.0, "short files"))
    assert "short file" not in advice(run_at(40.0), run_at(30.0, "short files"))


def test_a_line_that_leaves_little_of_the_engines_speed_is_told_of():
    assert "The line left 50%" in advice(run_at(40.0), run_at(20.0, through="line"))
    assert "The line" not in advice(run_at(40.0), run_at(36.0, through="line"))


def test_what_was_not_measured_is_said():
    said = "\n".join(not_measured(CHOSEN, [run_at(9.0)], own=False))
    assert "--whole" in said
    assert "voices" in said
    assert "name a FILE" in said
    assert "--again" not in said
    whole = "\n".join(not_measured(CHOSEN, [run_at(9.0), run_at(9.0, through="line")], own=True))
    assert "--whole" not in whole
    assert "name a FILE" not in whole
    guessed = Chosen(engine="faster_whisper", model="m", replicas=2, batch=4, context="full", window_s=30.0)
    assert "replicas, batch, context, window_s" in "\n".join(not_measured(guessed, [], own=True))
