"""How cues are written as SubRip and as WebVTT, by hand: no library escapes what strangers say."""

from __future__ import annotations

import re

from tiro.model.transcript import AnyTranscript, speaker_label
from tiro.render.cues import Cue, cues

_SRT_SAFE = str.maketrans({"<": "‹", ">": "›", "{": "｛", "}": "｝"})
"""SubRip knows no escapes: players read tags in <> and in braces, and a reader sees an arrow as a time line."""
_STAMP = re.compile(r"\d{1,2}:\d{1,2}:\d{1,2}[.,]\d")
"""Some readers take two of these in a line for a cue's times, whatever stands between them."""
_VTT_SAFE = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})


def srt(transcript: AnyTranscript) -> bytes:
    """SubRip, UTF-8. It has no place for speakers, and none is put between the words."""
    blocks = []
    for number, cue in enumerate(cues(transcript), 1):
        shown = "\n".join(_STAMP.sub(_unlike, line.translate(_SRT_SAFE)) for line in cue.lines)
        blocks.append(f"{number}\n{_times(cue, ',')}\n{shown}\n")
    return "\n".join(blocks).encode()


def vtt(transcript: AnyTranscript) -> bytes:
    """WebVTT (W3C), UTF-8, each cue in a voice span of its speaker."""
    blocks = ["WEBVTT\n"]
    for cue in cues(transcript):
        voice = "" if cue.speaker is None else f"<v {speaker_label(cue.speaker)}>"
        shown = "\n".join(map(escaped, cue.lines))
        blocks.append(f"{_times(cue, '.')}\n{voice}{shown}\n")
    return "\n".join(blocks).encode()


def escaped(line: str) -> str:
    """A line as WebVTT has it: nothing in it is a tag, an entity or an arrow."""
    return line.translate(_VTT_SAFE)


def _unlike(stamp: re.Match[str]) -> str:
    """With signs of ratio, which look like colons."""
    return stamp[0].replace(":", "∶")


def _times(cue: Cue, point: str) -> str:
    return f"{_time(cue.start_ms, point)} --> {_time(cue.end_ms, point)}"


def _time(ms: int, point: str) -> str:
    """`HH:MM:SS.mmm`, more digits for the hours when they need them."""
    rest, thousandths = divmod(ms, 1000)
    rest, seconds = divmod(rest, 60)
    hours, minutes = divmod(rest, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}{point}{thousandths:03d}"
