"""Blocks of PCM in, final spans out: one track per channel that matters, each with its buffer, its ears and its cutter."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from tiro.adapters.media.channels import ChannelJudge
from tiro.adapters.media.protocol import Pcm
from tiro.adapters.media.spans import Cut, Cutter
from tiro.adapters.media.vad import CHUNK_SAMPLES, FRAME_SAMPLES, PAD_FRAMES, Hysteresis, Interval, Probabilities, Vad
from tiro.model.media import SAMPLE_RATE_HZ, Layout, Span
from tiro.ports import PreparedSpan, Samples

Mono = NDArray[np.int16]


class Reel:
    """Sound that waits for its cut: put on at the end, taken off at the beginning. Always the same memory, once it is large enough."""

    def __init__(self) -> None:
        self._room = np.empty(CHUNK_SAMPLES, np.int16)
        self._size = 0
        self._start = 0

    def put(self, pcm: Mono) -> None:
        size = self._size + len(pcm)
        while size > len(self._room):
            self._room = np.concatenate([self._room, np.empty_like(self._room)])
        self._room[self._size : size] = pcm
        self._size = size

    def take(self, end: int) -> Samples:
        """Everything up to this sample of the track."""
        waiting, size = self.waiting(), end - self._start
        taken = np.multiply(waiting[:size], np.float32(1 / 32768), dtype=np.float32)
        self._size -= size
        self._room[: self._size] = waiting[size:]
        self._start = end
        return taken

    def waiting(self) -> Mono:
        """What lies on it, until it is touched again."""
        return self._room[: self._size]

    def mix(self, other: Reel) -> None:
        """Becomes the mean of both, as far as both wait."""
        ours, theirs = self.waiting(), other.waiting()
        missing = len(ours) - len(theirs)
        # whose last cut was later has less waiting; only the part that both still have can be mixed
        aligned = theirs[-missing:] if missing <= 0 else np.concatenate([ours[:missing], theirs])
        ours[:] = _mean(np.stack([ours, aligned]))


class Track:
    """One channel on its way to spans."""

    def __init__(self, number: int, vad: Vad, target: int) -> None:
        self.number = number
        self.vad = vad
        self.reel = Reel()
        self.spoke = False
        self._hysteresis = Hysteresis()
        self._cutter = Cutter(target, PAD_FRAMES * FRAME_SAMPLES)
        self._ended: list[Interval] = []
        self._samples = 0

    def put(self, pcm: Mono, probabilities: Probabilities) -> None:
        self.reel.put(pcm)
        self._samples += len(pcm)
        self._ended += [self._in_samples(interval) for interval in self._hysteresis.push(probabilities)]

    def due(self) -> list[Cut]:
        """Cuts that have become final."""
        pending = self._hysteresis.open
        settled = min(self._hysteresis.settled * FRAME_SAMPLES, self._samples)
        cuts = self._cutter.push(self._ended, pending and self._in_samples(pending), settled)
        self._ended = []
        return cuts

    def rest(self) -> list[Cut]:
        """The cuts up to the end of the track."""
        ended = self._ended + [self._in_samples(interval) for interval in self._hysteresis.finish()]
        return self._cutter.finish(ended, self._samples)

    def silence(self) -> None:
        """From its last cut on, this track has no speech."""
        self._hysteresis.finish()
        self._ended = []
        self._cutter.forget()

    def _in_samples(self, frames: Interval) -> Interval:
        return frames[0] * FRAME_SAMPLES, min(frames[1] * FRAME_SAMPLES, self._samples)


class Cutting:
    """The whole way for one recording. Holds at most 1.6 spans per channel."""

    def __init__(self, channels: int, span_s: float, ears: Callable[[], Vad]) -> None:
        target = round(span_s * SAMPLE_RATE_HZ)
        self._target = target
        self._tracks = [Track(number, ears(), target) for number in range(channels)]
        self._judge = ChannelJudge() if channels == 2 else None
        self._mono: Track | None = None
        self._cut_any = False
        self._spans = 0
        self._waiting: list[Pcm] = []
        self.samples = 0
        self.peak = 0

    @property
    def layout(self) -> Layout:
        """Known when the recording has ended."""
        return (
            "channels"
            if self._mono is None and all(t.spoke for t in self._tracks) and len(self._tracks) == 2
            else "mono"
        )

    def push(self, block: Pcm) -> Iterator[PreparedSpan]:
        """Sound (channels, samples); spans that have become final."""
        self.samples += block.shape[1]
        self.peak = max(self.peak, int(np.abs(block.astype(np.int32)).max(initial=0)))
        self._waiting.append(block)
        if sum(piece.shape[1] for piece in self._waiting) < CHUNK_SAMPLES:
            return
        whole = np.concatenate(self._waiting, axis=1)
        while whole.shape[1] >= CHUNK_SAMPLES:
            chunk, whole = whole[:, :CHUNK_SAMPLES], whole[:, CHUNK_SAMPLES:]
            self._listen(chunk)
            for track in self._tracks:
                yield from self._spans_of(track, track.due())
        self._waiting = [whole.copy()]

    def finish(self) -> Iterator[PreparedSpan]:
        """The spans that the end makes final."""
        rest = np.concatenate(self._waiting, axis=1) if self._waiting else np.zeros((len(self._tracks), 0), np.int16)
        if rest.shape[1]:
            self._listen(rest)
        self._settle(now=True)
        for track in self._tracks:
            yield from self._spans_of(track, track.rest())

    def _listen(self, chunk: Pcm) -> None:
        if self._mono is not None:
            self._listen_mono(self._mono, chunk)
            return
        heard = np.stack([track.vad.hear(channel) for track, channel in zip(self._tracks, chunk, strict=True)])
        if self._judge is not None:
            heard = self._judge.push(chunk, heard)
        for track, channel, probabilities in zip(self._tracks, chunk, heard, strict=True):
            track.put(channel, probabilities)
        # the first span may be final soon: from here on, what was heard of both channels must do
        self._settle(now=self.samples >= self._target)

    def _listen_mono(self, mono: Track, chunk: Pcm) -> None:
        mixed = _mean(chunk)
        probabilities = mono.vad.hear(mixed)
        for track in self._tracks:
            track.put(mixed, probabilities if track is mono else np.zeros_like(probabilities))

    def _settle(self, *, now: bool) -> None:
        """Turns two channels that are the same into one track; the other ends here, or runs on silent when it has spans already."""
        if self._judge is None:
            return
        verdict = self._judge.verdict(now=now)
        if verdict is None:
            return
        if verdict == "mono":
            mono = self._tracks[self._judge.busier]
            other = self._tracks[1 - self._judge.busier]
            mono.reel.mix(other.reel)
            other.silence()
            self._mono = mono
            if not self._cut_any:
                mono.number = 0
                self._tracks = [mono]
        self._judge = None

    def _spans_of(self, track: Track, cuts: list[Cut]) -> Iterator[PreparedSpan]:
        for cut in cuts:
            self._cut_any = True
            track.spoke = track.spoke or bool(cut.speech)
            speech = tuple((start / SAMPLE_RATE_HZ, end / SAMPLE_RATE_HZ) for start, end in cut.speech)
            start_s, end_s = cut.start / SAMPLE_RATE_HZ, cut.end / SAMPLE_RATE_HZ
            yield PreparedSpan(Span(self._spans, track.number, start_s, end_s, speech), track.reel.take(cut.end))
            self._spans += 1


def _mean(pcm: Pcm) -> Mono:
    """Both channels as one."""
    mean: Mono = ((pcm[0].astype(np.int32) + pcm[1]) // 2).astype(np.int16)
    return mean
