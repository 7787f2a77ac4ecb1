"""The `Preparer` port: a recording, whatever it is, becomes spans with their speech."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Literal, cast

import av

from tiro.adapters.media import flac, zygote
from tiro.adapters.media.cutting import Cutting
from tiro.adapters.media.decoder import ChildLost, Decoders
from tiro.adapters.media.protocol import MAX_SOURCES, Block, End, Frame
from tiro.adapters.media.vad import SILENT_PEAK, EnergyVad, SileroModel, Vad
from tiro.model.errors import MediaRefused, TooLarge
from tiro.model.media import SAMPLE_RATE_HZ, MediaLimits, MediaProbe
from tiro.ports import Growing, PreparedEnd, PreparedFile, PreparedSpan, Samples

VadName = Literal["silero", "energy"]

GLANCE_S = 65.0
_REVISION = "1"
"""Raised by hand when the code that decides where to cut changes."""


class ChildPreparer:
    """Decodes in a child process, listens and cuts here. Holds 1.6 spans per channel, never the recording.

    `vad`: how speech is found: `silero`, or `energy`, which takes all sound for speech (for the scripted engine's numbered audio).
    `scratch`: the folder that decoder children stand in; they write nothing.
    One preparer serves many threads; `close` ends its zygote and all its children.
    """

    def __init__(
        self,
        span_s: float = 150.0,
        scratch: Path = Path(os.sep),
        vad: VadName = "silero",
        command: Sequence[str] = zygote.COMMAND,
    ) -> None:
        self._span_s = span_s
        self._zygote = zygote.Zygote(command, scratch)
        self._decoders = Decoders(self._zygote)
        self._ears: Callable[[], Vad]
        if vad == "silero":
            model = SileroModel()
            self._ears, heard_by = model.track, model.name
        else:
            self._ears, heard_by = EnergyVad, EnergyVad.name
        parts = [_REVISION, str(span_s), heard_by, av.__version__, *map(str, av.library_versions.values())]
        self._version = hashlib.sha256("|".join(parts).encode()).hexdigest()[:16]

    @property
    def version(self) -> str:
        """Changes whenever the same recording might be cut otherwise."""
        return self._version

    def probe(self, source: Path, limits: MediaLimits, stop: threading.Event) -> MediaProbe:
        """What the container says; nothing is decoded."""
        with self._frames(source, limits, stop, split_channels=False, probe_only=True) as frames:
            return _first(frames)

    def glance(self, source: Path, limits: MediaLimits, stop: threading.Event) -> MediaProbe:
        """As `probe`, and raises MediaRefused when the first minute says that the recording cannot be transcribed.

        Silence is refused only when the recording ends within that minute; later sound may follow otherwise.
        """
        with self._frames(source, limits, stop, split_channels=False, probe_only=False) as frames:
            probe = _first(frames)
            samples = peak = 0
            for frame in frames:
                if isinstance(frame, Block):
                    pcm = frame.array()
                    samples += pcm.shape[1]
                    peak = max(peak, int(abs(pcm.astype("i4")).max(initial=0)))
                    if samples > GLANCE_S * SAMPLE_RATE_HZ:
                        return probe
        _require_sound(peak)
        return probe

    def prepare(
        self, source: Path | Growing, limits: MediaLimits, split_channels: bool, stop: threading.Event
    ) -> Iterator[MediaProbe | PreparedSpan | PreparedEnd]:
        """One MediaProbe, spans as they become final, one PreparedEnd."""
        with self._frames(source, limits, stop, split_channels=split_channels, probe_only=False) as frames:
            yield from self._steps(frames)

    def prepare_each(
        self, sources: Sequence[Path], limits: MediaLimits, stop: threading.Event
    ) -> Iterator[PreparedFile]:
        """One child reads them all; what it does not get over is read again alone, and the rest by another."""
        done = 0
        while done < len(sources):
            with closing(self._decoders.each(sources[done : done + MAX_SOURCES], limits, stop)) as files:
                for source, frames in files:
                    try:
                        prepared = _prepared(done, self._steps(frames))
                    except ChildLost:
                        prepared = _prepared(done, self.prepare(source, limits, split_channels=False, stop=stop))
                        files.close()
                    yield prepared
                    done += 1

    def _steps(self, frames: Iterator[Frame]) -> Iterator[MediaProbe | PreparedSpan | PreparedEnd]:
        """To the last frame, or to the first error."""
        yield _first(frames)
        cutting: Cutting | None = None
        for frame in frames:
            if isinstance(frame, Block):
                cutting = cutting or Cutting(frame.channels, self._span_s, self._ears)
                yield from cutting.push(frame.array())
            elif isinstance(frame, End):
                if cutting is None:
                    raise MediaRefused("empty_audio")
                _require_sound(cutting.peak)
                yield from cutting.finish()
                yield PreparedEnd(
                    decoded_s=frame.samples / SAMPLE_RATE_HZ,
                    layout=cutting.layout,
                    damaged_packets=frame.damaged_packets,
                    warnings=frame.warnings,
                )

    def encode(self, samples: Samples) -> bytes:
        """FLAC, 16 kHz mono, 16 bits; what `prepare` gave comes back exactly."""
        return flac.encode(samples)

    def read(self, flac_bytes: bytes) -> Samples:
        """What `encode` wrote."""
        return flac.read(flac_bytes)

    def close(self) -> None:
        """Ends the zygote and every child; the next recording starts a new one."""
        self._zygote.close()

    def _frames(
        self,
        source: Path | Growing,
        limits: MediaLimits,
        stop: threading.Event,
        *,
        split_channels: bool,
        probe_only: bool,
    ) -> closing[Generator[Frame]]:
        frames = self._decoders.frames(source, limits, stop, split_channels=split_channels, probe_only=probe_only)
        return closing(cast("Generator[Frame]", frames))


def _prepared(number: int, steps: Iterator[MediaProbe | PreparedSpan | PreparedEnd]) -> PreparedFile:
    """Whole, or refused."""
    try:
        probe, *spans, end = steps
    except (MediaRefused, TooLarge) as refused:
        return PreparedFile(number=number, error=refused)
    assert isinstance(probe, MediaProbe)
    assert isinstance(end, PreparedEnd)
    return PreparedFile(
        number=number, probe=probe, spans=tuple(one for one in spans if isinstance(one, PreparedSpan)), end=end
    )


def _first(frames: Iterator[Frame]) -> MediaProbe:
    probe = next(frames, None)
    if not isinstance(probe, MediaProbe):
        raise MediaRefused("decode_failed")
    return probe


def _require_sound(peak: int) -> None:
    if peak < SILENT_PEAK:
        raise MediaRefused("empty_audio")
