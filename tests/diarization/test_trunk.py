"""One pass of the embedding network per window gives what pyannote's own way gives: the same numbers, counts and turns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.diarization.random_pipeline import COMMUNITY_1, VERSION_3_1, teach, write_pipeline
from tests.diarization.talk import talk
from tiro.model.media import SAMPLE_RATE_HZ

pytestmark = [
    pytest.mark.diarization,
    pytest.mark.timeout(900),
    pytest.mark.xdist_group("pyannote"),
    # other people's warnings: what is tested is what comes out
    pytest.mark.filterwarnings("ignore"),
]
SILENCE_S = (15.0, 31.0)
FRAMES = 589
"""Of a mask, as pyannote's segmentation makes them."""


@pytest.fixture(scope="module")
def spoken() -> tuple[np.ndarray, list[tuple[float, float, int]]]:
    return talk(42.0, silences=(SILENCE_S,))


@pytest.fixture(scope="module", params=[COMMUNITY_1, VERSION_3_1], ids=["community-1", "3.1"])
def folder(request: pytest.FixtureRequest, spoken: Any, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = write_pipeline(tmp_path_factory.mktemp("pipeline"), request.param)
    teach(made, *spoken)
    return made


def steps(pipeline: Any, samples: np.ndarray) -> dict[str, Any]:
    """What the pipeline makes on its way, by pyannote's names, and its two sets of turns."""
    import torch

    made: dict[str, Any] = {}

    def keep(name: str, what: Any, **more: Any) -> None:
        if "total" not in more:
            made[name] = np.array(what if isinstance(what, np.ndarray) else what.data)

    with torch.inference_mode():
        found = pipeline(
            {"waveform": torch.from_numpy(samples)[None], "sample_rate": SAMPLE_RATE_HZ, "uri": "talk"}, hook=keep
        )
    for name in ("speaker_diarization", "exclusive_speaker_diarization"):
        made[name] = list(getattr(found, name).itertracks(yield_label=True))
    return made


def test_turns_counts_and_embeddings_of_a_talk_are_those_of_stock_pyannote(folder: Path, spoken: Any) -> None:
    from tiro.adapters.diarizers.pipeline import load, stock

    theirs, ours = (steps(make(str(folder)), spoken[0]) for make in (stock, load))
    speaks = theirs["segmentation"]
    assert (speaks.sum(axis=(1, 2)) == 0).any(), "there is a window in which nobody speaks"
    assert (speaks.sum(axis=2) > 1).any(), "and one in which two speak at once"
    assert len({voice for *_, voice in theirs["speaker_diarization"]}) > 1
    assert ours.keys() == theirs.keys()
    np.testing.assert_allclose(ours.pop("embeddings"), theirs.pop("embeddings"), rtol=1e-4, atol=1e-6)
    for name, made in theirs.items():
        np.testing.assert_equal(ours[name], made, err_msg=name)


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Any:
    from pyannote.audio.pipelines.speaker_verification import PyannoteAudioPretrainedSpeakerEmbedding

    made = write_pipeline(tmp_path_factory.mktemp("pipeline"), COMMUNITY_1)
    return PyannoteAudioPretrainedSpeakerEmbedding({"checkpoint": str(made), "subfolder": "embedding"})


MASKS = {
    "of nobody": [],
    "of one frame": [range(300, 301)],
    "that is lost between two frames of the network": [range(1, 2)],
    "at the begin": [range(40)],
    "at the end": [range(FRAMES - 30, FRAMES)],
    "in the middle": [range(280, 330)],
    "at both ends": [range(10), range(FRAMES - 10, FRAMES)],
    "of all": [range(FRAMES)],
}


@pytest.fixture(scope="module")
def asked(network: Any, spoken: Any) -> tuple[Any, Any, np.ndarray]:
    """Waveforms, masks, and what stock pyannote makes of them. The last is of a second window."""
    import torch

    masks = torch.zeros(len(MASKS) + 1, FRAMES)
    for row, stretches in enumerate(MASKS.values()):
        for stretch in stretches:
            masks[row, stretch.start : stretch.stop] = 1.0
    masks[-1, 200:] = 1.0
    windows = torch.from_numpy(spoken[0][: 2 * 160_000]).reshape(2, 1, -1)
    waveforms = windows[[0] * len(MASKS) + [1]]
    return waveforms, masks, network(waveforms, masks)


@pytest.mark.parametrize("threads", [0, 2], ids=["as on a GPU", "two threads"])
def test_whoever_is_asked_about_the_embedding_is_that_of_stock_pyannote(network: Any, asked: Any, threads: int) -> None:
    from tiro.adapters.diarizers.trunk import OneTrunk

    waveforms, masks, theirs = asked
    np.testing.assert_allclose(OneTrunk(network, threads)(waveforms, masks), theirs, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("row", range(len(MASKS)), ids=MASKS)
def test_from_a_part_of_the_window_the_embedding_is_that_of_stock_pyannote(network: Any, asked: Any, row: int) -> None:
    from tiro.adapters.diarizers.trunk import OneTrunk

    waveforms, masks, theirs = asked
    ours = OneTrunk(network, 1)(waveforms[[row]], masks[[row]])
    np.testing.assert_allclose(ours, theirs[[row]], rtol=1e-4, atol=1e-5)


def test_the_network_looks_once_at_a_window_and_never_at_one_of_nobody(network: Any, spoken: Any) -> None:
    import torch

    from tiro.adapters.diarizers.trunk import OneTrunk

    ours = OneTrunk(network, 1)
    looks = []
    hook = network.model_.resnet.conv1.register_forward_pre_hook(lambda _, seen: looks.append(seen[0].shape[-1]))
    first, second, third = torch.from_numpy(spoken[0][: 3 * 160_000]).reshape(3, 1, -1)
    masks = torch.ones(9, FRAMES)
    masks[3:6] = 0.0
    masks[7:9] = 0.0
    masks[6, :-30] = 0.0
    ours(torch.stack([*[first] * 3, *[second] * 3, *[third] * 3]), masks)
    hook.remove()
    assert len(looks) == 2
    assert looks[0] == 998
    assert looks[1] < 998 / 2, "of the third only what lies around its last words"


def test_a_pipeline_with_another_embedding_stays_as_it_is_and_the_log_says_so(
    caplog: pytest.LogCaptureFixture, folder: Path
) -> None:
    from tiro.adapters.diarizers.pipeline import stock
    from tiro.adapters.diarizers.trunk import share

    class Other:
        device = "cpu"

    pipeline = stock(str(folder))
    other = Other()
    pipeline._embedding = other
    share(pipeline)
    assert pipeline._embedding is other
    assert [record.message for record in caplog.records if record.name.startswith("tiro")] == [
        "pyannote runs as it comes: Other is no embedding whose work can be shared"
    ]
