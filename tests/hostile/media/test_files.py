"""Recordings from enemies and from broken machines: each ends in a word of the API or in the seconds that are really there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from tests.hostile.media.cases import COMPLETED, REFUSED, Completed, Refused, params
from tests.hostile.media.forged import TEXT, TONES, page, pdf
from tests.hostile.media.outcomes import glance, outcome, told
from tests.media_builder import encode
from tiro.adapters.media.preparer import ChildPreparer
from tiro.ports import PreparedEnd

Seen = Callable[[str], None]


@pytest.mark.parametrize("case", params(REFUSED))
def test_what_is_no_recording_is_refused_with_its_reason(
    preparer: ChildPreparer, upload: Path, case: Refused, seen: Seen
) -> None:
    upload.write_bytes(case.make())
    at_once, at_last = glance(preparer, upload), outcome(preparer, upload)
    seen(f"{told(at_last)}, {'late' if at_once is None else 'at once'}")
    assert at_last == case.reason
    assert at_once == (None if case.late else case.reason)


@pytest.mark.parametrize("case", params(COMPLETED))
def test_what_is_damaged_gives_the_seconds_that_are_there(
    preparer: ChildPreparer, upload: Path, case: Completed, seen: Seen
) -> None:
    upload.write_bytes(case.make())
    end = outcome(preparer, upload)
    seen(told(end))
    assert isinstance(end, PreparedEnd)
    assert end.decoded_s == pytest.approx(case.seconds, abs=0.3)
    counted = (f"damaged_packets:{end.damaged_packets}",) if case.damaged else ()
    assert end.warnings == case.warnings + counted
    assert (end.damaged_packets > 0) == case.damaged
    assert glance(preparer, upload) is None


@pytest.mark.hostile_input(22, "text, HTML and PDF of 2 bytes to 1 MB", "unsupported_format, at once")
def test_text_of_any_length_is_not_taken_for_a_recording(preparer: ChildPreparer, upload: Path, seen: Seen) -> None:
    """However short: an empty recording is something else."""
    for size in (2, 3, 4, 5, 8, 11, 12, 13, 60, 128, 129, 1000, 100_000, 1 << 20):
        for content in ((TEXT * (size // len(TEXT) + 1))[:size], page(size), pdf(size)):
            upload.write_bytes(content)
            assert glance(preparer, upload) == "unsupported_format", content[:20]
    seen("unsupported_format, at once")


def test_random_damage_anywhere_ends_in_order(preparer: ChildPreparer, upload: Path) -> None:
    random = np.random.default_rng(11)
    for extension in ("mp3", "wav", "m4a", "ogg", "flac", "webm", "avi", "wmv"):
        whole = bytearray(encode(TONES[:48_000], extension))
        for place in random.integers(0, len(whole), 40):
            whole[place] = random.integers(0, 256)
        upload.write_bytes(bytes(whole))
        end = outcome(preparer, upload)
        assert isinstance(end, PreparedEnd) or end in {"decode_failed", "unsupported_format", "empty_audio"}
