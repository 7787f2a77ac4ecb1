"""How many voices are there, and what is each like? Windows of speech are clustered, as finely as the data can tell.

Distances are counted in standard deviations of one voice from moment to moment (the within-class covariance of Hatch and others, 2006),
estimated from windows that follow each other. Clustering after Ward (1963).
"""

from __future__ import annotations

import threading

import numpy as np

from tiro.adapters.diarizers.features import Labels, Mask, Matrix
from tiro.adapters.diarizers.turns import go_on

MAX_VOICES = 8
MAX_WINDOWS = 1_200
"""A longer recording is clustered by a sample of its windows, evenly taken; the rest is assigned."""

_APART = 7.5
"""Two voices are at least so many standard deviations apart."""
_UNSURE = 60.0
"""How much further small clusters must be apart, over the harmonic number of their windows."""
_SHARP = 5.0
"""... and so many times the spread along the line between them."""
_MIN_WINDOWS = 3
"""Fewer windows than this (about 3 s) are nobody's."""
_START_CLUSTERS = 16

# of 19 cepstra and the log pitch, in windows of 1.5 s of clean speech
_PRIOR = np.array(
    (
        *(6.8, 0.93, 1.65, 0.54, 0.30, 0.18, 0.12, 0.12, 0.11, 0.07),
        *(0.04, 0.04, 0.036, 0.035, 0.018, 0.024, 0.016, 0.010, 0.009, 0.005),
    )
)
_PRIOR_WEIGHT = 20.0
_TRIMMED = 0.1
"""The share of neighbours most unlike each other that is left out: there the speaker changes."""


def whitening(windows: Matrix, follows: Labels) -> Matrix:
    """(d, d): maps windows (n, d) to where one voice varies by 1 in every direction. `follows`: (m, 2) places of two of one voice."""
    change = windows[follows[:, 1]] - windows[follows[:, 0]]
    size = (change**2 / _PRIOR).sum(axis=1)
    change = change[np.argsort(size, kind="stable")[: int(np.ceil(len(change) * (1 - _TRIMMED)))]]
    seen = change.T @ change / 2
    seen = 0.8 * seen + 0.2 * np.diag(np.diag(seen))
    covariance = (seen + _PRIOR_WEIGHT * np.diag(_PRIOR)) / (len(change) + _PRIOR_WEIGHT)
    root: Matrix = np.linalg.cholesky(np.linalg.inv(covariance))
    return root


def voices_of(windows: Matrix, stop: threading.Event) -> Matrix:
    """(k, d): the centres of 1 to `MAX_VOICES` voices in whitened windows (n, d), n >= 1. Raises Transient `stopped`."""
    sample = windows[:: -(-len(windows) // MAX_WINDOWS)]
    clusters = [sample[members] for members in _ward(sample, stop)]
    while len(clusters) > 1:
        go_on(stop)
        gaps = _gaps(clusters)
        first, second = np.unravel_index(int(np.argmin(gaps)), gaps.shape)
        if gaps[first, second] >= 1 and len(clusters) <= MAX_VOICES:
            break
        clusters[min(first, second)] = np.concatenate([clusters[first], clusters[second]])
        del clusters[max(first, second)]
    return np.stack([cluster.mean(axis=0) for cluster in clusters])


def nearest(windows: Matrix, centres: Matrix) -> Matrix:
    """(n, k): squared distances."""
    squares: Matrix = (windows**2).sum(axis=1)[:, None] + (centres**2).sum(axis=1) - 2 * windows @ centres.T
    return np.maximum(squares, 0)


def _ward(points: Matrix, stop: threading.Event) -> list[Mask]:
    """Members of at most `_START_CLUSTERS` clusters."""
    count = len(points)
    sizes = np.ones(count)
    costs = nearest(points, points) / 2
    np.fill_diagonal(costs, np.inf)
    labels = np.arange(count)
    for _ in range(count - _START_CLUSTERS):
        go_on(stop)
        keep, gone = sorted(np.unravel_index(int(np.argmin(costs)), costs.shape))
        total = sizes + sizes[keep] + sizes[gone]
        merged = (sizes + sizes[keep]) * costs[keep] + (sizes + sizes[gone]) * costs[gone] - sizes * costs[keep, gone]
        merged = merged / total
        sizes[keep] += sizes[gone]
        merged[[keep, gone]] = np.inf
        costs[keep], costs[:, keep] = merged, merged
        costs[gone], costs[:, gone] = np.inf, np.inf
        labels[labels == labels[gone]] = labels[keep]
    return [labels == label for label in np.unique(labels)]


def _gaps(clusters: list[Matrix]) -> Matrix:
    """How far each two are apart, as a ratio to what two voices must be; below 1: one voice."""
    count = len(clusters)
    gaps = np.full((count, count), np.inf)
    for first in range(count):
        for second in range(first + 1, count):
            gaps[first, second] = _gap(clusters[first], clusters[second])
    return gaps


def _gap(one: Matrix, other: Matrix) -> float:
    between = one.mean(axis=0) - other.mean(axis=0)
    away = float(np.linalg.norm(between))
    ratio = away / float(np.sqrt(_APART**2 + _UNSURE * (1 / len(one) + 1 / len(other))))
    if min(len(one), len(other)) < _MIN_WINDOWS or ratio < 1:
        return ratio / (1 + ratio)
    spread = float(np.sqrt((np.var(one @ between) + np.var(other @ between)) / 2)) / away
    sharp = away / max(spread, 1e-9) / _SHARP
    return ratio if sharp >= 1 else ratio / (1 + ratio)
