"""What follows from the figures? Lines for `tiro.toml`, sentences for a person, and what nobody has measured."""

from __future__ import annotations

from collections.abc import Sequence

from commands.bench.figures import Chosen, Host, Run
from commands.measuring import PROMISED, waited_for

_WEIGHT = {
    "tiny": 39, "base": 74, "small": 244, "distil-large-v3": 756, "medium": 769, "large-v3-turbo": 809, "large-v3": 1550,
}  # fmt: skip
"""Million parameters: what hearing costs goes about with them."""
_ABROAD = 0.8
"""Of the engine's speed, that the line should have left."""
_MANY = 1.5


def settings_of(chosen: Chosen | None) -> list[str]:
    """As they stand in `tiro.toml`; they hold on to what was chosen here, so that no start measures again."""
    if chosen is None:
        return []
    return [
        f"replicas = {chosen.replicas}",
        f"whisper_batch = {chosen.batch}",
        f'whisper_context = "{chosen.context}"',
        f"whisper_window_s = {chosen.window_s:g}",
    ]


def advice_on(machine: Host, chosen: Chosen | None, model: str | None, runs: Sequence[Run]) -> list[str]:
    """Most useful first."""
    long, packs = _best(runs, "one recording"), _best(runs, "short files")
    return [*_on_speed(long, model), *_on_replicas(machine, chosen), *_on_packs(long, packs), *_on_line(runs)]


def not_measured(chosen: Chosen | None, runs: Sequence[Run], *, own: bool) -> list[str]:
    """What these figures say nothing about."""
    found = ["telling voices apart (on unless a job says otherwise): it runs beside the engine, on the same cores"]
    if not own:
        found.append("your recordings: noise, music, and languages other than English can take longer; name a FILE")
    if all(run.through != "line" for run in runs):
        found.append("the line around the engine (uploads, Temporal, results): add --whole")
    open_ones = [
        name for name in ("replicas", "batch", "context", "window_s") if chosen and name not in chosen.measured
    ]
    if open_ones:
        found.append(f"other values of {', '.join(open_ones)}: set, or not worth the time here; --again measures anew")
    found.append("downloads from addresses, and several workers against one database")
    return found


def _on_speed(long: Run | None, model: str | None) -> list[str]:
    if long is None:
        return []
    speed, said = long.x_real_time, []
    if speed < PROMISED:
        said.append(f"An hour takes {60 / max(speed, 0.01):.0f} minutes here; people expect {60 / PROMISED:.0f}.")
    said += [f"{finding.text} {finding.fix}" for finding in waited_for(speed)]
    return said + _on_models(speed, model)


def _on_models(speed: float, model: str | None) -> list[str]:
    """By their size, which is an estimate; only where the present one is known by its name."""
    if model not in _WEIGHT:
        return []
    lighter = [name for name, weight in _WEIGHT.items() if weight < _WEIGHT[model]]
    heavier = [name for name, weight in _WEIGHT.items() if weight > _WEIGHT[model]]
    if speed < PROMISED and lighter:
        enough = [name for name in lighter if speed * _WEIGHT[model] / _WEIGHT[name] >= PROMISED]
        name = (enough or lighter[:1])[-1]
        times = _WEIGHT[model] / _WEIGHT[name]
        return [
            f'By its size {name} would be about {times:.1f} x as fast, and hear less well: whisper_model = "{name}".'
        ]
    room = [name for name in heavier if speed * _WEIGHT[model] / _WEIGHT[name] >= PROMISED]
    if room:
        left = speed * _WEIGHT[model] / _WEIGHT[room[-1]]
        return [
            f'There is room for a better model: {room[-1]} would be about {left:.0f} x: whisper_model = "{room[-1]}".'
        ]
    return []


def _on_replicas(machine: Host, chosen: Chosen | None) -> list[str]:
    if chosen is None or machine.cards:
        return []
    if chosen.replicas < machine.cores and "replicas" not in chosen.measured:
        return [f"{chosen.replicas} of {machine.cores} cores hear: more replicas need more memory, or replicas unset."]
    if chosen.replicas > machine.cores:
        return [f"{chosen.replicas} replicas share {machine.cores} cores: as many as cores is enough."]
    return []


def _on_packs(long: Run | None, packs: Run | None) -> list[str]:
    if long is None or packs is None or packs.x_real_time * _MANY > long.x_real_time:
        return []
    times = long.x_real_time / max(packs.x_real_time, 0.01)
    return [f"A second of a short file costs {times:.1f} x as much as one of a long recording."]


def _on_line(runs: Sequence[Run]) -> list[str]:
    said = []
    for run in runs:
        alone = next((one for one in runs if one.what == run.what and one.through == "engine"), None)
        if run.through == "line" and alone is not None and run.x_real_time < _ABROAD * alone.x_real_time:
            share = run.x_real_time / max(alone.x_real_time, 0.01)
            said.append(
                f"The line left {share:.0%} of the engine's speed for {run.what}. Was the server busy with other jobs? "
                "On more machines: `python worker.py --queue speech`, and the other queues elsewhere."
            )
    return said


def _best(runs: Sequence[Run], what: str) -> Run | None:
    return next((run for run in runs if run.what == what and run.through == "engine"), None)
