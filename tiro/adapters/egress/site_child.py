"""How is yt-dlp let at a stranger's page? In this process, which can connect to the filtering proxy and to nothing else, can
start nothing but a JavaScript runtime, which has no network at all, and dies with its parent.

Run as `python -P -s -m tiro.adapters.egress.site_child`; what it is asked and answers stands in site_talk.
"""

from __future__ import annotations

import importlib
import os
import resource
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec
from yt_dlp import YoutubeDL
from yt_dlp.extractor import gen_extractor_classes
from yt_dlp.extractor.common import InfoExtractor
from yt_dlp.networking.exceptions import HTTPError, TransportError
from yt_dlp.utils import DownloadCancelled, ExtractorError, GeoRestrictedError, UserNotLive

from tiro.adapters.egress.fence import without_network
from tiro.adapters.egress.site_talk import Answered, Broken, Done, Outcome, Refused, Wish

_RUNTIMES = ("deno", "node")
_PROTOCOLS = {"http", "https", "m3u8", "m3u8_native", "http_dash_segments", "http_dash_segments_generator"}
"""What yt-dlp downloads by itself. The others start programs."""
_LISTS = {"playlist", "multi_video", "compat_list"}
_LIVE = {"is_live", "is_upcoming", "post_live"}
_LOCKED = {"private", "premium_only", "subscriber_only", "needs_auth"}
_LOGIN_WORDS = ("sign in", "log in", "login", "private video", "members-only")
_DATA_BYTES = 3 * 1024**3
_STARTS = ("os.exec", "os.fork", "os.forkpty", "os.posix_spawn", "os.spawn", "os.startfile", "os.system", "pty.spawn")


class _Stop(DownloadCancelled):  # type: ignore[misc]  # yt-dlp ships no types
    """Passes through all of yt-dlp's own handling."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class _Silent:
    """yt-dlp's words hold addresses and titles: nobody hears them."""

    def debug(self, message: str) -> None: ...

    def warning(self, message: str, **_: Any) -> None: ...

    def error(self, message: str) -> None: ...


class _Site(YoutubeDL):  # type: ignore[misc]  # yt-dlp ships no types
    """yt-dlp without what one recording does not need: lists, live streams, and its generic extractor."""

    def __init__(self, wish: Wish) -> None:
        self._wish = wish
        self.trouble_on_the_way: Exception | None = None
        super().__init__(_options(wish, self._choose, self._count), auto_init=False)
        for extractor in extractors(wish.extractors):
            self.add_info_extractor(extractor)

    def urlopen(self, req: Any) -> Any:
        try:
            return super().urlopen(req)
        except (HTTPError, TransportError) as error:
            self.trouble_on_the_way = error
            raise

    def process_ie_result(self, ie_result: dict[str, Any], *args: Any, **named: Any) -> Any:
        if ie_result.get("_type") in _LISTS:
            raise _Stop("playlist")
        return super().process_ie_result(ie_result, *args, **named)

    def process_video_result(self, info_dict: dict[str, Any], *args: Any, **named: Any) -> Any:
        if info_dict.get("is_live") or info_dict.get("live_status") in _LIVE:
            raise _Stop("live")
        if (info_dict.get("duration") or 0) > self._wish.max_duration_s:
            raise _Stop("too_long")
        return super().process_video_result(info_dict, *args, **named)

    def raise_no_formats(self, info: dict[str, Any], *args: Any, **named: Any) -> Any:
        if info.get("_has_drm"):
            raise _Stop("drm")
        if info.get("availability") in _LOCKED:
            raise _Stop("login_required")
        return super().raise_no_formats(info, *args, **named)

    def _choose(self, context: dict[str, Any]) -> Iterator[dict[str, Any]]:
        """The best sound on its own, else the best with pictures; yt-dlp orders from worst to best."""
        usable = [
            found
            for found in context["formats"]
            if found.get("protocol") in _PROTOCOLS and found.get("acodec") != "none" and not found.get("has_drm")
        ]
        fitting = [found for found in usable if (found.get("filesize") or 0) <= self._wish.max_bytes]
        if usable and not fitting:
            raise _Stop("too_large")
        alone = [found for found in fitting if found.get("vcodec") == "none"]
        yield from (alone or fitting)[-1:]

    def _count(self, progress: dict[str, Any]) -> None:
        if max(progress.get("downloaded_bytes") or 0, progress.get("total_bytes") or 0) > self._wish.max_bytes:
            raise _Stop("too_large")


def _options(wish: Wish, choose: Any, count: Any) -> dict[str, Any]:
    return {
        "allow_unplayable_formats": False,
        "cachedir": False,
        "continuedl": False,
        "enable_file_urls": False,
        "external_downloader": "native",
        "extractor_retries": 1,
        "ffmpeg_location": str(Path(wish.file).parent / "none"),
        "file_access_retries": 0,
        "fixup": "never",
        "format": choose,
        "fragment_retries": 3,
        "geo_bypass": False,
        "hls_prefer_native": True,
        "ignoreerrors": False,
        "js_runtimes": {name: {} for name in _RUNTIMES},
        "logger": _Silent(),
        "nopart": True,
        "noplaylist": True,
        "noprogress": True,
        "outtmpl": {"default": wish.file.replace("%", "%%")},
        "overwrites": True,
        "progress_hooks": [count],
        "proxy": wish.proxy_url,
        "quiet": True,
        "remote_components": (),
        "retries": 3,
        "skip_unavailable_fragments": False,
        "socket_timeout": 20,
        "usenetrc": False,
        "updatetime": False,
    }


def extractors(extra: tuple[str, ...] = ()) -> Iterator[Any]:
    """`extra` ("module:Class"), then yt-dlp's own in their order, but for those that are off and the one that takes any page."""
    for name in extra:
        module, _, attribute = name.partition(":")
        yield getattr(importlib.import_module(module), attribute)()
    for extractor in gen_extractor_classes():
        if extractor.ie_key() != "Generic" and getattr(extractor, "_ENABLED", True):
            yield extractor


def download(wish: Wish) -> Outcome:
    """The best sound of the page into the file."""
    _name_refusals()
    site = _Site(wish)
    try:
        with site:
            site.extract_info(wish.url)
    except Exception as error:  # noqa: BLE001 (a hundred thousand lines of strangers' parsers)
        return _outcome(error, site.trouble_on_the_way)
    return Done() if Path(wish.file).is_file() else Refused("site_refused")


def _name_refusals() -> None:
    """Extractors say these two by calling a method; here, where only we are, the method says which."""

    def saying(reason: str) -> Any:
        def refuse(*_: Any, **__: Any) -> None:
            raise _Stop(reason)

        return refuse

    InfoExtractor.report_drm = saying("drm")
    InfoExtractor.raise_login_required = saying("login_required")


def _outcome(error: BaseException, trouble: BaseException | None) -> Outcome:
    chain = list(_chain(error))
    if not any(isinstance(found, ExtractorError) for found in chain):
        # the page was understood; yt-dlp's downloaders keep only the words of what then went wrong
        chain.extend(_chain(trouble))
    for found in chain:
        match found:
            case _Stop():
                return Refused(found.reason)
            case HTTPError():
                return Answered(int(found.status))
            case TransportError() | TimeoutError() | ConnectionError():
                return Broken()
            case GeoRestrictedError():
                return Refused("geo_restricted")
            case UserNotLive():
                return Refused("live")
    told = next((found for found in chain if isinstance(found, ExtractorError) and found.expected), None)
    if told is None:
        return Refused("site_changed")
    # the sites' own sentences are all that some extractors pass on
    locked = any(word in str(told.orig_msg).lower() for word in _LOGIN_WORDS)
    return Refused("login_required" if locked else "site_refused")


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """The error and everything it hangs on; yt-dlp keeps causes in three places."""
    seen: set[int] = set()
    waiting = [error]
    while waiting:
        found = waiting.pop(0)
        if not isinstance(found, BaseException) or id(found) in seen:
            continue
        seen.add(id(found))
        yield found
        kept = getattr(found, "exc_info", None)
        waiting += [getattr(found, "cause", None), kept[1] if kept else None, found.__cause__, found.__context__]


def _fence(proxy_port: int) -> None:
    """Whatever yt-dlp tries: no socket but to the proxy, no program but a JavaScript runtime. Cannot be taken down again."""

    def watch(event: str, args: tuple[Any, ...]) -> None:
        if event in {"socket.connect", "socket.sendto"} and tuple(args[1][:2]) != ("127.0.0.1", proxy_port):
            raise PermissionError(event)
        if event in {"socket.getaddrinfo", "socket.gethostbyname"} and args[0] != "127.0.0.1":
            raise PermissionError(event)
        if event.startswith(_STARTS) or (event == "subprocess.Popen" and Path(str(args[0])).name not in _RUNTIMES):
            raise PermissionError(event)

    sys.addaudithook(watch)
    _start_without_network()


def _start_without_network() -> None:
    """Whoever starts a program here: a JavaScript runtime is given its script and says its answer, and needs nobody else."""
    start, enter = subprocess.Popen.__init__, without_network()

    def fenced(self: subprocess.Popen[Any], *args: Any, **named: Any) -> None:
        start(self, *args, **{**named, "preexec_fn": enter})

    subprocess.Popen.__init__ = fenced  # type: ignore[method-assign]  # yt-dlp's own Popen inherits it


def _bound(wish: Wish) -> None:
    size_bytes = wish.max_bytes + 1024**2
    for kind, limit in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, size_bytes),
        (resource.RLIMIT_NOFILE, 256),
        (resource.RLIMIT_DATA, _DATA_BYTES),
    ):
        resource.setrlimit(kind, (limit, limit))


def _die_with_parent() -> None:
    """Our standard input ends when the parent does."""

    def wait() -> None:
        sys.stdin.buffer.read()
        os._exit(1)

    threading.Thread(target=wait, daemon=True).start()


def main() -> None:
    """One wish in, one outcome out."""
    out = os.dup(1)
    os.dup2(2, 1)
    wish = msgspec.json.decode(sys.stdin.buffer.readline(), type=Wish)
    _die_with_parent()
    _bound(wish)
    _fence(wish.proxy_port)
    os.write(out, msgspec.json.encode(download(wish)))
    os._exit(0)


if __name__ == "__main__":
    main()
