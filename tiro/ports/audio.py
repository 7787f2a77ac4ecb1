"""How audio travels between ports."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
"""Mono audio at `SAMPLE_RATE_HZ`, -1..1."""
