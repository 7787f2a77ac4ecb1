"""How is a recording taken from a site's page? By yt-dlp in a child process behind the filtering proxy; here it is started,
watched, ended, and its file brought into the store.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import NoReturn

import msgspec

import tiro
from tiro.adapters.egress.guard import Guard
from tiro.adapters.egress.knowing import Knowing
from tiro.adapters.egress.patience import SLICE_S, Patience
from tiro.adapters.egress.proxy import FilteringProxy
from tiro.adapters.egress.site_talk import Answered, Broken, Done, Outcome, Refused, Wish
from tiro.adapters.scratch import passing_folder
from tiro.model.blob import BlobRef
from tiro.model.errors import MediaRefused, SourceRefused, TooLarge, Transient
from tiro.model.media import MediaLimits
from tiro.ports import BlobWriter

_AROUND_BYTES = 64 * 1024 * 1024
"""Pages, manifests and scripts around a recording."""
_COPY_BYTES = 1024 * 1024
_JS_RUNTIMES = ("deno", "node")


class Sites:
    """Takes the best sound of one page of a site yt-dlp knows. Lists, live, DRM and pages behind a login are refused by name.

    `scratch`: where the file lies in passing (None: the system's). `extractors`: more of them, as "module:Class", before
    yt-dlp's own; the child imports them.
    """

    def __init__(self, guard: Guard, scratch: Path | None = None, extractors: tuple[str, ...] = ()) -> None:
        self._guard = guard
        self._scratch = scratch
        self._extra = extractors
        self._knowing = Knowing(extractors)

    def knows(self, url: str, patience: Patience) -> bool:
        """Whether an extractor other than the generic one takes this address. Nothing is connected to. Raises SourceRefused."""
        return self._knowing.knows(url, patience)

    def fetch(
        self, url: str, limits: MediaLimits, writer: Callable[[int | None], BlobWriter], patience: Patience
    ) -> BlobRef:
        """Raises SourceRefused, MediaRefused duration_exceeds_limit, TooLarge, Transient; leaves no file behind."""
        with (
            passing_folder(self._scratch, "site-") as folder,
            FilteringProxy(self._guard, patience, limits.max_bytes + _AROUND_BYTES) as proxy,
        ):
            wish = Wish(
                url=url,
                proxy_url=proxy.url,
                proxy_port=proxy.port,
                file=str(folder / "recording"),
                max_bytes=limits.max_bytes,
                max_duration_s=limits.max_duration_s,
                extractors=self._extra,
            )
            outcome = _run(wish, folder, patience)
            if not isinstance(outcome, Done):
                _raise(outcome, proxy, limits)
            return _stored(Path(wish.file), limits, writer, patience)


def extractor_count() -> int:
    """How many sites' extractors yt-dlp has."""
    from tiro.adapters.egress.site_child import extractors

    return sum(1 for _ in extractors())


def version() -> str:
    """yt-dlp's version."""
    from yt_dlp.version import __version__

    return str(__version__)


def js_runtime() -> str | None:
    """Name and version of a JavaScript runtime that yt-dlp can use (YouTube needs one), or None."""
    from yt_dlp.globals import supported_js_runtimes

    for name in _JS_RUNTIMES:
        info = supported_js_runtimes.value[name]().info
        if info is not None and info.supported:
            return f"{info.name} {info.version}"
    return None


def _run(wish: Wish, folder: Path, patience: Patience) -> Outcome:
    """One child from start to end; it and what it started are gone when this returns, however it returns."""
    child = subprocess.Popen(
        [sys.executable, "-P", "-s", "-m", "tiro.adapters.egress.site_child"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=_environment(folder),
        cwd=folder,
        start_new_session=True,
    )
    try:
        assert child.stdin is not None
        assert child.stdout is not None
        child.stdin.write(msgspec.json.encode(wish) + b"\n")
        child.stdin.flush()
        said = _heard(child.stdout.fileno(), patience)
    except BrokenPipeError:
        said = b""
    finally:
        _end(child)
    if not said:
        raise Transient("source_unreachable", "The site's reader ended without a word.", reason="reader")
    outcome: Outcome = msgspec.json.decode(said, type=Outcome)
    return outcome


def _environment(folder: Path) -> dict[str, str]:
    """Nothing of ours: no settings, no proxies, no credentials, no home with configuration or plugins."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "PYTHONPATH": str(Path(tiro.__file__).parents[1]),
        "PYTHONDONTWRITEBYTECODE": "1",
        "HOME": str(folder),
        "TMPDIR": str(folder),
        "LANG": "C.UTF-8",
        "YTDLP_NO_PLUGINS": "1",
    }


def _heard(pipe: int, patience: Patience) -> bytes:
    said = b""
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    while True:
        patience.check()
        if poll.poll(SLICE_S * 1000):
            data = os.read(pipe, 65536)
            if not data:
                return said
            said += data


def _end(child: subprocess.Popen[bytes]) -> None:
    with suppress(ProcessLookupError):
        os.killpg(child.pid, signal.SIGKILL)
    child.wait()
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            with suppress(BrokenPipeError):
                pipe.close()


def _raise(outcome: Outcome, proxy: FilteringProxy, limits: MediaLimits) -> NoReturn:
    if proxy.overrun:
        raise TooLarge(limits.max_bytes)
    match outcome:
        case Refused(reason="too_large"):
            raise TooLarge(limits.max_bytes)
        case Refused(reason="too_long"):
            raise MediaRefused("duration_exceeds_limit")
        case Refused(reason="playlist" | "live" | "drm" | "login_required" | "geo_restricted" as reason):
            raise SourceRefused(reason)
        case Broken() | Refused() | Answered() if proxy.refused is not None:
            raise SourceRefused(proxy.refused)
        case Refused(reason=reason):
            raise SourceRefused(reason)
        case Answered(status=status) if status < 500 and status not in {408, 425, 429}:
            raise SourceRefused("http_status", "The site refused.", upstream_status=status)
        case Answered(status=status):
            raise Transient("source_unreachable", "The site answered with an error.", upstream_status=status)
        case _:
            raise Transient("source_unreachable", "The site could not be read.")


def _stored(file: Path, limits: MediaLimits, writer: Callable[[int | None], BlobWriter], patience: Patience) -> BlobRef:
    size_bytes = file.stat().st_size
    if size_bytes > limits.max_bytes:
        raise TooLarge(limits.max_bytes)
    into = writer(size_bytes)
    try:
        with file.open("rb") as source:
            while data := source.read(_COPY_BYTES):
                patience.check()
                into.write(data)
        return into.commit()
    except BaseException:
        into.abort()
        raise
