"""Is a film in an MP4 refused where films are, and nothing else: no cover of an album, no sound in an MP4, no webm?"""

from __future__ import annotations

import io
import threading
from collections.abc import Callable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import msgspec
import numpy as np
import pytest

from tests.media_builder import FORMATS, encode, numbered
from tiro.adapters.media.preparer import ChildPreparer
from tiro.model.errors import MediaRefused
from tiro.model.media import MediaLimits, MediaProbe
from tiro.ports import Preparer

ANY = MediaLimits(max_duration_s=600, max_bytes=1 << 30)
NO_FILMS = msgspec.structs.replace(ANY, moving_pictures=False)
FILMS = {"mp4", "mov"}
Look = Callable[[Preparer, Path, MediaLimits], MediaProbe]


@pytest.fixture(scope="module")
def preparer() -> Iterator[Preparer]:
    made = ChildPreparer(span_s=60, vad="energy")
    yield made
    made.close()


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    return tmp_path / "recording"


def _probe(preparer: Preparer, path: Path, limits: MediaLimits) -> MediaProbe:
    return preparer.probe(path, limits, threading.Event())


def _glance(preparer: Preparer, path: Path, limits: MediaLimits) -> MediaProbe:
    return preparer.glance(path, limits, threading.Event())


def _prepare(preparer: Preparer, path: Path, limits: MediaLimits) -> MediaProbe:
    probe, *_ = preparer.prepare(path, limits, split_channels=False, stop=threading.Event())
    assert isinstance(probe, MediaProbe)
    return probe


def _prepare_each(preparer: Preparer, path: Path, limits: MediaLimits) -> MediaProbe:
    (file,) = preparer.prepare_each([path], limits, threading.Event())
    if file.error is not None:
        raise file.error
    assert file.probe is not None
    return file.probe


LOOKS = [_probe, _glance, _prepare, _prepare_each]


def with_cover(seconds: int) -> bytes:
    """Sound in an MP4 whose only picture is attached."""
    out = io.BytesIO()
    with av.open(out, "w", format="mp4") as container:
        cover = container.add_stream("mjpeg", rate=1)
        cover.width, cover.height, cover.pix_fmt = 64, 48, "yuvj420p"
        cover.disposition = av.stream.Disposition.attached_pic
        sound = container.add_stream("aac", rate=16_000, layout="mono")
        picture = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 90, np.uint8), format="rgb24")
        frame = picture.reformat(format=cover.pix_fmt)
        frame.pts, frame.time_base = 0, Fraction(1, 1)
        container.mux([*cover.encode(frame), *cover.encode(None)])
        heard = av.AudioFrame.from_ndarray(np.atleast_2d(numbered(seconds)), format="fltp", layout="mono")
        heard.sample_rate = 16_000
        container.mux([*sound.encode(heard), *sound.encode(None)])
    return out.getvalue()


@pytest.mark.promise("T5")
@pytest.mark.parametrize("look", LOOKS)
@pytest.mark.parametrize("extension", sorted(FILMS))
def test_a_film_in_an_mp4_or_mov_is_refused(preparer: Preparer, recording: Path, look: Look, extension: str) -> None:
    recording.write_bytes(encode(numbered(3), extension))
    with pytest.raises(MediaRefused) as refused:
        look(preparer, recording, NO_FILMS)
    assert refused.value.reason == "unsupported_format"
    assert look(preparer, recording, ANY).has_video


@pytest.mark.promise("T5")
@pytest.mark.parametrize("extension", sorted(FORMATS.keys() - FILMS))
def test_every_other_format_is_taken_with_its_pictures(preparer: Preparer, recording: Path, extension: str) -> None:
    recording.write_bytes(encode(numbered(3), extension))
    assert _prepare(preparer, recording, NO_FILMS).has_video == (FORMATS[extension].video is not None)


@pytest.mark.promise("T5")
@pytest.mark.parametrize("look", LOOKS)
def test_an_attached_picture_does_not_move(preparer: Preparer, recording: Path, look: Look) -> None:
    recording.write_bytes(with_cover(3))
    probe = look(preparer, recording, NO_FILMS)
    assert (probe.container, probe.has_video) == ("mov", False)


@pytest.mark.promise("T5")
@pytest.mark.parametrize("name", ["talk.mp4", "talk.mp3", "talk"])
def test_sound_alone_in_an_mp4_is_taken_under_any_name(preparer: Preparer, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(encode(numbered(3), "m4a"))
    assert _prepare(preparer, tmp_path / name, NO_FILMS).container == "mov"


@pytest.mark.promise("T5")
def test_a_film_among_several_files_costs_no_other(preparer: Preparer, tmp_path: Path) -> None:
    paths = [tmp_path / str(number) for number in range(3)]
    for path, extension in zip(paths, ("m4a", "mp4", "webm"), strict=True):
        path.write_bytes(encode(numbered(2), extension))
    files = list(preparer.prepare_each(paths, NO_FILMS, threading.Event()))
    assert [file.error is None for file in files] == [True, False, True]
