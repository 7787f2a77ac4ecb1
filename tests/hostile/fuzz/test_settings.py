"""What an operator may write: any environment, any tiro.toml and any plans make settings that hold, or a sentence that names the slip."""

from __future__ import annotations

import base64
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.hostile.fuzz.effort import effort
from tiro import settings
from tiro.adapters.vault import derive
from tiro.model.errors import Invalid
from tiro.model.plans import plans_from

SECRET = base64.b64encode(b"a secret of 32 bytes, no more no").decode()
NEEDED = {"TIRO_DATABASE_URL": "sqlite:////x", "TIRO_BLOBS": "memory://", "TIRO_SECRET_KEY": SECRET}
NAMES = st.sampled_from(["TIRO_NOTHING", "TIRO_", "PATH", *settings._NAMES, *settings._TEMPORAL])
VALUES = st.one_of(
    st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=30),
    st.integers().map(str),
    st.floats().map(str),
    st.sampled_from(
        ["http://[", "s3://[x", "10.0.0.0/8,::/0", "true", "9" * 5_000, "/", "free", "a,,b", "https://:x/"]
    ),
)
FIELDS = st.sampled_from([*(name.removeprefix("TIRO_").lower() for name in settings._NAMES), "nothing"])
SCALARS = st.one_of(st.booleans(), st.integers(), st.floats(), st.text(max_size=10), st.none(), st.just("none"))
PLAN = st.dictionaries(
    st.sampled_from(["max_bytes", "max_jobs", "minutes_month", "weight", "name", "x"]), SCALARS, max_size=4
)


def held(read: settings.Settings) -> None:
    """What the rest of the house takes for granted."""
    assert 60 <= read.span_s <= 240
    assert math.isfinite(read.hook_scale)
    assert read.replicas is None or read.replicas >= 1
    assert read.public_url.startswith(("http://", "https://"))
    assert all(plan.max_jobs >= 1 and math.isfinite(plan.weight) for plan in read.plans)


def read_or_told(environ: Mapping[str, str], toml: Path | None = None) -> None:
    try:
        read = settings.read(environ, toml)
    except Invalid as slip:
        told = slip.message
    else:
        told = ""
        held(read)
    assert SECRET not in told


@effort(300)
@given(st.dictionaries(NAMES, VALUES, max_size=4))
@example({"TIRO_PUBLIC_URL": "http://["})
@example({"TIRO_BLOBS": "s3://[x"})
@example({"TIRO_HOOK_SCALE": "nan"})
@example({"TIRO_PLANS": "/"})
def test_any_environment_is_settings_or_a_sentence(environ: dict[str, str]) -> None:
    read_or_told({**NEEDED, **environ})


def written(values: Mapping[str, Any]) -> str:
    """TOML, as far as these values can be written in it."""
    lines = [f"{name} = {_toml(value)}" for name, value in values.items() if value is not None]
    return "\n".join(lines)


def _toml(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str):
        return '"' + "".join(f"\\U{ord(sign):08x}" for sign in value) + '"'
    if isinstance(value, list):
        return "[" + ", ".join(map(_toml, value)) + "]"
    return str(value)


TOML = st.one_of(
    st.binary(max_size=60),
    st.text("[]{}=\"abc.\n'", max_size=40).map(str.encode),
    st.dictionaries(FIELDS, st.one_of(SCALARS, st.lists(SCALARS, max_size=2)), max_size=4).map(
        lambda values: written(values).encode()
    ),
    PLAN.map(lambda plan: ("[plans.gold]\n" + written(plan)).encode()),
)


@effort(300)
@given(TOML)
@example(b"span_s = " + b"[" * 100_000)
@example(b'plans = "\\u0000"')
@example(b"plans.a" + b".a" * 5_000 + b" = 1")
@example(b"span_s = " + b"9" * 5_000)
@pytest.mark.filterwarnings("error")
def test_any_file_is_settings_or_a_sentence(tmp_path_factory: pytest.TempPathFactory, text: bytes) -> None:
    toml = tmp_path_factory.getbasetemp() / "fuzzed.toml"
    toml.write_bytes(text)
    read_or_told(NEEDED, toml)


@effort(200)
@given(
    st.recursive(
        SCALARS, lambda inner: st.dictionaries(st.text(max_size=5), inner, max_size=3) | st.lists(inner, max_size=2)
    )
    | st.dictionaries(st.text("ab-_A ", max_size=4), PLAN, max_size=3)
)
def test_any_plans_are_plans_or_a_sentence(told: object) -> None:
    try:
        plans = plans_from(told)
    except Invalid as slip:
        assert slip.code == "invalid_setting"  # noqa: PT017 (most plans are slips)
    else:
        assert {plan.name for plan in plans} >= {"free", "pro", "business"}


@effort(200)
@given(st.one_of(st.text(max_size=60), st.binary(max_size=40).map(lambda raw: base64.b64encode(raw).decode())))
def test_any_secret_key_gives_32_bytes_or_a_sentence(secret_key: str) -> None:
    try:
        key = derive(secret_key, "tokens")
    except Invalid as slip:
        assert not secret_key.strip() or secret_key not in slip.message or len(secret_key) < 4  # noqa: PT017 (most are slips)
    else:
        assert len(key) == 32
