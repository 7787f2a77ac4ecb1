"""What do strangers say of parts and of ranges? S3's XML and HTTP's headers, as far as they make sense."""

from __future__ import annotations

import re
from collections.abc import Mapping

from defusedxml import DefusedXmlException
from defusedxml.ElementTree import ParseError, fromstring

from tiro.model.errors import Invalid, Permanent

XML_BYTES = 1 << 20
MOST_PARTS = 10_000
_MOST_TAGS = 10 * MOST_PARTS
"""Six tell a part, and what checksums it has fits into the rest; each becomes an object of a hundred times its size."""
_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})", re.ASCII)
_NO_ETAG = {"", "none", "null", "undefined"}
"""What clients write that had none to copy."""


def etags_of(body: bytes) -> dict[int, str]:
    """Number -> ETag without its quotes, of S3's `CompleteMultipartUpload`, in whatever namespace. Blocking, for seconds at worst.

    Raises Invalid `invalid_upload`.
    """
    if body.count(b"<") > _MOST_TAGS:
        raise _odd("The body holds more than an upload's parts.")
    try:
        root = fromstring(body, forbid_dtd=True)
    except (ParseError, DefusedXmlException, ValueError, LookupError):
        raise _odd("The body is not XML.") from None
    if _name(root.tag) != "CompleteMultipartUpload":
        raise _odd("The body is no CompleteMultipartUpload.")
    parts = [
        {_name(field.tag): (field.text or "").strip() for field in part} for part in root if _name(part.tag) == "Part"
    ]
    if not 1 <= len(parts) <= MOST_PARTS:
        raise _odd(f"An upload has 1 to {MOST_PARTS} parts.")
    etags: dict[int, str] = {}
    for part in parts:
        number = _number(part.get("PartNumber", ""))
        if number <= next(reversed(etags), 0):
            raise _odd("The parts must be in order, each once.")
        etags[number] = _etag(part.get("ETag", ""))
    return etags


def range_of(headers: Mapping[str, str], etag: str, size_bytes: int) -> tuple[int, int] | None:
    """[start, end) of the one range that is asked for (RFC 9110, 14); None: all of it, also where the range cannot be understood.

    Raises Permanent `range_not_satisfiable`.
    """
    asked = _RANGE.fullmatch(headers.get("range", "").strip().lower())
    if asked is None or headers.get("if-range", etag) != etag:
        return None
    first, last = asked.groups()
    if not first and not last:
        return None
    start = int(first) if first else max(0, size_bytes - int(last))
    end = min(int(last) + 1, size_bytes) if first and last else size_bytes
    if first and last and int(last) < int(first):
        return None
    if start >= size_bytes:
        raise Permanent("range_not_satisfiable", "The result is not so long.", size_bytes=size_bytes)
    return start, end


def _name(tag: object) -> str:
    """Without its namespace; comments and the like have none."""
    return tag.rpartition("}")[2] if isinstance(tag, str) else ""


def _number(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 5 and 1 <= int(text) <= MOST_PARTS):
        raise _odd(f"A PartNumber is 1 to {MOST_PARTS}.")
    return int(text)


def _etag(text: str) -> str:
    etag = text.removeprefix("W/").strip('"')
    if etag.lower() in _NO_ETAG or len(etag) > 200 or not etag.isprintable():
        raise _odd("Every part needs the ETag that its upload was answered with.")
    return etag


def _odd(sentence: str) -> Invalid:
    return Invalid("invalid_upload", sentence)
