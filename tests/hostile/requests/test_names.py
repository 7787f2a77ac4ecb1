"""File names as strangers give them: they name nothing here, neither an object, nor a file that is sent back, nor a line of a log."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable
from typing import Any

import pytest

from tests.hostile.requests.bodies import FORM, TAIL
from tests.servers.api import Api
from tests.servers.audio import tone_wav

pytestmark = pytest.mark.asyncio(loop_scope="module")

Note = Callable[[str], None]
SAFE = re.compile(r'attachment; filename="job_[0-9A-Z]{26}\.(json|txt|srt|vtt|docx)"')
"""RFC 6266 with nothing that needs quoting or encoding."""

NAMES = {
    "../../etc/passwd": b"../../etc/canary",
    "an absolute path": b"/etc/canary",
    "a Windows path": b"C:\\Windows\\canary.dll",
    "NUL": b"a\0canary.wav",
    "a percent-encoded NUL": b"canary%00.wav",
    "an escaped line break": b"a%0D%0AX-Evil: canary",
    "a quote": b'a\\"; filename=\\"canary.html',
    "RTL U+202E": "canary\u202egnp.mp3".encode(),
    "5,000 characters": b"canary" + b"x" * 5_000,
    "emoji": "canary\U0001f3b5.mp3".encode(),
    "CON": b"CON.canary",
    "nothing": b"",
    "an ending alone": b".canary",
    "no UTF-8": b"canary\xff\xfe.wav",
    "markup": b"<img src=x onerror=canary>.wav",
    "a formula": b"=HYPERLINK(canary).wav",
    "ANSI colours": b"\x1b[31mcanary\x1b[0m.wav",
    "a shell's words": b"; rm -rf $(canary) | x.wav",
    "a switch": b"-i canary",
    "dots": b"..",
}


def hostile(what: str, name: bytes, expected: str) -> Any:
    return pytest.param(name, marks=pytest.mark.hostile_input(27, what, expected), id=what)


def _form(name: bytes, kind: bytes = b"audio/wav") -> bytes:
    head = b'--b\r\nContent-Disposition: form-data; name="file"; filename="%b"\r\nContent-Type: %b\r\n\r\n' % (
        name,
        kind,
    )
    return head + tone_wav(1.0) + TAIL


@pytest.mark.parametrize("name", [hostile(what, name, "202, the key is ours") for what, name in NAMES.items()])
async def test_the_key_is_ours_whatever_the_file_is_called(
    lasting_api: Api, seen: Note, caplog: pytest.LogCaptureFixture, name: bytes
) -> None:
    """Its name is in no answer, no log and no record, and what is sent back is called by its job."""
    with caplog.at_level(logging.DEBUG, logger="tiro"), caplog.at_level(logging.DEBUG, logger="api"):
        answer = await lasting_api.http.post("/jobs", content=_form(name), headers={"Content-Type": FORM})
        assert answer.status_code == 202, answer.text
        job_id = answer.json()["job_id"]
        await lasting_api.complete(job_id)
        files = [
            await lasting_api.http.get(f"/jobs/{job_id}/transcript", params={"format": form})
            for form in ("json", "txt", "srt", "vtt", "docx")
        ]
    keys = sorted(info.key for info in lasting_api.house.blobs.list(f"jobs/{job_id}/"))
    seen("202, " + files[0].headers["content-disposition"].replace(job_id, "job_..."))
    assert f"jobs/{job_id}/source" in keys
    assert not [key for key in keys if "canary" in key]
    for one in files:
        assert one.status_code == 200
        assert SAFE.fullmatch(one.headers["content-disposition"])
    job = await lasting_api.house.jobs.get(job_id)
    for said in (answer.text, str(answer.headers), caplog.text, str(job), *(str(one.headers) for one in files)):
        assert "canary" not in said


@pytest.mark.parametrize("kind", [b"text/html", b"../../canary", b"image/svg+xml", b"x" * 3000])
@pytest.mark.hostile_input(27, "a file's type that is none", "202, not believed, not kept")
async def test_a_files_type_is_not_believed(lasting_api: Api, seen: Note, kind: bytes) -> None:
    answer = await lasting_api.http.post("/jobs", content=_form(b"a.wav", kind), headers={"Content-Type": FORM})
    seen(str(answer.status_code))
    assert answer.status_code == 202, answer.text
    job = await lasting_api.house.jobs.get(answer.json()["job_id"])
    assert kind.decode() not in str(job)


@pytest.mark.parametrize(
    "name",
    [
        hostile("a line break", b'a"\r\nX-Evil: "b', "202, no header of it"),
        hostile("a line feed alone", b"a\nX-Evil: b", "400"),
    ],
)
async def test_a_line_break_in_a_name_adds_no_header_to_an_answer(lasting_api: Api, seen: Note, name: bytes) -> None:
    """Inside of a form it begins a header of the part, or is none."""
    answer = await lasting_api.http.post("/jobs", content=_form(name), headers={"Content-Type": FORM})
    seen(str(answer.status_code))
    assert answer.status_code in {202, 400}
    assert "x-evil" not in answer.headers
