"""A whole pyannote pipeline with random weights, written to a folder as a downloaded one lies there. It hears nothing, but it runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

COMMUNITY_1 = """
pipeline:
  name: pyannote.audio.pipelines.SpeakerDiarization
  params:
    clustering: VBxClustering
    segmentation: $model/segmentation
    segmentation_batch_size: 4
    segmentation_step: 0.5
    embedding: $model/embedding
    embedding_batch_size: 4
    plda: $model/plda
params:
  clustering: {threshold: 0.6, Fa: 0.07, Fb: 0.8}
  segmentation: {min_duration_off: 0.0}
"""
VERSION_3_1 = """
version: 3.1.0
pipeline:
  name: pyannote.audio.pipelines.SpeakerDiarization
  params:
    clustering: AgglomerativeClustering
    segmentation: pyannote/segmentation
    segmentation_step: 0.5
    embedding: pyannote/embedding
    embedding_exclude_overlap: true
params:
  clustering: {method: centroid, min_cluster_size: 12, threshold: 0.7045654963945799}
  segmentation: {min_duration_off: 0.0}
"""


def write_pipeline(folder: Path, config: str) -> Path:
    """The folder, with `config.yaml`, `segmentation/`, `embedding/` and `plda/`."""
    import torch
    from pyannote.audio.core.task import Problem, Resolution, Specifications
    from pyannote.audio.models.embedding import WeSpeakerResNet34
    from pyannote.audio.models.segmentation import PyanNet

    torch.manual_seed(1)
    segmentation = PyanNet()
    segmentation.specifications = Specifications(
        problem=Problem.MONO_LABEL_CLASSIFICATION,
        resolution=Resolution.FRAME,
        duration=10.0,
        classes=["one", "two", "three"],
        powerset_max_classes=2,
        permutation_invariant=True,
    )
    embedding = WeSpeakerResNet34()
    embedding.specifications = Specifications(
        problem=Problem.REPRESENTATION, resolution=Resolution.CHUNK, duration=5.0, classes=["one", "two"]
    )
    for name, model in (("segmentation", segmentation), ("embedding", embedding)):
        model.build()
        model.setup()
        _save(model, folder / name / "pytorch_model.bin")
    _write_plda(folder / "plda")
    (folder / "config.yaml").write_text(config)
    return folder


def _save(model: Any, path: Path) -> None:
    import lightning
    import torch
    from pyannote.audio.core.model import Introspection

    checkpoint = {
        "state_dict": model.state_dict(),
        "hyper_parameters": dict(model.hparams),
        "pytorch-lightning_version": lightning.__version__,
    }
    model.on_save_checkpoint(checkpoint)
    # as older versions of pyannote.audio left them there
    checkpoint["pyannote.audio"]["versions"]["torch"] = torch.__version__
    checkpoint["pyannote.audio"]["introspection"] = Introspection()
    path.parent.mkdir(parents=True)
    torch.save(checkpoint, path)


def _write_plda(folder: Path) -> None:
    folder.mkdir()
    chance = np.random.default_rng(1)
    np.savez(
        folder / "xvec_transform.npz", mean1=np.zeros(256), mean2=np.zeros(128), lda=chance.normal(size=(256, 128))
    )
    np.savez(folder / "plda.npz", mu=np.zeros(128), tr=np.eye(128), psi=np.linspace(2, 1, 128))
