"""Where the Temporal CLI is: told, on PATH, cached, downloaded by the SDK, or built with Go once and cached."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Callable, Mapping
from pathlib import Path

from tiro.model.errors import Permanent

CLI_MODULE = "github.com/temporalio/cli/cmd/temporal@v1.5.1"
_HELP = (
    "No Temporal server can be had here. Do one of: set TEMPORAL_ADDRESS to a running server; put the `temporal` command on PATH "
    "(or its path into TEMPORAL_CLI); install Go 1.24 or later, then start again: it is built once, in about 3 minutes."
)


def cache_folder(environ: Mapping[str, str]) -> Path:
    """Where built tools are kept between runs."""
    return Path(environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "tiro" / "bin"


def find_binary(environ: Mapping[str, str]) -> Path | None:
    """The command if it is at hand: TEMPORAL_CLI, PATH, the cache. None: it must be fetched or built."""
    told = environ.get("TEMPORAL_CLI")
    if told:
        if not Path(told).is_file():
            raise Permanent("invalid_setting", f"TEMPORAL_CLI names no file: {told}", param="TEMPORAL_CLI")
        return Path(told)
    on_path = shutil.which("temporal", path=environ.get("PATH"))
    if on_path:
        return Path(on_path)
    cached = cache_folder(environ) / "temporal"
    return cached if cached.is_file() else None


async def get_binary(environ: Mapping[str, str], say: Callable[[str], None]) -> Path:
    """The command, by all means we have. `say` is told what takes long. Raises Permanent `temporal_unavailable` with the way out."""
    found = find_binary(environ)
    if found is not None:
        return found
    folder = cache_folder(environ)
    folder.mkdir(parents=True, exist_ok=True)
    say("Fetching the Temporal server (once) ...")
    if await _downloaded(folder):
        return folder / "temporal"
    if shutil.which("go", path=environ.get("PATH")):
        say("Building the Temporal server with Go (once, about 3 minutes) ...")
        if await _built(folder, environ):
            return folder / "temporal"
    raise Permanent("temporal_unavailable", _HELP)


async def _downloaded(folder: Path) -> bool:
    """Let the SDK try its own download; it gives up at once on a machine that cannot reach it."""
    from temporalio.testing import WorkflowEnvironment

    staging = folder / "sdk"
    staging.mkdir(exist_ok=True)
    try:
        async with asyncio.timeout(120):
            environment = await WorkflowEnvironment.start_local(
                download_dest_dir=str(staging), dev_server_log_level="never"
            )
            await environment.shutdown()
    except (RuntimeError, TimeoutError, OSError):
        return False
    files = sorted(path for path in staging.iterdir() if path.is_file() and path.name.startswith("temporal-cli"))
    if not files:
        return False
    shutil.copy2(files[-1], folder / "temporal.part")
    (folder / "temporal.part").rename(folder / "temporal")
    return True


async def _built(folder: Path, environ: Mapping[str, str]) -> bool:
    staging = folder / "go"
    process = await asyncio.create_subprocess_exec(
        "go", "install", CLI_MODULE, env={**environ, "GOBIN": str(staging), "GOFLAGS": "-trimpath"},
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    if await process.wait() != 0 or not (staging / "temporal").is_file():
        return False
    (staging / "temporal").rename(folder / "temporal")
    return True
