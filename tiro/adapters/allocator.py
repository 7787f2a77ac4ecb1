"""When does a process give large pieces of memory back? As it lets them go, or never: glibc is told what its process is for."""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_LARGE_BYTES = 4 << 20
"""A span is larger; what a voice detector passes from layer to layer is smaller, and would be mapped a hundred times a second."""
_NEVER = 2**31 - 1


def give_back_early() -> bool:
    """For the whole process, before it has threads, whose heaps would stay; False where the C library knows no such wish.

    glibc raises the size from which it maps pieces by themselves with each that is let go, so sound of spans would end up in as many
    heaps as there are threads, and stay there.
    """
    return _wish(_LARGE_BYTES)


def keep_large_pieces() -> bool:
    """The opposite, for a process that encodes, before its model is loaded; False as above.

    The attention of one layer over 30 s takes 9 MB per head: more than glibc ever keeps, so that each layer would have it mapped,
    cleared page by page and unmapped.
    """
    return _wish(_NEVER)


def _wish(large_bytes: int) -> bool:
    """One arena: others cannot hold the largest pieces, and each keeps gaps of its own between what is small and stays."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    wishes = ((_ARENA_MAX, 1), (_MMAP_THRESHOLD, large_bytes), (_TRIM_THRESHOLD, large_bytes))
    taken = [bool(mallopt(wish, value)) for wish, value in wishes]
    return all(taken)
