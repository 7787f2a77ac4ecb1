"""A Matroska file by hand, for what no muxer writes: sound beside a video in a codec that does not belong there."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from fractions import Fraction

import av
import numpy as np

from tests.media_builder import RATE_HZ, Sound

WIDTH, HEIGHT, PER_S = 64, 48, 5


def with_magicyuv(sound: Sound) -> bytes:
    """Whole seconds of plain PCM, and real MagicYUV pictures beside it."""
    pictures = list(_pictures(PER_S * len(sound) // RATE_HZ))
    header = _element("1A45DFA3", _element("4282", b"matroska"), _number("4287", 4), _number("4285", 2))
    info = _element("1549A966", _number("2AD7B1", 1_000_000))
    clusters = [
        _cluster(second, pictures[second * PER_S : (second + 1) * PER_S], sound[second * RATE_HZ :][:RATE_HZ])
        for second in range(len(sound) // RATE_HZ)
    ]
    return header + _element("18538067", info, _tracks(), *clusters)


def _tracks() -> bytes:
    size = WIDTH * HEIGHT * 3
    form = struct.pack("<IiiHH4sIiiII", 40, WIDTH, HEIGHT, 1, 24, b"MAGY", size, 0, 0, 0, 0)
    video = _element("E0", _number("B0", WIDTH), _number("BA", HEIGHT))
    audio = _element("E1", _element("B5", struct.pack(">d", RATE_HZ)), _number("9F", 1), _number("6264", 16))
    return _element(
        "1654AE6B",
        _track(1, 1, b"V_MS/VFW/FOURCC", _element("63A2", form), video),
        _track(2, 2, b"A_PCM/INT/LIT", audio),
    )


def _track(number: int, kind: int, codec: bytes, *more: bytes) -> bytes:
    return _element(
        "AE", _number("D7", number), _number("73C5", number), _number("83", kind), _element("86", codec), *more
    )


def _cluster(second: int, pictures: list[bytes], sound: Sound) -> bytes:
    pcm = np.rint(sound * 32767).astype("<i2").tobytes()
    blocks = [_block(1, index * 1000 // PER_S, picture) for index, picture in enumerate(pictures)]
    return _element("1F43B675", _number("E7", second * 1000), *blocks, _block(2, 0, pcm))


def _block(track: int, at_ms: int, data: bytes) -> bytes:
    return _element("A3", struct.pack(">BhB", 0x80 | track, at_ms, 0x80), data)


def _number(name: str, value: int) -> bytes:
    return _element(name, value.to_bytes(4, "big"))


def _element(name: str, *payload: bytes) -> bytes:
    data = b"".join(payload)
    return bytes.fromhex(name) + (1 << 56 | len(data)).to_bytes(8, "big") + data


def _pictures(number: int) -> Iterator[bytes]:
    encoder = av.CodecContext.create("magicyuv", "w")
    encoder.width, encoder.height, encoder.pix_fmt, encoder.time_base = WIDTH, HEIGHT, "gbrp", Fraction(1, PER_S)
    for index in range(number):
        grey = np.full((HEIGHT, WIDTH, 3), index % 256, np.uint8)
        frame = av.VideoFrame.from_ndarray(grey, format="rgb24").reformat(format="gbrp")
        frame.pts, frame.time_base = index, Fraction(1, PER_S)
        yield from (bytes(packet) for packet in encoder.encode(frame))
