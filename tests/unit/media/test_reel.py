"""Does sound that waits for its cut come off the reel as it was put on?"""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tiro.adapters.media.cutting import Reel
from tiro.adapters.media.vad import CHUNK_SAMPLES

_MOST = CHUNK_SAMPLES


@given(st.lists(st.tuples(st.integers(0, _MOST), st.floats(0, 1)), max_size=12))
def test_all_of_it_comes_off_in_order(steps: list[tuple[int, float]]) -> None:
    """However much is put on at once, and whatever part of it is taken."""
    reel, track, taken = Reel(), np.empty(0, np.int16), [np.empty(0, np.float32)]
    for number, (size, share) in enumerate(steps):
        pcm = np.arange(number, number + size).astype(np.int16)
        reel.put(pcm)
        track = np.concatenate([track, pcm])
        done = sum(map(len, taken))
        taken.append(reel.take(done + round(share * (len(track) - done))))
    whole = np.concatenate([*taken, reel.waiting() / np.float32(32768)])
    assert np.array_equal(whole, track / np.float32(32768))


@given(st.integers(0, 50), st.integers(0, 50))
def test_a_mix_is_the_mean_of_what_both_still_have(ours: int, theirs: int) -> None:
    """Both end at the same sample; where the other has been cut later, ours stays as it is."""
    one, other, end = Reel(), Reel(), 50
    for reel, level, left in ((one, 100, ours), (other, 300, theirs)):
        reel.put(np.full(end, level, np.int16))
        reel.take(end - left)
    one.mix(other)
    alone = max(0, ours - theirs)
    assert one.waiting().tolist() == [100] * alone + [200] * (ours - alone)
