"""A transcript's text as the attacker: foreign readers find it word for word, at its time, and nothing that acts."""

from __future__ import annotations

from collections.abc import Callable, Iterable

import pytest

from tests.hostile.outputs.attacks import ATTACKS, CELLS, Attack
from tests.hostile.outputs.readers import READERS, expected_of, json_of, read_back, surrounded
from tiro.render import FORMATS
from tiro.render.cues import cues

Note = Callable[[str], None]


def hostile(number: int, attacks: Iterable[Attack]) -> list[object]:
    def case(attack: Attack) -> object:
        mark = pytest.mark.hostile_input(number, attack.what, "read back equal")
        return pytest.param(attack, marks=mark, id=attack.what)

    return [case(attack) for attack in attacks]


@pytest.mark.parametrize("attack", [*hostile(54, ATTACKS), *hostile(55, CELLS)])
def test_readers_of_five_kinds_find_what_was_said(attack: Attack, seen: Note) -> None:
    """Nothing lost of it, nothing of it taken for structure, and the words around it where they were."""
    made = surrounded(attack.heard)
    times = [(cue.start_ms, cue.end_ms) for cue in cues(made)]
    for reader in READERS:
        found = read_back(reader, made)
        assert found.text == expected_of(reader, attack.read), reader
        assert found.times in ([], times), reader
    seen(f"equal by {len(READERS)} readers")


@pytest.mark.parametrize("attack", [*hostile(54, ATTACKS), *hostile(55, CELLS)])
def test_json_holds_the_words_as_they_were_heard(attack: Attack, seen: Note) -> None:
    """Escaped where JSON escapes; only half a character, which no UTF-8 can hold, becomes U+FFFD."""
    data = FORMATS["json"].render(surrounded(attack.heard))
    said = attack.heard.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    assert json_of(data) == ["before", said, "after", "The", "end."]
    assert not any(byte < 32 for byte in data)
    seen("equal by json")
