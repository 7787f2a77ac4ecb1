"""Does yt-dlp have a reader for this address? Asked in a child: its 1,800 patterns were written for honest addresses, and a hostile one
of seventy characters keeps them busy for years.

The child is started by the first question and kept. It gives itself so much time of the processor for each; the kernel ends it when that is
over, and the next question starts another. Run as `python -P -s -m tiro.adapters.egress.knowing [module:Class ...]`: a JSON string a line
in, a digit out.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
import threading
import weakref
from pathlib import Path

import msgspec

import tiro
from tiro.adapters.egress.patience import SLICE_S, Patience
from tiro.model.errors import SourceRefused

ALLOWED_S = 2.0
"""Of the processor, for one address. An honest one takes milliseconds."""


class Knowing:
    """Any number of threads may ask; one question is asked at a time."""

    def __init__(self, extractors: tuple[str, ...] = ()) -> None:
        self._extractors = extractors
        self._one = threading.Lock()
        self._child: subprocess.Popen[bytes] | None = None
        self._at_the_end: weakref.finalize[[subprocess.Popen[bytes]], Knowing] | None = None

    def knows(self, url: str, patience: Patience) -> bool:
        """Raises SourceRefused `address_too_odd` for one that keeps the patterns busy, and as `patience`."""
        with self._one:
            child = self._child or self._started()
            try:
                answer = _answer(child, url, patience)
            except BaseException:
                # what it may still say would be taken for the next answer
                self._ended()
                raise
            if not answer:
                self._ended()
                raise SourceRefused("address_too_odd")
            return answer == b"1"

    def _started(self) -> subprocess.Popen[bytes]:
        child = subprocess.Popen(
            [sys.executable, "-P", "-s", "-m", "tiro.adapters.egress.knowing", *self._extractors],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={"PYTHONPATH": str(Path(tiro.__file__).parents[1]), "LANG": "C.UTF-8", "YTDLP_NO_PLUGINS": "1"},
            start_new_session=True,
        )
        self._child = child
        self._at_the_end = weakref.finalize(self, _end, child)
        return child

    def _ended(self) -> None:
        if self._at_the_end is not None:
            self._at_the_end()
        self._child = None


def _answer(child: subprocess.Popen[bytes], url: str, patience: Patience) -> bytes:
    """Empty when the child has ended."""
    assert child.stdin is not None
    assert child.stdout is not None
    try:
        child.stdin.write(msgspec.json.encode(url) + b"\n")
        child.stdin.flush()
    except BrokenPipeError:
        return b""
    poll = select.poll()
    poll.register(child.stdout.fileno(), select.POLLIN)
    while not poll.poll(SLICE_S * 1000):
        patience.check()
    return os.read(child.stdout.fileno(), 1)


def _end(child: subprocess.Popen[bytes]) -> None:
    """A regular expression hears no polite signal."""
    child.kill()
    child.wait()
    for pipe in (child.stdin, child.stdout):
        if pipe is not None:
            try:
                pipe.close()
            except BrokenPipeError:
                continue


def main() -> None:
    """Until nobody asks any more."""
    from tiro.adapters.egress.site_child import extractors

    known = list(extractors(tuple(sys.argv[1:])))
    # patterns are compiled when they are first tried
    any(extractor.suitable("https://example.com/") for extractor in known)
    signal.signal(signal.SIGPROF, signal.SIG_DFL)
    for line in sys.stdin.buffer:
        url = msgspec.json.decode(line, type=str)
        signal.setitimer(signal.ITIMER_PROF, ALLOWED_S)
        found = any(extractor.suitable(url) for extractor in known)
        signal.setitimer(signal.ITIMER_PROF, 0)
        os.write(1, b"1" if found else b"0")


if __name__ == "__main__":
    main()
