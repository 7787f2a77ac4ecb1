"""Recordings from enemies and from broken machines: each ends in a word of the API or in the seconds that are really there."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import numpy as np
import pytest

from tests.media_builder import encode, noise, numbered, silence, wav, wav_header
from tiro.adapters.media import demux
from tiro.adapters.media.preparer import ChildPreparer
from tiro.adapters.media.protocol import Order
from tiro.model.errors import MediaRefused
from tiro.model.media import MediaLimits
from tiro.ports import PreparedEnd

LIMITS = MediaLimits(max_duration_s=1800, max_bytes=1 << 30)
RANDOM = np.random.default_rng(7).bytes


@pytest.fixture(scope="module")
def preparer() -> Iterator[ChildPreparer]:
    made = ChildPreparer(vad="energy")
    yield made
    made.close()


def outcome(preparer: ChildPreparer, path: Path, limits: MediaLimits = LIMITS) -> PreparedEnd | str:
    """How it ended, or the reason why not."""
    try:
        *_, end = preparer.prepare(path, limits, True, threading.Event())
    except MediaRefused as refused:
        return refused.reason
    assert isinstance(end, PreparedEnd)
    return end


def id3(tag_bytes: int, claim: int) -> bytes:
    size = bytes(claim >> shift & 127 for shift in (21, 14, 7, 0))
    return b"ID3\x03\0\0" + size + bytes(tag_bytes)


def spoilt(sound: np.ndarray, *values: float) -> bytes:
    sound = sound.copy()
    for index, value in enumerate(values):
        sound[1000 + 200 * index] = value
    return wav(sound, form=3)


def claiming(flac: bytes, samples: int) -> bytes:
    """A FLAC whose header promises that many samples."""
    field = int.from_bytes(flac[18:26], "big")
    return flac[:18] + (field >> 36 << 36 | samples).to_bytes(8, "big") + flac[26:]


def video_only() -> bytes:
    whole = encode(numbered(1), "mkv")
    return whole.replace(b"A_AAC", b"A_ZZZ")


TONES = numbered(10)
REFUSED: dict[str, tuple[Callable[[], bytes], str]] = {
    "no bytes": (lambda: b"", "empty_audio"),
    "one byte": (lambda: b"x", "empty_audio"),
    "a header alone": (lambda: wav(TONES[:0]), "empty_audio"),
    "one sample": (lambda: wav(TONES[1:2]), "empty_audio"),
    "digital silence": (lambda: wav(silence(60)), "empty_audio"),
    "all samples NaN": (lambda: wav(np.full(16_000, np.nan, np.float32), form=3), "empty_audio"),
    "MP4 cut before its index": (lambda: encode(TONES, "mp4")[:20_000], "decode_failed"),
    "MP4 without its index": (lambda: encode(TONES, "m4a")[:-3000], "decode_failed"),
    "tag longer than the file": (lambda: id3(100, 20 << 20) + encode(TONES, "mp3"), "decode_failed"),
    "no channels": (lambda: wav_header(16_000, 0, 96_000) + RANDOM(96_000), "decode_failed"),
    "65,535 channels": (lambda: wav_header(16_000, 65_535, 96_000) + RANDOM(960_000), "decode_failed"),
    "33 channels": (lambda: wav(np.stack([TONES[:16_000]] * 33)), "decode_failed"),
    "no rate": (lambda: wav_header(0, 1, 96_000) + RANDOM(96_000), "decode_failed"),
    "1 Hz": (lambda: wav_header(1, 1, 96_000) + RANDOM(96_000), "decode_failed"),
    "4 GHz": (lambda: wav_header(4_000_000_000, 1, 96_000) + RANDOM(96_000), "decode_failed"),
    "an unknown encoding": (lambda: wav(TONES, form=0xFFFF), "unsupported_format"),
    "samples of 7 bits": (lambda: wav(TONES, bits=7), "unsupported_format"),
    "an unknown codec": (video_only, "unsupported_format"),
    "HTML": (lambda: b"<!doctype html><html>" + b"<p>hello</p>" * 500, "unsupported_format"),
    "a program": (lambda: b"MZ" + RANDOM(5000), "unsupported_format"),
    "a zip": (lambda: b"PK\3\4" + RANDOM(5000), "unsupported_format"),
    "a PDF": (lambda: b"%PDF-1.4\n" + RANDOM(5000), "unsupported_format"),
    "text": (lambda: b"hello world " * 400, "unsupported_format"),
    "noise without a form": (lambda: RANDOM(200_000), "unsupported_format"),
    "zeros": (lambda: bytes(100_000), "unsupported_format"),
}
COMPLETED: dict[str, tuple[Callable[[], bytes], float]] = {
    "MP3 cut in half": (lambda: encode(TONES, "mp3")[:40_000], 4.9),
    "junk inside an MP3": (lambda: encode(TONES, "mp3")[:40_000] + RANDOM(5000) + encode(TONES, "mp3")[40_000:], 10),
    "junk inside a FLAC": (lambda: encode(TONES, "flac")[:60_000] + RANDOM(5000) + encode(TONES, "flac")[60_000:], 10),
    "a tag of 20 MB": (lambda: id3(20 << 20, 20 << 20) + encode(TONES, "mp3"), 10),
    "length 0xFFFFFFF0": (lambda: wav(TONES, data_bytes=0xFFFFFFF0), 10),
    "length 0": (lambda: wav(TONES, data_bytes=0), 10),
    "a length that understates": (lambda: wav(TONES, data_bytes=100), 10),
    "an odd byte": (lambda: wav(TONES) + b"\1", 10),
    "8 channels": (lambda: wav(np.stack([TONES] * 8)), 10),
    "32 channels": (lambda: wav(np.stack([TONES[:32_000]] * 32)), 2),
    "192 kHz": (lambda: wav(noise(2, rate_hz=192_000), 192_000), 2),
    "NaN, infinity and 1e30": (lambda: spoilt(TONES, np.nan, np.inf, -np.inf, 1e30), 10),
    "FLAC claiming 2^36 samples": (lambda: claiming(encode(TONES, "flac"), (1 << 36) - 1), 10),
    "60 tracks": (lambda: encode(TONES[:48_000], "mkv", tracks=60), 3),
    "MP3 with a zip behind it": (lambda: encode(TONES, "mp3") + b"PK\3\4" + RANDOM(3000) + b"<html></html>", 10),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_recording_is_refused_with_its_reason(preparer: ChildPreparer, tmp_path: Path, name: str) -> None:
    make, reason = REFUSED[name]
    path = tmp_path / "upload.mp3"
    path.write_bytes(make())
    assert outcome(preparer, path) == reason


@pytest.mark.parametrize("name", COMPLETED)
def test_what_is_damaged_gives_the_seconds_that_are_there(preparer: ChildPreparer, tmp_path: Path, name: str) -> None:
    make, seconds = COMPLETED[name]
    path = tmp_path / "upload.mp3"
    path.write_bytes(make())
    end = outcome(preparer, path)
    assert isinstance(end, PreparedEnd)
    assert end.decoded_s == pytest.approx(seconds, abs=0.3)


def test_damage_is_told(preparer: ChildPreparer, tmp_path: Path) -> None:
    path = tmp_path / "upload"
    path.write_bytes(COMPLETED["junk inside an MP3"][0]())
    assert outcome(preparer, path).damaged_packets > 0  # type: ignore[union-attr]
    path.write_bytes(COMPLETED["MP3 cut in half"][0]())
    assert outcome(preparer, path).warnings == ("shorter_than_claimed",)  # type: ignore[union-attr]
    path.write_bytes(COMPLETED["a length that understates"][0]())
    assert outcome(preparer, path).warnings == ("length_field_ignored",)  # type: ignore[union-attr]


@pytest.mark.parametrize("name", ["upload.mp3", "upload.m3u8", "upload.wav"])
def test_no_other_file_or_address_is_opened(preparer: ChildPreparer, tmp_path: Path, name: str) -> None:
    canary = tmp_path / "canary.wav"
    canary.write_bytes(wav(TONES))
    path = tmp_path / name
    with socket.create_server(("127.0.0.1", 0)) as honeypot:
        port = honeypot.getsockname()[1]
        honeypot.setblocking(False)
        for target in (f"file://{canary}", str(canary), "canary.wav", f"http://127.0.0.1:{port}/x.ts"):
            for playlist in _playlists(target):
                path.write_bytes(playlist)
                assert outcome(preparer, path) == "unsupported_format"
        with pytest.raises(BlockingIOError):
            honeypot.accept()


def _playlists(target: str) -> Iterator[bytes]:
    yield f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{target}\n#EXT-X-ENDLIST\n".encode()
    yield f"ffconcat version 1.0\nfile '{target}'\n".encode()
    yield f'<svg xmlns="http://www.w3.org/2000/svg"><image href="{target}"/></svg>'.encode()
    yield f'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><BaseURL>{target}</BaseURL></MPD>'.encode()
    yield b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n" + target.encode()


def test_a_small_file_that_unpacks_without_end_is_cut_at_the_limit(preparer: ChildPreparer, tmp_path: Path) -> None:
    """FLAC keeps a constant stretch of any length in a few bytes."""
    path = tmp_path / "bomb.flac"
    path.write_bytes(encode(silence(600) + 0.5, "flac"))
    assert path.stat().st_size < 1 << 20
    five_minutes = MediaLimits(max_duration_s=300, max_bytes=1 << 30)
    assert outcome(preparer, path, five_minutes) == "duration_exceeds_limit"


def test_a_video_without_sound_is_refused(preparer: ChildPreparer, tmp_path: Path) -> None:
    path = tmp_path / "silent.mp4"
    with av.open(str(path), "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(5):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), number, np.uint8), format="rgb24")
            container.mux(stream.encode(frame.reformat(format="yuv420p")))
        container.mux(stream.encode(None))
    assert outcome(preparer, path) == "unsupported_format"


def test_the_decoder_of_a_video_is_never_opened(tmp_path: Path) -> None:
    path = tmp_path / "film.avi"
    path.write_bytes(encode(numbered(2), "avi"))
    order = Order(1, 60, split_channels=False, probe_only=True, cpu_s=10, memory_bytes=1 << 29)
    with path.open("rb") as file, av.logging.Capture(local=False) as logs:
        av.logging.set_level(av.logging.VERBOSE)
        try:
            frames: list[object] = []
            demux.decode(os.dup(file.fileno()), order, frames.append)
        finally:
            av.logging.set_level(None)
    assert len(frames) == 1
    assert any("not on whitelist" in text for _, _, text in logs)


def test_random_damage_anywhere_ends_in_order(preparer: ChildPreparer, tmp_path: Path) -> None:
    random = np.random.default_rng(11)
    path = tmp_path / "damaged"
    for extension in ("mp3", "wav", "m4a", "ogg", "flac", "webm", "avi", "wmv"):
        whole = bytearray(encode(TONES[:48_000], extension))
        for place in random.integers(0, len(whole), 40):
            whole[place] = random.integers(0, 256)
        path.write_bytes(bytes(whole))
        end = outcome(preparer, path)
        assert isinstance(end, PreparedEnd) or end in {"decode_failed", "unsupported_format", "empty_audio"}
