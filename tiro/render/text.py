"""How a transcript reads as plain text: a paragraph per turn, a blank line between them."""

from __future__ import annotations

from tiro.model.transcript import AnyTranscript, speaker_label
from tiro.render.words import Spoken, spoken


def txt(transcript: AnyTranscript) -> bytes:
    """UTF-8. `speaker_0: ` stands before each turn whose speaker is known; nothing was said: no bytes."""
    paragraphs = [_paragraph(turn) for turn in spoken(transcript)]
    return ("\n\n".join(paragraphs) + "\n").encode() if paragraphs else b""


def _paragraph(turn: Spoken) -> str:
    return turn.text if turn.speaker is None else f"{speaker_label(turn.speaker)}: {turn.text}"
