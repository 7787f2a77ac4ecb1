"""What comes from others is what was meant: packages by hash, models by checksum; and nothing of theirs is run by being read."""

from __future__ import annotations

import ast
import hashlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from scripts.audit import verdict
from tiro.adapters.checksums import verify
from tiro.adapters.diarizers import pipeline
from tiro.adapters.engines.calibration.sizes import Wishes
from tiro.adapters.engines.faster_whisper import FasterWhisperEngine
from tiro.model.errors import Permanent

ROOT = Path(__file__).parents[2]
PIN = re.compile(r"[a-z0-9][a-z0-9._-]*(?:\[[a-z0-9,._-]+\])?==[^\s;]+(?: ; [^\\]+)? \\")
HASH = re.compile(r"    --hash=sha256:[0-9a-f]{64}( \\)?")


@pytest.mark.parametrize("name", ["core", "dev", "diarization"])
def test_a_lock_is_pins_with_hashes_and_nothing_else(name: str) -> None:
    """So no index, no file, no address and no unhashed package is in it."""
    lines = (ROOT / f"requirements/{name}.txt").read_text().splitlines()
    pinned = [line for line in lines if PIN.fullmatch(line)]
    assert len(pinned) > 50
    for line, following in zip(lines, [*lines[1:], ""], strict=True):
        assert PIN.fullmatch(line) or HASH.fullmatch(line), line
        # a line that goes on is followed by a hash; one that does not ends its package
        assert bool(HASH.fullmatch(following)) == line.endswith("\\"), line


def test_there_are_no_other_locks() -> None:
    assert {path.name for path in (ROOT / "requirements").iterdir()} == {"core.txt", "dev.txt", "diarization.txt"}


def test_whatever_installs_packages_asks_for_hashes() -> None:
    """Or installs this very folder, and nothing with it."""
    files = [path for folder in ("scripts", "deploy") for path in (ROOT / folder).rglob("*") if path.is_file()]
    installs = [
        line for file in files for line in file.read_text(errors="replace").splitlines() if "pip install" in line
    ]
    assert len(installs) >= 8
    for line in installs:
        assert "--require-hashes" in line or "--no-deps --no-build-isolation --editable ." in line, line


def calls(path: Path) -> Iterator[tuple[str, dict[str, str], int]]:
    """Name, named arguments and number of arguments of each call."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Call):
            named = {keyword.arg or "**": ast.unparse(keyword.value) for keyword in node.keywords}
            yield ast.unparse(node.func), named, len(node.args) + len(node.keywords)


def imported(path: Path) -> set[str]:
    """Names of the modules that are imported."""
    found = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add(node.module or "")
    return found


def test_nothing_is_unpickled_by_our_code() -> None:
    """Whoever can write a pickle runs what is in it. (pyannote would; `tests/diarization` sees to it that it does not.)"""
    rooms = ("workflows", "activities", "api", "commands", "tiro", "scripts", "deploy")
    files = [*(path for room in rooms for path in (ROOT / room).rglob("*.py")), ROOT / "worker.py", ROOT / "cli.py"]
    for path in files:
        assert not imported(path) & {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}, path
        for name, named, arguments in calls(path):
            assert not name.endswith("torch.load") or named.get("weights_only") == "True", path
            assert named.get("allow_pickle", "False") == "False", path
            assert name not in {"yaml.load", "yaml.unsafe_load", "yaml.full_load"}, path
            # a Connection's recv() unpickles, recv_bytes() does not; a socket's takes a size
            assert not (name.endswith(".recv") and arguments == 0), path


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A folder like a model's, with its list."""
    folder = tmp_path / "model"
    (folder / "parts").mkdir(parents=True)
    (folder / ".cache").mkdir()
    files = {
        "model.bin": b"weights",
        "config.json": b"{}",
        "parts/plda.npz": b"more",
        ".cache/state": b"of the hub's tool",
    }
    for name, content in files.items():
        (folder / name).write_bytes(content)
    listed = [f"{hashlib.sha256(files[name]).hexdigest()}  ./{name}" for name in files if not name.startswith(".")]
    (folder / "SHA256SUMS").write_text("\n".join(listed) + "\n")
    return folder


def refused(folder: Path) -> str:
    with pytest.raises(Permanent) as told:
        verify(folder)
    assert told.value.code == "engine_unavailable"
    return told.value.message


def test_a_model_s_files_are_those_of_its_list(model: Path) -> None:
    assert verify(model)
    (model / "SHA256SUMS").unlink()
    assert not verify(model)


def test_a_file_that_was_changed_added_or_taken_away_is_named(model: Path) -> None:
    (model / "model.bin").write_bytes(b"weightz")
    assert "model.bin" in refused(model)
    (model / "model.bin").write_bytes(b"weights")
    (model / "vocabulary.json").write_bytes(b"[]")
    assert "vocabulary.json" in refused(model)
    (model / "vocabulary.json").unlink()
    (model / "parts/plda.npz").unlink()
    assert "parts/plda.npz" in refused(model)


@pytest.mark.parametrize("text", ["", "model.bin", "abc  model.bin", "0" * 64 + "  ../../etc/passwd"])
def test_a_list_that_is_none_checks_nothing_and_is_refused(model: Path, text: str) -> None:
    (model / "SHA256SUMS").write_text(text)
    assert "SHA256SUMS" in refused(model)


async def test_whisper_does_not_load_another_model_than_was_meant(model: Path) -> None:
    (model / "model.bin").write_bytes(b"other weights")
    with pytest.raises(Permanent, match=r"SHA256SUMS: model\.bin"):
        await FasterWhisperEngine(str(model), wishes=Wishes(replicas=1)).start()


def test_pyannote_does_not_load_another_pipeline_than_was_meant(model: Path) -> None:
    """Before torch is there to unpickle it."""
    (model / "config.json").write_bytes(b"other")
    with pytest.raises(Permanent, match=r"SHA256SUMS: config\.json"):
        pipeline.load(str(model))


@pytest.mark.parametrize(
    "config",
    [
        "pipeline: {name: subprocess.Popen, params: {args: [touch, CANARY]}}",
        "pipeline: {name: pyannote.audio.Pipeline.from_pretrained, params: {checkpoint: somewhere/else}}",
    ],
)
def test_pyannote_s_configuration_names_no_class_but_its_pipeline(tmp_path: Path, config: str) -> None:
    (tmp_path / "config.yaml").write_text(config)
    with pytest.raises(Permanent, match="names another pipeline"):
        pipeline.config_of(str(tmp_path))


def test_pyannote_gets_nothing_else_of_a_configuration(tmp_path: Path) -> None:
    """`preprocessors` name classes as well."""
    name = "pyannote.audio.pipelines.SpeakerDiarization"
    (tmp_path / "config.yaml").write_text(
        f"version: 3.1.0\npipeline: {{name: {name}, params: {{plda: $model/plda}}}}\nparams: {{a: 1}}\n"
        "preprocessors: {audio: {name: subprocess.Popen, params: {args: [touch, CANARY]}}}\n"
    )
    assert pipeline.config_of(str(tmp_path)) == {
        "pipeline": {"name": name, "params": {"plda": {"checkpoint": str(tmp_path), "subfolder": "plda"}}},
        "params": {"a": 1},
    }


HOLE = {"name": "a", "version": "1", "vulns": [{"id": "CVE-1", "fix_versions": ["2"]}]}
SOUND = {"name": "b", "version": "1", "vulns": []}
UNKNOWN = {"name": "c", "skip_reason": "not found"}


@pytest.mark.parametrize(
    ("packages", "code", "said"),
    [
        ([], 0, "NOT DONE"),
        ([UNKNOWN], 0, "NOT DONE"),
        ([SOUND, UNKNOWN], 0, "not audited: c"),
        ([SOUND], 0, "1 packages asked for, 0 known holes"),
        ([SOUND, HOLE], 1, "a 1: CVE-1, mended in 2"),
    ],
)
def test_an_audit_that_could_not_be_done_says_so(packages: list[dict[str, object]], code: int, said: str) -> None:
    """It fails for a known hole, not for an index that does not answer; and that is not called sound."""
    text, status = verdict(packages)
    assert (status, said in text) == (code, True)
