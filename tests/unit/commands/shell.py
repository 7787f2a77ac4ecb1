"""Runs commands as somebody at an installation does."""

from __future__ import annotations

import base64
import json
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from cli import main


class Shell:
    """Runs commands with an installation's settings, on a database that is there and a Temporal that is not."""

    def __init__(self, folder: Path) -> None:
        self.environ = {
            "TIRO_DATABASE_URL": f"sqlite:///{folder / 'tiro.db'}",
            "TIRO_BLOBS": (folder / "blobs").as_uri(),
            "TIRO_SECRET_KEY": base64.b64encode(bytes(32)).decode(),
            "TIRO_ENGINES": "scripted",
            "TIRO_SCRATCH": str(folder),
            "TEMPORAL_ADDRESS": "127.0.0.1:9",
        }

    @classmethod
    def beside_api(cls, folder: Path) -> Shell:
        """The commands of the installation that this test's API server is one process of."""
        shell = cls(folder)
        shell.environ |= {
            "TIRO_DATABASE_URL": f"sqlite:///{next(folder.glob('api-*/tiro.db'))}",
            "TIRO_BLOBS": next(folder.glob("api-*/blobs")).as_uri(),
            "TIRO_SECRET_KEY": "c3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3Nzc3M=",
            "TIRO_EGRESS_ALLOW": "127.0.0.0/8",
        }
        return shell

    def run(self, *words: str, expect: int = 0, **changes: str) -> Result:
        result = CliRunner().invoke(main, words, env={**self.environ, **changes})
        assert result.exit_code == expect, result.output
        return result

    def told(self, *words: str) -> Any:
        return json.loads(self.run(*words, "--json").stdout)

    def findings(self, expect: int, **changes: str) -> dict[str, dict[str, str]]:
        told = json.loads(self.run("doctor", "--json", expect=expect, **changes).stdout)
        return {finding["code"]: finding for finding in told}
