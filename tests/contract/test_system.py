"""What a clock, a source of names and a vault promise, real and fake."""

from __future__ import annotations

import base64
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiro.adapters.fakes import EPOCH, CountedIds, SetClock
from tiro.adapters.system import SystemClock, SystemIds
from tiro.adapters.vault import SealedVault, derive
from tiro.model.errors import Invalid, Permanent
from tiro.model.ids import is_id
from tiro.ports import Clock, Ids

KEY = base64.b64encode(bytes(range(32))).decode()
OTHER = base64.b64encode(bytes(range(1, 33))).decode()


@pytest.fixture(params=[SystemClock, SetClock])
def clock(request: pytest.FixtureRequest) -> Clock:
    made: Clock = request.param()
    return made


@pytest.fixture(params=[SystemIds, CountedIds])
def ids(request: pytest.FixtureRequest) -> Ids:
    made: Ids = request.param()
    return made


def test_now_is_aware_and_utc(clock: Clock) -> None:
    assert clock.now().utcoffset() == timedelta(0)


def test_monotonic_never_steps_back(clock: Clock) -> None:
    seen = [clock.monotonic() for _ in range(100)]
    assert seen == sorted(seen)


def test_a_set_clock_moves_only_when_told() -> None:
    clock = SetClock()
    assert clock.now() == clock.now() == EPOCH
    clock.advance(90)
    assert (clock.now() - EPOCH, clock.monotonic()) == (timedelta(seconds=90), 90)
    clock.set(EPOCH - timedelta(days=1))
    assert (clock.now(), clock.monotonic()) == (EPOCH - timedelta(days=1), 90)


def test_names_are_ids_and_differ(ids: Ids) -> None:
    made = [ids.new("job") for _ in range(1000)]
    assert all(is_id("job", name) for name in made)
    assert len(set(made)) == len(made)


@pytest.mark.parametrize("kind", [SystemIds, CountedIds])
@pytest.mark.promise("J18")
def test_names_sort_by_age(kind: type[SystemIds | CountedIds]) -> None:
    clock = SetClock()
    ids = kind(clock)
    made = []
    for _ in range(50):
        made.append(ids.new("job"))
        clock.advance(0.001)
    assert made == sorted(made)


def test_secrets_have_their_size_and_differ(ids: Ids) -> None:
    assert len(ids.secret()) == 32
    assert len(ids.secret(5)) == 5
    assert len({ids.secret() for _ in range(100)}) == 100


def test_counted_names_are_the_same_in_every_run() -> None:
    one, two = CountedIds(), CountedIds()
    assert [one.new("a"), one.secret()] == [two.new("a"), two.secret()]


@given(st.binary(max_size=2000))
def test_what_is_sealed_opens_again(plain: bytes) -> None:
    vault = SealedVault(KEY)
    assert vault.open(vault.seal(plain)) == plain


def test_a_seal_hides_and_never_looks_the_same_twice() -> None:
    vault = SealedVault(KEY)
    plain = b"https://example.test/?signature=abc"
    assert plain not in vault.seal(plain)
    assert vault.seal(plain) != vault.seal(plain)


@given(st.data())
def test_changed_bytes_are_unsealable(data: st.DataObject) -> None:
    vault = SealedVault(KEY)
    sealed = vault.seal(b"plain")
    at = data.draw(st.integers(0, len(sealed) - 1))
    changed = sealed[:at] + bytes([sealed[at] ^ data.draw(st.integers(1, 255))]) + sealed[at + 1 :]
    for wrong in (changed, sealed[:at]):
        with pytest.raises(Permanent) as caught:
            vault.open(wrong)
        assert caught.value.code == "unsealable"


def test_another_key_cannot_open() -> None:
    with pytest.raises(Permanent) as caught:
        SealedVault(OTHER).open(SealedVault(KEY).seal(b"plain"))
    assert caught.value.code == "unsealable"
    assert "plain" not in str(caught.value)


def test_purposes_and_secrets_have_keys_of_their_own() -> None:
    made = {derive(KEY, "sealing"), derive(KEY, "tokens"), derive(OTHER, "sealing")}
    assert {len(key) for key in made} == {32}
    assert len(made) == 3
    assert derive(KEY, "sealing") == derive(KEY, "sealing")


def test_either_spelling_of_base64_is_the_same_key() -> None:
    secret = b"\xff\xfe\xfb" * 11
    standard, web = base64.b64encode(secret).decode(), base64.urlsafe_b64encode(secret).decode()
    assert standard != web
    assert derive(standard, "tokens") == derive(web, "tokens")


@pytest.mark.parametrize("key", ["", "short", "not base64 at all!", base64.b64encode(bytes(31)).decode(), "ä" * 44])
def test_a_weak_secret_key_is_refused_without_showing_it(key: str) -> None:
    with pytest.raises(Invalid) as caught:
        derive(key, "tokens")
    assert caught.value.code == "invalid_setting"
    assert not key or key not in str(caught.value)
