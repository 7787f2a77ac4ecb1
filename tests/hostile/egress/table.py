"""How does a table of hostile inputs become tests? Each case is acted out once, inside the network of our own, and judged by its
own test: by what was said, and by who was met.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

import msgspec
import pytest

from tests.hostile.egress.network import PUBLIC, Meeting, Network
from tiro.model.errors import MediaRefused, SourceRefused, TiroError

Act = Callable[[Network], str]


class Case(msgspec.Struct, frozen=True):
    """A line of the table. `act` says in a word what came of it."""

    number: int
    what: str
    expected: str
    act: Act


class Outcome(msgspec.Struct, frozen=True):
    """What was seen, and the addresses that were connected to."""

    saw: str
    met: list[Meeting]

    @property
    def astray(self) -> list[Meeting]:
        """Whom nobody should ever meet."""
        return [meeting for meeting in self.met if meeting[0] not in PUBLIC]


Outcomes = Mapping[str, Outcome]


def parameters(cases: list[Case]) -> list[object]:
    """For `parametrize`, over the name of the case."""
    names = [name_of(case) for case in cases]
    assert len(set(names)) == len(names), "two cases of one name"
    return [
        pytest.param(
            name, case.expected, id=name, marks=pytest.mark.hostile_input(case.number, case.what, case.expected)
        )
        for name, case in zip(names, cases, strict=True)
    ]


def name_of(case: Case) -> str:
    return f"{case.number}-{case.what}".encode("ascii", "backslashreplace").decode()


def acted(case: Case, network: Network) -> Outcome:
    """The case, once."""
    saw = said(lambda: case.act(network))
    return Outcome(saw, network.take_meetings())


def said(act: Callable[[], str]) -> str:
    """What an act says, or the word of its error; what is no error of ours is a crash."""
    try:
        return act()
    except (SourceRefused, MediaRefused) as refused:
        return refused.reason
    except TiroError as error:
        return error.code
    except Exception as error:
        return f"crash {type(error).__name__}: {error}"


def agreed(words: Mapping[str, str]) -> str:
    """One word when all ways out came to the same, else what each came to."""
    found = set(words.values())
    return found.pop() if len(found) == 1 else ", ".join(f"{way} {word}" for way, word in words.items())
