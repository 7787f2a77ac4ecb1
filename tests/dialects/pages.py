"""What a page of docs/dialects shows, and a shell in which it is run."""

from __future__ import annotations

import asyncio
import json
import os
import re
import shutil
from pathlib import Path

from tests.servers.api import Api

ROOT = Path(__file__).parents[2]


def blocks_of(text: str) -> list[str]:
    """What is indented, without its indentation."""
    found = re.findall(r"(?:^    .*\n)+", text, re.MULTILINE)
    return ["\n".join(line[4:] for line in block.splitlines()) for block in found]


async def run_shell(api: Api, folder: Path, setup: str, script: str) -> str:
    """What the script says after the lines at the page's top; fails when it does. `folder`: the data folder, with a recording in it."""
    (folder / "credentials.json").write_text(json.dumps({"account": api.account.account_id, "key": api.key}))
    shutil.copy(ROOT / "tests/data/demo/dialogue.mp3", folder / "interview.mp3")
    setup = re.sub(r"^API=.*$", f"API={api.url}", setup, flags=re.MULTILINE)
    shell = await asyncio.create_subprocess_exec(
        *("bash", "-c", f"set -euo pipefail\n{setup}\n{script}\n"),
        cwd=folder,
        env={**os.environ, "TIRO_DATA": str(folder)},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    said, complaint = await shell.communicate()
    assert shell.returncode == 0, complaint.decode()
    return said.decode()
