"""How is the plan of a recording made of what the decoder told, and what is it called?"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import sha256

from tiro.model.media import MediaProbe, Span, SpanPlan
from tiro.ports import PreparedEnd


def plan_name(way: str) -> str:
    """Names one way of cutting and hearing: two versions of a decoder may cut differently, and their parts must not be mixed."""
    return sha256(way.encode()).hexdigest()[:16]


def plan_of(name: str, spans: Iterable[Span], end: PreparedEnd, probe: MediaProbe | None) -> SpanPlan:
    """The plan of a recording that was decoded to its end."""
    return SpanPlan(
        plan=name,
        layout=end.layout,
        spans=tuple(spans),
        decoded_s=end.decoded_s,
        damaged_packets=end.damaged_packets,
        warnings=end.warnings,
        probe=probe,
    )
