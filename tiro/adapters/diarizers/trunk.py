"""How is a window's sound looked at once for all who speak in it? pyannote asks its embedding network about each speaker apart.

In WeSpeaker's ResNets only the last layers know who is asked about: they weigh frames that all layers before (the trunk, nearly all of the
work) made from the sound alone. So the trunk runs once per window, over the part of it in which anybody speaks, and not at all where
nobody does. The numbers are pyannote's: what is left out is weighed with zero there.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import torch
from torch.nn.functional import interpolate

_log = logging.getLogger(__name__)
_GRID = 16
"""Frames: parts of windows begin and end on it, so that there are few sizes; each new one costs the network's library some work."""
_WINDOWS_PER_THREAD = 4
_SEGMENTED_AT_ONCE = 4
"""Windows: on a CPU the quickest, by a third against the usual 32; their intermediate results stay in its caches."""


def share(pipeline: Any) -> None:
    """The pipeline, in place, runs its trunk once per window. One whose embedding is not known stays as it is, and the log says so."""
    stock = getattr(pipeline, "_embedding", None)
    if stock is None or not _is_known(stock):
        _log.warning("pyannote runs as it comes: %s is no embedding whose work can be shared", type(stock).__name__)
        return
    threads = torch.get_num_threads() if stock.device.type == "cpu" else 0
    speakers = len(pipeline._segmentation.model.specifications.classes)  # noqa: SLF001 - pyannote has no public name for it
    if threads:
        pipeline.segmentation_batch_size = _SEGMENTED_AT_ONCE
        pipeline.embedding_batch_size = speakers * threads * _WINDOWS_PER_THREAD
    else:
        # the speakers of a window stay in one batch
        pipeline.embedding_batch_size = speakers * max(1, pipeline.embedding_batch_size // speakers)
    pipeline._embedding = OneTrunk(stock, threads)  # noqa: SLF001 - nor for this


def _is_known(stock: Any) -> bool:
    from pyannote.audio.models.embedding.wespeaker import BaseWeSpeakerResNet
    from pyannote.audio.pipelines.speaker_verification import PyannoteAudioPretrainedSpeakerEmbedding

    if not isinstance(stock, PyannoteAudioPretrainedSpeakerEmbedding):
        return False
    model = stock.model_
    return (
        isinstance(model, BaseWeSpeakerResNet)
        and type(model).forward is BaseWeSpeakerResNet.forward
        and not model.fbank_only
    )


class OneTrunk:
    """Stands where pyannote's embedding stood. On a CPU each of `threads` has a window; without threads a batch goes in whole."""

    def __init__(self, stock: Any, threads: int) -> None:
        self._stock = stock
        self._model = stock.model_
        self._stride, self._reach = _sight(self._model.resnet)
        self._silent = self._of_nobody()
        self._threads = (
            ThreadPoolExecutor(threads, initializer=torch.set_num_threads, initargs=(1,)) if threads else None
        )

    def __getattr__(self, name: str) -> Any:
        """What pyannote asks of it besides: sample rate, dimension, metric, device."""
        return getattr(self._stock, name)

    def __call__(self, waveforms: Any, masks: Any = None) -> Any:
        """(n, dimension) of waveforms (n, 1, samples) and who speaks when in them (n, frames)."""
        if masks is None:
            return self._stock(waveforms)
        windows = _same(waveforms)
        spoken = [rows for rows in ([row for row in rows if masks[row].any()] for rows in windows) if rows]
        found = self._silent.repeat(len(waveforms), 1)
        parts = [[rows] for rows in spoken] if self._threads else [spoken] if spoken else []
        run = self._threads.map if self._threads else map
        for part, embeddings in zip(parts, run(lambda part: self._part(waveforms, masks, part), parts), strict=True):
            found[[row for rows in part for row in rows]] = embeddings
        return found.cpu().numpy()

    def _part(self, waveforms: Any, masks: Any, windows: Sequence[Sequence[int]]) -> Any:
        """Of these windows, each given as its rows: one embedding per row."""
        with torch.inference_mode():
            features = self._model.compute_fbank(waveforms[[rows[0] for rows in windows]].to(self._stock.device))
            total = self._model.resnet.num_frames(features.shape[1])
            rows = [row for rows in windows for row in rows]
            weights = interpolate(masks[rows].to(self._stock.device)[:, None], size=total, mode="nearest")[:, 0]
            begin, end = self._extent(weights)
            frames = self._model.resnet.forward_frames(features[:, begin * self._stride : end * self._stride])
            owners = [place for place, rows in enumerate(windows) for _ in rows]
            return self._model.forward_embedding(frames[owners], weights[:, begin:end])

    def _extent(self, weights: Any) -> tuple[int, int]:
        """Frames from the first to the last that count, and what the network sees around them."""
        counts = weights.any(dim=0).nonzero()
        if not len(counts):
            return 0, _GRID
        first, last = int(counts[0]) - self._reach, int(counts[-1]) + 1 + self._reach
        return max(0, first // _GRID * _GRID), min(weights.shape[1], -(-last // _GRID) * _GRID)

    def _of_nobody(self) -> Any:
        """(1, dimension): what pyannote makes of a speaker who says nothing, whatever the sound."""
        with torch.inference_mode():
            features = torch.zeros(1, _GRID * self._stride, self._model.hparams.num_mel_bins, device=self._stock.device)
            frames = self._model.resnet.forward_frames(features)
            return self._model.forward_embedding(frames, torch.zeros(1, frames.shape[-1], device=self._stock.device))


def _sight(resnet: Any) -> tuple[int, int]:
    """Features from one frame to the next, and how many frames on either side have a part in one."""
    stride, features = 1, 0
    for layer in resnet.modules():
        # those of one feature are the shortcuts beside the others
        if isinstance(layer, torch.nn.Conv2d) and layer.kernel_size[1] > 1:
            features += (layer.kernel_size[1] - 1) // 2 * stride
            stride *= layer.stride[1]
    return stride, -(-features // stride)


def _same(waveforms: Any) -> list[list[int]]:
    """Rows that follow each other with the same sound."""
    windows: list[list[int]] = []
    for row, waveform in enumerate(waveforms):
        if windows and torch.equal(waveform, waveforms[windows[-1][0]]):
            windows[-1].append(row)
        else:
            windows.append([row])
    return windows
