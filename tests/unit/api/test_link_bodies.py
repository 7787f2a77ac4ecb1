"""Are S3's XML and HTTP's ranges read as clients write them, and refused where they make no sense?"""

from __future__ import annotations

import pytest

from api.files.bodies import MOST_PARTS, etags_of, range_of
from tiro.model.errors import Invalid, Permanent

TAG = '"8fe9c21c"'


def xml(*parts: tuple[object, str], root: str = "CompleteMultipartUpload", space: str = "") -> bytes:
    inner = "".join(f"<Part><PartNumber>{number}</PartNumber><ETag>{etag}</ETag></Part>" for number, etag in parts)
    return f"<{root}{space}>{inner}</{root}>".encode()


@pytest.mark.parametrize(
    "body",
    [
        xml((1, TAG), (2, TAG)),
        xml((1, "8fe9c21c"), (2, "&quot;8fe9c21c&quot;")),
        b'<?xml version="1.0" encoding="UTF-8"?>\n' + xml((1, TAG), (2, TAG)),
        xml((1, TAG), (2, TAG), space=' xmlns="http://s3.amazonaws.com/doc/2006-03-01/"'),
        xml((1, "8fe9c21c</ETag><ChecksumCRC32>x</ChecksumCRC32><!-- --><ETag>\n8fe9c21c "), (2, TAG)),
    ],
    ids=["bare", "quotes in all spellings", "declared", "in a namespace", "with more in it"],
)
def test_parts_are_read_however_the_client_writes_them(body: bytes) -> None:
    """With or without a declaration, a namespace, quotes."""
    assert etags_of(body) == {1: "8fe9c21c", 2: "8fe9c21c"}


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{}",
        b"<a",
        b"\xff\xfe\x00",
        xml(),
        xml((1, TAG), root="Complete"),
        xml((1, "None")),
        xml((1, "null")),
        xml((1, "")),
        xml((0, TAG)),
        xml(("x", TAG)),
        xml((MOST_PARTS + 1, TAG)),
        xml((1, TAG), (1, TAG)),
        xml((2, TAG), (1, TAG)),
        xml(*((number, TAG) for number in range(1, MOST_PARTS + 2))),
        b"<CompleteMultipartUpload><Part/></CompleteMultipartUpload>",
        b'<!DOCTYPE x [<!ENTITY e "e">]>' + xml((1, "&e;")),
        b'<!DOCTYPE x SYSTEM "file:///etc/passwd">' + xml((1, TAG)),
        b'<?xml version="1.0" encoding="no-such"?>' + xml((1, TAG)),
        b"<a>" * 100_000,
    ],
)
def test_what_names_no_parts_is_refused(body: bytes) -> None:
    """Never with anything but a refusal."""
    with pytest.raises(Invalid) as refused:
        etags_of(body)
    assert refused.value.code == "invalid_upload"


@pytest.mark.parametrize(
    ("asked", "span"),
    [
        ("bytes=0-3", (0, 4)),
        ("bytes=4-", (4, 10)),
        ("bytes=-3", (7, 10)),
        ("bytes=-30", (0, 10)),
        ("bytes=4-400", (4, 10)),
        ("Bytes=0-0", (0, 1)),
        ("bytes=3-1", None),
        ("bytes=0-1,3-4", None),
        ("bytes=-", None),
        ("lines=0-1", None),
        ("bytes=\u0663-", None),
        ("", None),
    ],
)
def test_one_range_is_served_and_odd_ones_are_not_heard(asked: str, span: tuple[int, int] | None) -> None:
    """RFC 9110: who cannot make sense of it sends all."""
    assert range_of({"range": asked}, '"tag"', 10) == span


@pytest.mark.parametrize("asked", ["bytes=10-", "bytes=10-20", "bytes=-0"])
def test_a_range_behind_the_end_is_said_to_be_none(asked: str) -> None:
    """With the size, so that the client can ask again."""
    with pytest.raises(Permanent) as refused:
        range_of({"range": asked}, '"tag"', 10)
    assert (refused.value.code, refused.value.extras) == ("range_not_satisfiable", {"size_bytes": 10})


def test_a_range_of_another_version_is_the_whole() -> None:
    """If-Range: pieces of two documents are never put together."""
    assert range_of({"range": "bytes=1-", "if-range": '"tag"'}, '"tag"', 10) == (1, 10)
    assert range_of({"range": "bytes=1-", "if-range": '"old"'}, '"tag"', 10) is None
