"""The published clients of the transcribe API, unmodified: pieces of their users' programs, run in processes of their own."""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import os
import subprocess
import sys
import wave
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import msgspec
import numpy as np

from tests.acceptance.up import ROOT, Up, check_agrees, environ, told
from tests.media_builder import numbered

_WITHIN_S = 150
_LOCKS = ROOT / "tests/data/sdks"
CURRENT, SEEDS = "0.1.10", "0.1.2"
"""The one that is installed today, and the one whose spelling the hosted service's page shows."""

_PYTHON = """\
import json, os
from transcribe_api import TranscribeAPI, TranscribeAPIError, __version__
given = json.loads(os.environ["GIVEN"])
def tell(value):
    print("TOLD " + json.dumps(value))
def refusal(call):
    try:
        call()
    except TranscribeAPIError as error:
        return dict(vars(error), message=str(error))
    raise SystemExit("it was not refused")
"""
_NODE = """\
import { TranscribeAPI } from "@transcribe-api/sdk";
import { readFile } from "node:fs/promises";
const given = JSON.parse(process.env.GIVEN);
const tell = (value) => console.log("TOLD " + JSON.stringify(value));
const refusal = async (call) => {
  try { await call(); } catch (error) { return { ...error, message: error.message }; }
  throw new Error("it was not refused");
};
"""


def python(version: str, program: str, **given: Any) -> Any:
    """What the program `tell`s, with `given` at hand, and `refusal` for what is to fail."""
    environ = {**_environ(given), "PYTHONPATH": str(_installed("transcribe-api", _LOCKS / f"python-{version}.txt"))}
    return _run([sys.executable, "-c", _PYTHON + program], environ, ROOT)


def node(program: str, **given: Any) -> Any:
    """The same, for Node."""
    modules = _installed("transcribe-sdk", _LOCKS / "node/package-lock.json")
    # a program that comes from nowhere finds its packages where it is run
    return _run(["node", "--input-type=module", "-e", _NODE + program], _environ(given), modules)


def _installed(name: str, lock: Path) -> Path:
    """Where scripts/servers put it."""
    mark = hashlib.sha256(lock.read_bytes()).hexdigest()[:16]
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / f"tiro/{name}-{mark}"
    assert folder.is_dir(), f"{name} is not here: scripts/servers sdks"
    return folder


def _environ(given: dict[str, Any]) -> dict[str, str]:
    """No proxy: everything is on this machine."""
    return {"PATH": os.environ["PATH"], "GIVEN": json.dumps(given, default=str)}


def _run(command: list[str], environ: dict[str, str], folder: Path) -> Any:
    done = subprocess.run(command, env=environ, cwd=folder, capture_output=True, text=True, timeout=_WITHIN_S)
    lines = [line for line in done.stdout.splitlines() if line.startswith("TOLD ")]
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    assert len(lines) == 1, done.stdout
    return json.loads(lines[0].removeprefix("TOLD "))


def wide_wav(count: int) -> bytes:
    """Numbered seconds on eight channels, 16 bit, 192 kHz: 3 MB a second."""
    mono = (numbered(count, rate_hz=192_000) * 32_767).astype("<i2")
    out = io.BytesIO()
    with wave.open(out, "wb") as made:
        made.setnchannels(8)
        made.setsampwidth(2)
        made.setframerate(192_000)
        made.writeframes(np.repeat(mono, 8).tobytes())
    return out.getvalue()


class Customer(msgspec.Struct, frozen=True):
    """An account, its key, and where both clients are pointed to."""

    account_id: str
    key: str
    base: str

    @property
    def given(self) -> dict[str, str]:
        return {"key": self.key, "base": self.base}


class Service:
    """One `tiro up`, with the commands of its operator."""

    def __init__(self, up: Up) -> None:
        ready = up.ready()
        self.up = up
        self.data = up.folder
        self.url = str(ready["api"])
        self.owner = Customer(str(ready["account"]), str(ready["key"]), f"{self.url}/v1")

    def customer(self, dollars: float = 10.0, plan: str = "pro") -> Customer:
        account = told(self.data, "accounts", "create", "customer", "--plan", plan)["account_id"]
        if dollars:
            told(self.data, "accounts", "credit", account, str(dollars))
        key = told(self.data, "keys", "create", "--account", account)["text"]
        return Customer(account, key, f"{self.url}/v1")

    def ledger(self, customer: Customer, kind: str) -> list[dict[str, Any]]:
        lines = told(self.data, "accounts", "ledger", customer.account_id, "--limit", "1000")
        return [line for line in lines if line["kind"] == kind]

    def get(self, url: str, customer: Customer | None = None) -> httpx2.Response:
        """With the key of that customer, or with none."""
        headers = {"Authorization": f"Bearer {customer.key}"} if customer else {}
        return httpx2.get(url, headers=headers, trust_env=False, timeout=30)


@contextlib.contextmanager
def service(folder: Path, **changes: str) -> Iterator[Service]:
    """Running while the block does; everything agrees when it ends."""
    settings = {"TIRO_EGRESS_ALLOW": "127.0.0.0/8", "TIRO_HOOK_SCALE": "0.002", **changes}
    up = Up(folder / "data", environ(folder / "data", **settings))
    try:
        serving = Service(up)
        yield serving
        check_agrees(serving.data)
    finally:
        up.end()
