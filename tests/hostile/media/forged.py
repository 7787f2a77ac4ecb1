"""Recordings that lie, are broken, or are none: builders of bytes, so that no opaque file need be kept."""

from __future__ import annotations

import io
import struct
import zipfile
from fractions import Fraction

import av
import numpy as np

from tests.media_builder import Sound, encode, numbered, wav, wav_header

TONES = numbered(10)
TEXT = b"It was a bright cold day in April, and the clocks were striking thirteen. "


def junk(size_bytes: int) -> bytes:
    """Random, and always the same."""
    return np.random.default_rng(7).bytes(size_bytes)


def id3(tag_bytes: int, claim: int) -> bytes:
    """A tag of that many bytes that says it had `claim`."""
    size = bytes(claim >> shift & 127 for shift in (21, 14, 7, 0))
    return b"ID3\x03\0\0" + size + bytes(tag_bytes)


def spoilt(*values: float) -> bytes:
    """Float WAV with these values among its samples."""
    sound = TONES.copy()
    for index, value in enumerate(values):
        sound[1000 + 200 * index] = value
    return wav(sound, form=3)


def claiming(flac: bytes, samples: int) -> bytes:
    """A FLAC whose header promises that many samples."""
    field = int.from_bytes(flac[18:26], "big")
    return flac[:18] + (field >> 36 << 36 | samples).to_bytes(8, "big") + flac[26:]


def noisy_wav(rate_hz: int, channels: int, size_bytes: int = 96_000) -> bytes:
    """Noise below a header that may promise the impossible."""
    return wav_header(rate_hz, channels, 96_000) + junk(size_bytes)


def with_junk(extension: str, at: int) -> bytes:
    """5,000 random bytes put in."""
    whole = encode(TONES, extension)
    return whole[:at] + junk(5000) + whole[at:]


def overwritten(extension: str, at: int) -> bytes:
    """3,000 random bytes in the place of others."""
    whole = encode(TONES, extension)
    return whole[:at] + junk(3000) + whole[at + 3000 :]


def without_index(mp4: bytes) -> bytes:
    """An MP4 whose moov box is gone: as of a camera that lost its power."""
    at = mp4.index(b"moov") - 4
    return mp4[:at] + mp4[at + int.from_bytes(mp4[at : at + 4], "big") :]


def headless_mp3(minutes: int) -> bytes:
    """An MP3 of that length whose header knows of its first minute only."""
    return encode(numbered(60), "mp3") * minutes


def unknown_codec() -> bytes:
    return encode(numbered(1), "mkv").replace(b"A_AAC", b"A_ZZZ")


def silent_film() -> bytes:
    """A video without an audio track."""
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as container:
        stream = container.add_stream("mpeg4", rate=5)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number in range(5):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), number, np.uint8), format="rgb24")
            frame = frame.reformat(format="yuv420p")
            frame.pts, frame.time_base = number, Fraction(1, 5)
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return out.getvalue()


def channels(number: int, sound: Sound = TONES) -> bytes:
    """The same sound in all of them."""
    return wav(np.stack([sound] * number))


def archive() -> bytes:
    """A real zip with a page inside."""
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as made:
        made.writestr("index.html", b"<html><script>alert(1)</script></html>" * 40)
    return out.getvalue()


def program() -> bytes:
    """The beginning of a Windows program, and what could be its code."""
    dos = b"MZ" + bytes(58) + struct.pack("<I", 64)
    return dos + b"PE\0\0" + struct.pack("<HHIIIHH", 0x8664, 1, 0, 0, 0, 240, 0x22) + junk(5000)


def page(size_bytes: int) -> bytes:
    return (b"<!doctype html><html><body>" + b"<p>hello</p>" * (size_bytes // 12))[:size_bytes]


def pdf(size_bytes: int) -> bytes:
    body = b"%PDF-1.4\n1 0 obj\n<< /Type /Catalog /Pages 2 0 R >>\nendobj\nstream\n" + junk(max(size_bytes, 100))
    return body[:size_bytes]


def lists(target: str) -> dict[str, bytes]:
    """All the kinds of text that make a media library open other files and addresses."""
    dash = (
        '<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011" type="static"><Period>'
        '<AdaptationSet mimeType="audio/mp4"><Representation id="0" bandwidth="1">'
        f"<BaseURL>{target}</BaseURL><SegmentBase/></Representation></AdaptationSet></Period></MPD>"
    )
    imf = (
        '<?xml version="1.0"?><CompositionPlaylist xmlns="http://www.smpte-ra.org/schemas/2067-3/2016">'
        f"<Id>urn:uuid:0</Id><Annotation>{target}</Annotation></CompositionPlaylist>"
    )
    return {
        "HLS": f"#EXTM3U\n#EXT-X-TARGETDURATION:10\n#EXTINF:10,\n{target}\n#EXT-X-ENDLIST\n".encode(),
        "HLS key": f'#EXTM3U\n#EXT-X-KEY:METHOD=AES-128,URI="{target}"\n#EXTINF:10,\n{target}\n'.encode(),
        "DASH": dash.encode(),
        "ffconcat": f"ffconcat version 1.0\nfile '{target}'\n".encode(),
        "SDP": b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\na="
        + target.encode(),
        "IMF": imf.encode(),
        "SVG": f'<svg xmlns="http://www.w3.org/2000/svg"><image href="{target}"/></svg>'.encode(),
        "a PLS playlist": f"[playlist]\nFile1={target}\nNumberOfEntries=1\n".encode(),
    }
