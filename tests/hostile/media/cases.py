"""Which files do strangers send, and what must become of each? One line per case; the numbers group them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from tests.hostile.media import forged
from tests.hostile.media.flac_bomb import constant_flac
from tests.hostile.media.forged import TONES
from tests.hostile.media.matroska import with_magicyuv
from tests.media_builder import encode, noise, silence, wav


@dataclass(frozen=True)
class Refused:
    """The reason; `late`: what a glance cannot know."""

    number: int
    what: str
    make: Callable[[], bytes]
    reason: str
    late: bool = False

    @property
    def expected(self) -> str:
        return f"{self.reason}, {'late' if self.late else 'at once'}"


@dataclass(frozen=True)
class Completed:
    """The seconds that are really there, and what is told of the rest. `damaged`: packets that cannot be decoded are counted."""

    number: int
    what: str
    make: Callable[[], bytes]
    seconds: float
    warnings: tuple[str, ...] = ()
    damaged: bool = False

    @property
    def expected(self) -> str:
        told = [*self.warnings, *(["damage counted"] if self.damaged else [])]
        return ", ".join([f"completed, {self.seconds:g} s", *told])


EMPTY, FAILED, UNSUPPORTED = "empty_audio", "decode_failed", "unsupported_format"

REFUSED = [
    Refused(1, "no bytes", lambda: b"", EMPTY),
    Refused(2, "one byte", lambda: b"x", EMPTY),
    Refused(2, "half of a WAV's first word", lambda: b"RI", EMPTY),
    Refused(2, "a WAV header alone", lambda: wav(TONES[:0]), EMPTY),
    Refused(2, "an MP3 frame's header alone", lambda: b"\xff\xfb\x90\x64", EMPTY),
    Refused(2, "a FLAC header alone", lambda: constant_flac(0), EMPTY),
    Refused(2, "an Ogg page's header alone", lambda: encode(TONES, "ogg")[:27], EMPTY),
    Refused(2, "an MP4's first box alone", lambda: encode(TONES, "m4a")[:28], EMPTY),
    Refused(2, "one sample", lambda: wav(TONES[1:2]), EMPTY),
    Refused(3, "60 s of digital silence", lambda: wav(silence(60)), EMPTY),
    Refused(3, "90 s of digital silence", lambda: wav(silence(90)), EMPTY, late=True),
    Refused(4, "MP4 cut before its moov box", lambda: encode(TONES, "mp4")[:20_000], FAILED),
    Refused(4, "MP4 whose moov box is missing", lambda: forged.without_index(encode(TONES, "m4a")), FAILED),
    Refused(5, "the first half of an MP4", lambda: _half(encode(TONES, "mp4")), FAILED),
    Refused(5, "the first half of an M4A", lambda: _half(encode(TONES, "m4a")), FAILED),
    Refused(9, "an ID3 tag longer than the file", lambda: forged.id3(100, 20 << 20) + encode(TONES, "mp3"), FAILED),
    Refused(12, "0 channels", lambda: forged.noisy_wav(16_000, 0), FAILED),
    Refused(12, "65,535 channels", lambda: forged.noisy_wav(16_000, 65_535, 960_000), FAILED),
    Refused(12, "33 channels", lambda: forged.channels(33, TONES[:16_000]), FAILED),
    Refused(13, "a rate of 0", lambda: forged.noisy_wav(0, 1), FAILED),
    Refused(13, "a rate of 4 GHz", lambda: forged.noisy_wav(4_000_000_000, 1), FAILED),
    Refused(13, "a rate of 1 Hz", lambda: forged.noisy_wav(1, 1), FAILED),
    Refused(14, "all samples NaN", lambda: wav(np.full(16_000, np.nan, np.float32), form=3), EMPTY),
    Refused(15, "a WAV of encoding 0xFFFF", lambda: wav(TONES, form=0xFFFF), UNSUPPORTED),
    Refused(15, "a WAV of 7 bits", lambda: wav(TONES, bits=7), UNSUPPORTED),
    Refused(15, "a codec nobody knows", forged.unknown_codec, UNSUPPORTED),
    Refused(17, "406 bytes of FLAC at 1 Hz: 510 hours", lambda: bomb(1), FAILED),
    Refused(18, "a video without sound", forged.silent_film, UNSUPPORTED),
    Refused(22, "HTML", lambda: forged.page(6000), UNSUPPORTED),
    Refused(22, "HTML of 40 bytes", lambda: forged.page(40), UNSUPPORTED),
    Refused(22, "a Windows program", forged.program, UNSUPPORTED),
    Refused(22, "a zip", forged.archive, UNSUPPORTED),
    Refused(22, "a PDF", lambda: forged.pdf(6000), UNSUPPORTED),
    Refused(22, "the first 9 bytes of a PDF", lambda: forged.pdf(9), UNSUPPORTED),
    Refused(22, "text", lambda: forged.TEXT * 60, UNSUPPORTED),
    Refused(22, "2 bytes of text", lambda: b"ok", UNSUPPORTED),
    Refused(22, "text in UTF-16", lambda: forged.TEXT.decode().encode("utf-16") * 60, UNSUPPORTED),
    Refused(22, "random bytes", lambda: forged.junk(200_000), UNSUPPORTED),
    Refused(22, "zeros", lambda: bytes(100_000), UNSUPPORTED),
]

COMPLETED = [
    Completed(6, "the first half of an MP3", lambda: encode(TONES, "mp3")[:40_000], 4.9, ("shorter_than_claimed",)),
    Completed(7, "5,000 bytes of junk inside an MP3", lambda: forged.with_junk("mp3", 40_000), 10, damaged=True),
    Completed(7, "5,000 bytes of junk inside a FLAC", lambda: forged.with_junk("flac", 60_000), 10),
    Completed(7, "3,000 bytes of an M4A overwritten", lambda: forged.overwritten("m4a", 20_000), 9.6, damaged=True),
    Completed(8, "an ID3 tag of 20 MB", lambda: forged.id3(20 << 20, 20 << 20) + encode(TONES, "mp3"), 10),
    Completed(10, "a WAV that says 0xFFFFFFF0 bytes", lambda: wav(TONES, data_bytes=0xFFFFFFF0), 10),
    Completed(10, "a WAV that says 0 bytes", lambda: wav(TONES, data_bytes=0), 10, ("length_field_ignored",)),
    Completed(10, "a WAV that says 100 bytes", lambda: wav(TONES, data_bytes=100), 10, ("length_field_ignored",)),
    Completed(11, "a WAV with an odd byte", lambda: wav(TONES) + b"\1", 10),
    Completed(12, "8 channels", lambda: forged.channels(8), 10, ("channels_mixed_down",)),
    Completed(12, "32 channels", lambda: forged.channels(32, TONES[:32_000]), 2, ("channels_mixed_down",)),
    Completed(13, "192 kHz", lambda: wav(noise(2, rate_hz=192_000), 192_000), 2),
    Completed(14, "NaN, infinity and 1e30", lambda: forged.spoilt(np.nan, np.inf, -np.inf, 1e30), 10),
    Completed(16, "FLAC claiming 2^36 samples", lambda: forged.claiming(encode(TONES, "flac"), (1 << 36) - 1), 10),
    Completed(19, "60 audio tracks", lambda: encode(TONES[:48_000], "mkv", tracks=60), 3, ("other_tracks_ignored",)),
    Completed(20, "MKV with MagicYUV", lambda: with_magicyuv(TONES), 10),
    Completed(23, "an MP3 with a zip behind it", lambda: encode(TONES, "mp3") + forged.archive(), 10, damaged=True),
    Completed(23, "an MP3 with HTML behind it", lambda: encode(TONES, "mp3") + forged.page(3000), 10, damaged=True),
]


def params(cases: list[Refused] | list[Completed]) -> list[object]:
    """One test each, with its line of the table."""
    marked = [(case, pytest.mark.hostile_input(case.number, case.what, case.expected)) for case in cases]
    return [pytest.param(case, marks=mark, id=f"{case.number}-{case.what}") for case, mark in marked]


def _half(whole: bytes) -> bytes:
    return whole[: len(whole) // 2]


def bomb(rate_hz: int) -> bytes:
    """28 blocks of 65,535 samples."""
    made = constant_flac(28 * 65_535, rate_hz)
    assert len(made) == 406
    return made
