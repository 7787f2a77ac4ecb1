"""Who is in the chain, who is left out and why; what engines can do, known without loading them."""

from __future__ import annotations

import subprocess
import sys
import time
from pathlib import Path

import httpx2
import pytest

from tiro.adapters.engines import whisper_models
from tiro.adapters.engines.abilities import public_id
from tiro.adapters.engines.registry import ENGINES, capabilities, chain_capabilities, resolve_chain
from tiro.model.errors import Invalid, Permanent
from tiro.settings import Settings

WHISPER = str(Path(__file__).parents[2] / "data" / "whisper-words")


@pytest.fixture(autouse=True)
def no_hub(monkeypatch, tmp_path):
    """No hub in reach and nothing in its cache, whatever machine this is."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    monkeypatch.setattr(whisper_models, "graphics_cards", lambda: 0)


def settings(**changes) -> Settings:
    return Settings(database_url="sqlite://", blobs_url="memory://", secret_key="", **changes)


def chain(**changes):
    return resolve_chain(settings(**changes), httpx2.AsyncClient)


@pytest.mark.promise("J3")
def test_the_default_is_whisper_alone_where_its_model_is_here():
    resolved = chain(whisper_model=WHISPER)
    assert [(engine.id, engine.model) for engine in resolved.engines] == [("faster_whisper", "whisper_words")]
    assert resolved.warnings == ()


@pytest.mark.promise("J3")
def test_the_default_is_pocketsphinx_where_no_whisper_can_run_and_says_how_to_get_one():
    resolved = chain()
    assert [engine.model for engine in resolved.engines] == ["pocketsphinx_en_us"]
    assert "TIRO_WHISPER_MODEL" in resolved.warnings[0]
    assert "hf download Systran/faster-whisper-small" in resolved.warnings[0]


@pytest.mark.promise("J3")
def test_pocketsphinx_never_stands_behind_another():
    resolved = chain(engines=("faster_whisper", "pocketsphinx"), whisper_model=WHISPER)
    assert [engine.id for engine in resolved.engines] == ["faster_whisper"]
    assert "pocketsphinx is left out" in resolved.warnings[0]


def test_engines_that_cannot_run_leave_the_chain_with_a_way_to_get_them():
    resolved = chain(engines=("openai", "assemblyai", "scripted"))
    assert [engine.id for engine in resolved.engines] == ["scripted"]
    assert [
        name in warning
        for name, warning in zip(("TIRO_OPENAI_URL", "TIRO_ASSEMBLYAI_KEY"), resolved.warnings, strict=True)
    ] == [True, True]


def test_an_empty_chain_refuses_and_says_why():
    with pytest.raises(Permanent) as failed:
        chain(engines=("assemblyai",))
    assert failed.value.code == "engine_unavailable"
    assert "TIRO_ASSEMBLYAI_KEY" in failed.value.message


@pytest.mark.parametrize(
    "engines", [("whisperx",), ("scripted:colour=red",), ("scripted:delay=soon",), ("assemblyai:nano",)]
)
def test_what_is_not_an_engine_is_an_invalid_setting(engines):
    with pytest.raises(Invalid) as failed:
        chain(engines=engines, assemblyai_key="k")
    assert failed.value.code == "invalid_setting"


def test_two_engines_of_one_name_are_refused_and_a_script_can_rename_one():
    with pytest.raises(Invalid):
        chain(engines=("scripted", "scripted:delay=1"))
    resolved = chain(engines=("scripted:fail=transient_error", "scripted:name=second;model=scripted_b"))
    assert [(engine.id, engine.model) for engine in resolved.engines] == [
        ("scripted", "scripted"),
        ("second", "scripted_b"),
    ]


@pytest.mark.parametrize(
    ("model", "claimed", "translates", "german"),
    [
        ("large-v3", "whisper_large_v3", True, True),
        ("large", "whisper_large_v3", True, True),
        ("large-v3-turbo", "whisper_large_v3_turbo", False, True),
        ("small", "whisper_small", True, True),
        ("small.en", "whisper_small_en", False, False),
        ("Systran/faster-whisper-large-v2", "whisper_large_v2", True, True),
        ("distil-large-v3", "whisper_distil_large_v3", False, True),
        (WHISPER, "whisper_words", False, False),
    ],
)
@pytest.mark.promise("J25")
def test_a_whisper_model_claims_its_own_name_and_what_it_can_do(model, claimed, translates, german):
    known = capabilities("faster_whisper", settings(whisper_model=model))
    assert (known.model, known.supports("en", "translate"), known.supports("de", "transcribe")) == (
        claimed,
        translates,
        german,
    )


@pytest.mark.promise("J27")
@pytest.mark.parametrize(
    ("engine", "changes", "tells"),
    [
        ("faster_whisper", {"whisper_model": "small"}, True),
        ("faster_whisper", {"whisper_model": "small.en"}, False),
        ("faster_whisper", {"whisper_model": WHISPER}, False),
        ("pocketsphinx", {}, False),
        ("openai", {"openai_model": "whisper-1"}, True),
        ("openai", {"openai_model": "distil-whisper-large-v3-en"}, False),
    ],
)
def test_an_engine_of_one_language_tells_none_apart(engine, changes, tells):
    assert capabilities(engine, settings(**changes)).detects is tells


@pytest.mark.promise("J27")
def test_cantonese_needs_a_v3_model_and_all_others_are_the_99():
    v3 = capabilities("faster_whisper", settings(whisper_model="large-v3")).languages
    assert len(v3) == 100
    assert v3 - capabilities("faster_whisper", settings(whisper_model="medium")).languages == {"yue"}


def test_regional_and_other_spellings_of_a_language_are_understood():
    known = capabilities("faster_whisper", settings(whisper_model="large-v3"))
    assert all(known.supports(tag, "transcribe") for tag in ("pt-BR", "zh_TW", "EN", "jv", "nb"))


def test_a_chosen_chain_is_known_without_its_models():
    known = chain_capabilities(settings(engines=("assemblyai", "faster_whisper"), whisper_model="large-v3"))
    assert [one.model for one in known] == ["assemblyai_universal_3", "whisper_large_v3"]
    assert [one.model for one in chain_capabilities(settings())] == ["pocketsphinx_en_us"]


def test_a_model_in_the_hubs_cache_is_found(tmp_path):
    snapshot = tmp_path / "hub" / "models--Systran--faster-whisper-small" / "snapshots" / "abc"
    snapshot.mkdir(parents=True)
    assert whisper_models.locate("small") is None
    for name in ("model.bin", "config.json"):
        (snapshot / name).write_bytes(b"x")
    assert whisper_models.locate("small") == whisper_models.Place(snapshot, None)


def test_a_hub_that_does_not_answer_costs_two_seconds_at_most(monkeypatch):
    from huggingface_hub import constants

    def never(*_args, **_more):
        time.sleep(4)
        raise OSError

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(whisper_models.socket, "create_connection", never)
    began_s = time.monotonic()
    assert not whisper_models.hub_in_reach()
    assert time.monotonic() - began_s < 3.5


def test_public_ids_are_plain():
    assert [public_id(name) for name in ("whisper-1", "openai/Whisper-Large_v3.", "/models/My Model/", "...")] == [
        "whisper_1",
        "whisper_large_v3",
        "my_model",
        "unnamed",
    ]


def test_asking_what_engines_can_do_loads_none_of_them():
    script = (
        "import sys\n"
        "from tiro.adapters.engines import registry\n"
        "from tiro.settings import Settings\n"
        "s = Settings(database_url='', blobs_url='memory://', secret_key='', whisper_model='large-v3', assemblyai_key='k', openai_url='http://x')\n"
        "[registry.capabilities(name, s) for name in registry.ENGINES]\n"
        "print(sorted({'faster_whisper', 'ctranslate2', 'pocketsphinx', 'av', 'torch', 'onnxruntime'} & set(sys.modules)))\n"
    )
    root = Path(__file__).parents[3]
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=root)
    assert said.stdout.strip() == "[]"
    assert set(ENGINES) == {"faster_whisper", "pocketsphinx", "openai", "assemblyai", "scripted"}
