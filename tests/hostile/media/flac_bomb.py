"""FLAC by hand: a constant tone of any length in next to no bytes (14 for each 65,535 samples), with a header that may lie."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

BLOCK_SAMPLES = 65_535
_Frames = NDArray[np.uint8]
"""One frame a row."""


def constant_flac(samples: int, rate_hz: int = 8000, *, claim: int | None = None, level: int = 8000) -> bytes:
    """Mono, 16 bits, every sample `level`. `claim`: the number of samples in the header (0: unknown)."""
    whole, rest = divmod(samples, BLOCK_SAMPLES)
    frames = [_frames(first, last, BLOCK_SAMPLES, level) for first, last in _same_width(whole)]
    if rest:
        frames.append(_frames(whole, whole + 1, rest, level))
    return _header(rate_hz, samples if claim is None else claim) + b"".join(frames)


def _header(rate_hz: int, samples: int) -> bytes:
    sizes = BLOCK_SAMPLES.to_bytes(2, "big") * 2 + bytes(6)
    form = (rate_hz << 44 | 15 << 36 | samples).to_bytes(8, "big")
    return b"fLaC\x80\0\0\x22" + sizes + form + bytes(16)


def _same_width(frames: int) -> list[tuple[int, int]]:
    """Frame numbers are written like UTF-8: ranges (first, end) whose numbers take equally many bytes."""
    borders = [0, 0x80, 0x800, 0x10000, 0x200000]
    return [(low, min(high, frames)) for low, high in pairwise(borders) if low < frames]


def _frames(first: int, end: int, samples: int, level: int) -> bytes:
    numbers = [np.frombuffer(_number(n), np.uint8) for n in (first, end - 1)]
    assert len(numbers[0]) == len(numbers[1])
    width = len(numbers[0])
    count = end - first
    head = _rows(b"\xff\xf8\x70\x08", count)
    size = _rows((samples - 1).to_bytes(2, "big"), count)
    begun = np.hstack([head, _numbers(np.arange(first, end), width), size])
    sound = _rows(b"\0" + level.to_bytes(2, "big", signed=True), count)
    body = np.hstack([begun, _crc(begun, 0x07, 8), sound])
    return np.hstack([body, _crc(body, 0x8005, 16)]).tobytes()


def _rows(data: bytes, count: int) -> _Frames:
    return np.tile(np.frombuffer(data, np.uint8), (count, 1))


def _number(number: int) -> bytes:
    return bytes(_numbers(np.array([number]), 1 + (number > 0x7F) + (number > 0x7FF) + (number > 0xFFFF))[0])


def _numbers(numbers: NDArray[np.int64], width: int) -> _Frames:
    if width == 1:
        return numbers[:, None].astype(np.uint8)
    first = (0xFF00 >> width & 0xFF) | numbers >> 6 * (width - 1)
    rest = [0x80 | numbers >> 6 * place & 0x3F for place in range(width - 2, -1, -1)]
    return np.stack([first, *rest], axis=1).astype(np.uint8)


def _crc(rows: _Frames, polynomial: int, bits: int) -> _Frames:
    """Of every row, as columns of bytes."""
    top, mask = 1 << bits - 1, (1 << bits) - 1
    crc = np.zeros(len(rows), np.int64)
    for column in rows.T.astype(np.int64):
        crc ^= column << bits - 8
        for _ in range(8):
            crc = np.where(crc & top, crc << 1 ^ polynomial, crc << 1) & mask
    return np.stack([crc >> shift & 0xFF for shift in range(bits - 8, -1, -8)], axis=1).astype(np.uint8)
