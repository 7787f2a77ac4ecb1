"""A host has grown when it keeps more than after its first batches and its largest one."""

from __future__ import annotations

import pytest

from tiro.adapters.engines.hosts.growth import Growth


def grown(*batches, ratio=1.5, more=100, settled=2):
    growth = Growth(ratio, more, settled)
    for samples, windows, rss in batches:
        growth.after(samples, windows, rss)
    return growth


@pytest.mark.parametrize(
    ("rss", "too_large"),
    [(1000, False), (1500, False), (1501, True)],
)
def test_it_may_hold_half_as_much_again(rss, too_large):
    assert grown((10, 1, 1000), (10, 1, 900), (10, 1, rss)).too_large == too_large


@pytest.mark.parametrize(("rss", "too_large"), [(200, False), (201, True)])
def test_a_small_one_may_hold_some_bytes_more(rss, too_large):
    assert grown((10, 1, 100), (10, 1, 100), (10, 1, rss)).too_large == too_large


@pytest.mark.parametrize("larger", [(11, 1), (10, 2)])
def test_a_larger_batch_than_any_before_may_need_more_and_the_same_again_may_not(larger):
    growth = grown((10, 1, 1000), (10, 1, 1000), (*larger, 9000))
    assert not growth.too_large
    growth.after(*larger, 13_501)
    assert growth.too_large


def test_what_was_accepted_is_usual():
    growth = grown((10, 1, 1000), (10, 1, 1000), (10, 1, 5000))
    growth.accept()
    assert not growth.too_large
    growth.after(10, 1, 7501)
    assert growth.too_large


def test_nothing_has_grown_before_the_first_batch():
    assert not grown().too_large
