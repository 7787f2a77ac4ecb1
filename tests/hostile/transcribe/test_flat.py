"""What does a batch of ten thousand cost the API that takes it, and what do bodies that pretend to be one? Memory that stays bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import httpx2
import msgspec
import pytest

from tests.acceptance.conftest import SiteMaker
from tests.hostile.requests.tree import open_files, pss_bytes, weighing, zombies

Note = Callable[[str], None]
MIB = 1 << 20
FILES = 10_000
ROOM_MIB = 64
HOSTILE_MIB = 300
AT_ONCE = 3


def _manifest() -> bytes:
    """Ten thousand addresses, signed as stores sign them."""
    files = [
        {
            "reference_id": f"call/{n:05d}",
            "url": f"https://93.184.215.14/{n}.mp3?signature={'s' * 300}",
            "language": "en",
        }
        for n in range(FILES)
    ]
    return msgspec.json.encode({"type": "batch", "files": files})


HOSTILE = {
    "arrays": b'{"files":[' + b"[]," * 199_000 + b"[]]}",
    "objects": b'{"files":[' + b"{}," * 99_000 + b"{}]}",
    "numbers": b'{"files":[' + b"1e9," * 199_000 + b"0]}",
    "texts": b'{"files":["' + b'","' * 150_000 + b'"]}',
    "names": b'{"files":[{"size_bytes":0,' + b",".join(b'"%d":0' % n for n in range(150_000)) + b"}]}",
    "one text": b'{"files":["' + b"\\u00e4" * (8 * MIB // 6 - 10) + b'"]}',
    "too much": b'{"files":["' + b"x" * (9 * MIB) + b'"]}',
}
"""As much as a body may be, in what becomes most of it."""


@pytest.mark.hostile_input(42, "10,000 files, created and asked about; 8 MB of JSON that is none", "bounded memory")
async def test_ten_thousand_files_and_what_pretends_to_be_cost_little(make_site: SiteMaker, seen: Note) -> None:
    """The honest create beside its polls, then several of each hostile body at once; nothing is left open."""
    site = await make_site()
    await site.house.wallets.credit(site.account.account_id, 5_000_000, "for the test")
    child, address = await site.serving()
    headers = {"Authorization": f"Bearer {site.key}", "Content-Type": "application/json"}
    manifest = _manifest()
    async with httpx2.AsyncClient(base_url=address, headers=headers, timeout=120, trust_env=False) as http:
        small = await http.post("/v1/jobs", content=b'{"type":"batch","files":[{"reference_id":"a"}]}')
        assert small.status_code == 200, small.text
        before, opened = pss_bytes(child.pid), open_files(child.pid)
        with weighing(child.pid) as weighed:
            made = await http.post("/v1/jobs", content=manifest)
            assert (made.status_code, made.json()["total_files"]) == (200, FILES)
            for _ in range(10):
                assert (await http.get(f"/v1/transcribe/{made.json()['job_id']}")).status_code == 200
        with weighing(child.pid) as strained:
            for body in HOSTILE.values():
                answers = await asyncio.gather(*(http.post("/v1/jobs", content=body) for _ in range(AT_ONCE)))
                assert {answer.status_code for answer in answers} == {400}
        assert (await http.delete(f"/v1/transcribe/{made.json()['job_id']}")).status_code == 200
    grown = [(one.peak_bytes - before) / MIB for one in (weighed, strained)]
    seen(f"API {before / MIB:.0f} MiB {grown[0]:+.0f} for 10,000 files, {grown[1]:+.0f} for what is none")
    assert grown[0] < ROOM_MIB
    assert grown[1] < HOSTILE_MIB
    assert zombies(child.pid) == []
    assert set(open_files(child.pid)) == set(opened)
    assert "Traceback" not in child.text
