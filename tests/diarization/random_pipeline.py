"""A pyannote pipeline with random weights, written to a folder as a downloaded one lies there. It runs; it hears what it was taught."""

from __future__ import annotations

from collections.abc import Sequence
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


def write_pipeline(folder: Path, config: str, layers: int = 2) -> Path:
    """The folder, with `config.yaml`, `segmentation/`, `embedding/` and `plda/`."""
    import torch
    from pyannote.audio.core.task import Problem, Resolution, Specifications
    from pyannote.audio.models.embedding import WeSpeakerResNet34
    from pyannote.audio.models.segmentation import PyanNet

    torch.manual_seed(1)
    segmentation = PyanNet(lstm={"num_layers": layers})
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


def teach(folder: Path, samples: np.ndarray, truth: Sequence[tuple[float, float, int]]) -> None:
    """The pipeline in the folder tells these voices apart, as well as random features allow: its last layers are fitted to the truth."""
    import torch
    from pyannote.audio import Model

    chunks = torch.from_numpy(samples).unfold(0, 160_000, 64_000)[:, None]
    segmentation, embedding = (Model.from_pretrained(folder / name).eval() for name in ("segmentation", "embedding"))
    heard: list[Any] = []
    segmentation.classifier.register_forward_pre_hook(lambda _, seen: heard.append(seen[0]))
    with torch.inference_mode():
        frames = segmentation(chunks).shape[1]
        speaks = torch.from_numpy(np.stack([_speaks(4.0 * at, frames, truth) for at in range(len(chunks))]))
        features = torch.cat([heard[0], torch.ones(*heard[0].shape[:2], 1)], dim=2).flatten(0, 1).double()
        wanted = torch.nn.functional.one_hot(_classes(speaks).flatten(), 7).double()
        fitted = torch.linalg.lstsq(features, wanted, driver="gelsd").solution
        segmentation.classifier.weight.copy_(fitted[:-1].T)
        segmentation.classifier.bias.copy_(fitted[-1])
        # random embeddings lie side by side; seen from their middle they point to all sides
        alone = [chunk for chunk in range(len(chunks)) if speaks[chunk].any()]
        embeddings = embedding(chunks[alone], weights=speaks[alone].float().permute(0, 2, 1))
        embedding.resnet.seg_1.bias.sub_(embeddings[speaks[alone].any(dim=1)].mean(dim=0))
    for name, model in (("segmentation", segmentation), ("embedding", embedding)):
        _save(model, folder / name / "pytorch_model.bin")


def _speaks(at_s: float, frames: int, truth: Sequence[tuple[float, float, int]]) -> np.ndarray:
    """(frames, 3): when the first, the second and the third to speak in these ten seconds do."""
    inside = [turn for turn in truth if turn[0] < at_s + 10 and turn[1] > at_s]
    order = list(dict.fromkeys(voice for _, _, voice in inside))[:3]
    times = at_s + np.arange(frames) * 10 / frames
    speaks = np.zeros((frames, 3), bool)
    for start_s, end_s, voice in inside:
        if voice in order:
            speaks[:, order.index(voice)] |= (start_s <= times) & (times < end_s)
    return speaks


def _classes(speaks: Any) -> Any:
    """One of seven: nobody, one of three, two of three; of all three at once, the first two."""
    one, two, three = speaks.long().unbind(dim=-1)
    alone = one + 2 * two + 3 * three
    at_once = one + two + three
    return alone.where(at_once < 2, alone + 1).where(at_once < 3, 4)


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
    path.parent.mkdir(parents=True, exist_ok=True)
    torch.save(checkpoint, path)


def _write_plda(folder: Path) -> None:
    folder.mkdir()
    chance = np.random.default_rng(1)
    np.savez(
        folder / "xvec_transform.npz", mean1=np.zeros(256), mean2=np.zeros(128), lda=chance.normal(size=(256, 128))
    )
    np.savez(folder / "plda.npz", mu=np.zeros(128), tr=np.eye(128), psi=np.linspace(2, 1, 128))
