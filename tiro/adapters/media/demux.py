"""From a stranger's bytes to PCM, inside a decoder child: what may be opened, which track is taken, what counts as damage."""

from __future__ import annotations

import os
import wave
from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from typing import Any, BinaryIO

import av
import av.container
import av.stream

from tiro.adapters.media import riff
from tiro.adapters.media.growth import Growth
from tiro.adapters.media.protocol import Block, End, Frame, Order
from tiro.adapters.media.resample import Resampler, check
from tiro.model.errors import MediaRefused
from tiro.model.media import SAMPLE_RATE_HZ, MediaProbe

FORMATS = "mov,matroska,mp3,wav,w64,aac,ogg,flac,asf,avi,aiff,caf,amr"
CODECS = frozenset(
    """aac aac_latm ac3 alac amrnb amrwb eac3 flac gsm gsm_ms libopencore_amrnb libopencore_amrwb libopus mp1 mp1float mp2 mp2float
    mp3 mp3float opus speex vorbis wmalossless wmapro wmav1 wmav2 wmavoice adpcm_ima_qt adpcm_ima_wav adpcm_ms
    pcm_alaw pcm_mulaw pcm_u8 pcm_s8 pcm_s8_planar pcm_s16be pcm_s16be_planar pcm_s16le pcm_s16le_planar pcm_s24be pcm_s24le
    pcm_s24le_planar pcm_s32be pcm_s32le pcm_s32le_planar pcm_f32be pcm_f32le pcm_f64be pcm_f64le""".split()
)
_CLAIMS = {"mov", "matroska", "wav", "ogg", "avi", "asf", "flac"}
"""Containers that say how long they are; the others' durations are guesses from the first frames."""
_MAGIC = (
    b"RIFF",
    b"OggS",
    b"fLaC",
    b"ID3",
    b"\x1a\x45\xdf\xa3",
    b"\x30\x26\xb2\x75",
    b"FORM",
    b"caff",
    b"#!AMR",
    b"riff",
)
_BOXES = {b"ftyp", b"moov", b"wide", b"mdat"}
_MOVIES = "mov"
"""What libavformat calls MP4, MOV and their family."""
_BARE_BYTES = 128
"""A known beginning with no more than this behind it is a header without a recording."""
_SHORTEST_SAMPLES = 512
_LEAST_BITS_PER_S = 1000
_TOLERANCE_S = 0.5
"""Encoders pad; a recording of exactly the limit is not refused for that."""
_MAX_BAD_READS = 50


class Source:
    """The file as libavformat sees it: bytes without a name, so that nothing relative to it can be opened.

    One that still comes in looks just the same, and is decoded to the same sound: what is not there yet is waited for.
    """

    def __init__(self, descriptor: int, growth: Growth | None = None) -> None:
        self._file: BinaryIO = os.fdopen(descriptor, "rb", buffering=0)
        self._growth = growth
        self.head = self.read(16)
        self.riff = riff.look(self)
        self._file.seek(0)

    @property
    def size_bytes(self) -> int:
        if self._growth is not None:
            if self._growth.size_bytes is not None:
                return self._growth.size_bytes
            self._growth.reach(None)
        return os.fstat(self._file.fileno()).st_size

    def read(self, size: int) -> bytes:
        if self._growth is not None:
            self._growth.reach(self._file.tell() + size)
        return self._file.read(size)

    def seek(self, offset: int, whence: int = 0) -> int:
        if whence == os.SEEK_END:
            return self._file.seek(self.size_bytes + offset)
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def close(self) -> None:
        self._file.close()

    @property
    def known(self) -> bool:
        """Whether it begins as a container does that we read, or ends within such a beginning."""
        # ff fe is how UTF-16 text begins
        frame_sync = self.head[:1] == b"\xff" and self.head[1:2] >= b"\xe0" and self.head[1:2] != b"\xfe"
        begun = self.size_bytes > 1 and any(magic.startswith(self.head) for magic in _MAGIC)
        return frame_sync or begun or self.head.startswith(_MAGIC) or self.head[4:8] in _BOXES


def decode(descriptor: int, growth: Growth | None, order: Order, emit: Callable[[Frame], None]) -> None:
    """Emits a MediaProbe, then Blocks, then an End. Raises MediaRefused."""
    with ExitStack() as stack:
        source = stack.enter_context(closing(Source(descriptor, growth)))
        if source.riff.odd_samples:
            raise MediaRefused("unsupported_format")
        container = stack.enter_context(_open(source))
        stream, tracks = _track(container)
        probe = _probe(container, stream, source)
        check(probe.sample_rate_hz, probe.channels)
        if probe.has_video and probe.container == _MOVIES and not order.moving_pictures:
            raise MediaRefused("unsupported_format")
        emit(probe)
        if not order.probe_only:
            warnings = ["other_tracks_ignored"] * (tracks > 1) + ["length_field_ignored"] * source.riff.understates
            Decoding(order, probe, emit).run(container, stream, source, warnings)


def rehearse() -> None:
    """Decode a tenth of a second of silence: what PyAV imports on first use is there before files can no longer be opened."""
    descriptor = os.memfd_create("rehearsal")
    with os.fdopen(os.dup(descriptor), "wb") as file, wave.open(file, "wb") as silence:
        silence.setparams((1, 2, SAMPLE_RATE_HZ, 0, "NONE", "NONE"))
        silence.writeframes(bytes(SAMPLE_RATE_HZ // 5))
    os.lseek(descriptor, 0, os.SEEK_SET)
    order = Order(token=0, max_duration_s=1, split_channels=False, probe_only=False, cpu_s=0, memory_bytes=0)
    decode(descriptor, None, order, lambda _: None)


def _open(source: Source) -> av.container.InputContainer:
    options = {
        "format_whitelist": FORMATS,
        "codec_whitelist": ",".join(sorted(CODECS)),
        # the source is given as bytes: no address of any kind is to be opened, whatever the bytes say
        "protocol_whitelist": "none",
    }
    if source.riff.understates:
        options["ignore_length"] = "1"
    attempts = (None, "mp3") if source.head.startswith(b"ID3") else (None,)
    for name in attempts:
        source.seek(0)
        try:
            return av.open(source, "r", format=name, container_options=options)
        except (av.FFmpegError, ValueError):
            continue
    if source.size_bytes <= 1 or (source.known and source.size_bytes <= _BARE_BYTES):
        raise MediaRefused("empty_audio")
    raise MediaRefused("decode_failed" if source.known else "unsupported_format")


def _track(container: av.container.InputContainer) -> tuple[Any, int]:
    """The audio track marked as default, else the first; and how many there are. Others are not even read."""
    tracks = list(container.streams.audio)
    if not tracks:
        raise MediaRefused("unsupported_format")
    defaults = [track for track in tracks if track.disposition & av.stream.Disposition.default]
    chosen = (defaults or tracks)[0]
    context: Any = chosen.codec_context
    if context is None or context.codec.name not in CODECS:
        raise MediaRefused("unsupported_format")
    # the child may not start threads
    context.thread_count = 1
    for stream in container.streams:
        if stream.index != chosen.index:
            stream.discard = av.stream.Discard.all
    return chosen, len(tracks)


def _probe(container: av.container.InputContainer, stream: Any, source: Source) -> MediaProbe:
    context = stream.codec_context
    pictures = av.stream.Disposition.attached_pic | av.stream.Disposition.timed_thumbnails
    return MediaProbe(
        container=container.format.name.split(",")[0],
        codec=context.codec.name,
        sample_rate_hz=context.sample_rate or 0,
        channels=context.layout.nb_channels,
        duration_s=_claim_s(container, stream, source),
        has_video=any(not video.disposition & pictures for video in container.streams.video),
    )


def _claim_s(container: av.container.InputContainer, stream: Any, source: Source) -> float | None:
    """The duration that the container gives, unless so few bytes cannot hold it."""
    if container.duration is None or container.duration <= 0 or source.riff.understates:
        return None
    claim_s = container.duration / av.time_base
    context = stream.codec_context
    least = _LEAST_BITS_PER_S
    if context.codec.name.startswith("pcm_"):
        least = (context.sample_rate or 0) * context.layout.nb_channels * context.format.bits // 2
    return claim_s if source.size_bytes * 8 >= claim_s * least else None


class Decoding:
    """One run over one track: counts samples and damage, stops at the limit."""

    def __init__(self, order: Order, probe: MediaProbe, emit: Callable[[Frame], None]) -> None:
        self._order = order
        self._probe = probe
        self._emit = emit
        self._channels = 2 if order.split_channels and probe.channels == 2 else 1
        self._resampler = Resampler(self._channels)
        self._limit = int((order.max_duration_s + _TOLERANCE_S) * SAMPLE_RATE_HZ)
        self._samples = 0
        self._damaged = 0

    def run(self, container: av.container.InputContainer, stream: Any, source: Source, warnings: list[str]) -> None:
        claim_s = self._probe.duration_s if self._probe.container in _CLAIMS else None
        if claim_s is not None and claim_s > self._order.max_duration_s * 1.02 + 10:
            raise MediaRefused("duration_exceeds_limit")
        for frame in self._frames(container, stream):
            self._put(self._resampler.push(frame))
        self._put(self._resampler.flush())
        self._require_sound(source)
        decoded_s = self._samples / SAMPLE_RATE_HZ
        claim_s = self._probe.duration_s
        if claim_s is not None and decoded_s < 0.9 * claim_s - 1:
            warnings.append("shorter_than_claimed")
        if self._probe.channels > 2:
            warnings.append("channels_mixed_down")
        if self._damaged:
            warnings.append(f"damaged_packets:{self._damaged}")
        self._emit(End(self._samples, self._damaged, tuple(warnings)))

    def _require_sound(self, source: Source) -> None:
        if self._samples >= _SHORTEST_SAMPLES:
            return
        if self._damaged or not source.known:
            raise MediaRefused("decode_failed" if source.known else "unsupported_format")
        raise MediaRefused("empty_audio")

    def _put(self, pcm: Iterator[Any]) -> None:
        for block in pcm:
            self._samples += block.shape[1]
            if self._samples > self._limit:
                raise MediaRefused("duration_exceeds_limit")
            self._emit(Block(len(block), block.astype("<i2").tobytes()))  # type: ignore[arg-type]

    def _frames(self, container: av.container.InputContainer, stream: Any) -> Iterator[av.AudioFrame]:
        for packet in self._packets(container, stream):
            try:
                frames = packet.decode()
            except av.FFmpegError:
                self._damaged += 1
                continue
            yield from frames
        try:
            yield from stream.codec_context.decode(None)
        except av.FFmpegError:
            return  # the last packet has emptied the decoder already

    def _packets(self, container: av.container.InputContainer, stream: Any) -> Iterator[Any]:
        """Reading goes on behind a place that cannot be read, a bounded number of times in a row."""
        bad_reads = 0
        while bad_reads < _MAX_BAD_READS:
            try:
                for packet in container.demux(stream):
                    bad_reads = 0
                    yield packet
                return
            except av.error.EOFError:
                return
            except av.FFmpegError:
                bad_reads += 1
                self._damaged += 1
