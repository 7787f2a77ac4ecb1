"""How does a process that holds megabytes of sound for a moment give them back? Large pieces by themselves, as they are let go."""

from __future__ import annotations

import ctypes

_TRIM_THRESHOLD, _MMAP_THRESHOLD, _ARENA_MAX = -1, -3, -8
_LARGE_BYTES = 4 << 20
"""A span is larger; what a voice detector passes from layer to layer is smaller, and would be mapped a hundred times a second."""
_ARENAS = 2


def give_back_early() -> bool:
    """For the whole process, from here on; False where the C library knows no such wish.

    glibc raises the size from which it maps pieces by themselves with each that is let go, so sound of spans would end up in as many
    heaps as there are threads, and stay there.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    wishes = ((_MMAP_THRESHOLD, _LARGE_BYTES), (_TRIM_THRESHOLD, _LARGE_BYTES), (_ARENA_MAX, _ARENAS))
    taken = [bool(mallopt(wish, value)) for wish, value in wishes]
    return all(taken)
