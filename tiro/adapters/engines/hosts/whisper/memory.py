"""How does a process keep the memory that every encoder layer asks for and lets go? By telling glibc, before the model is loaded."""

from __future__ import annotations

import ctypes

_M_TRIM_THRESHOLD = -1
_M_MMAP_THRESHOLD = -3
_M_ARENA_MAX = -8
_NEVER = 2**31 - 1


def keep_large_pieces() -> bool:
    """Whether it was told; elsewhere than on glibc it is left out.

    The attention of one layer over 30 s takes 9 MB per head: more than glibc ever keeps, so that each layer would have it mapped,
    cleared page by page and unmapped. One arena, since the others cannot hold pieces of that size.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    options = ((_M_ARENA_MAX, 1), (_M_MMAP_THRESHOLD, _NEVER), (_M_TRIM_THRESHOLD, _NEVER))
    told = [mallopt(option, value) for option, value in options]
    return all(told)
