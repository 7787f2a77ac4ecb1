"""The bodies that strangers send: JSON that is none, and forms that are broken. The tests of one request and of memory share them."""

from __future__ import annotations

FORM = "multipart/form-data; boundary=b"
HEAD = b'--b\r\nContent-Disposition: form-data; name="file"; filename="x.wav"\r\n\r\n'
TAIL = b"\r\n--b--\r\n"


def field(name: str, value: bytes) -> bytes:
    """One text field of a form, without what ends the form."""
    return f'--b\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n'.encode() + value


DEEP = {
    "100,000 arrays": b"[" * 100_000 + b"]" * 100_000,
    "100,000 arrays that are never closed": b"[" * 100_000,
    "100,000 arrays in an unknown field": b'{"unknown":' + b"[" * 100_000 + b"]" * 100_000 + b"}",
    "40,000 objects in an unknown field": b'{"unknown":' + b'{"a":' * 40_000 + b"0" + b"}" * 40_000 + b"}",
    "33 levels in an unknown field": b'{"unknown":' + b"[" * 32 + b"]" * 32 + b"}",
}

NO_JSON = {
    "nothing": b"",
    "half an object": b'{"a":',
    "an array": b"[]",
    "a text": b'"x"',
    "null": b"null",
    "invalid UTF-8": b'{"a":"\xff"}',
    "an overlong UTF-8": b'{"a":"\xc0\xaf"}',
    "a surrogate in UTF-8": b'{"a":"\xed\xa0\x80"}',
    "UTF-16": '{"a":1}'.encode("utf-16"),
    "a lone surrogate": b'{"a":"\\ud800"}',
    "surrogates in the wrong order": b'{"a":"\\udc00\\ud800"}',
    "a BOM": b"\xef\xbb\xbf{}",
    "NUL in a text": b'{"a":"x\\u0000"}',
    "NUL in a name": b'{"x\\u0000":1}',
    "NUL behind it": b"{}\0",
    "a raw control character": b'{"a":"\x01"}',
    "trailing bytes": b"{} x",
    "two objects": b"{}{}",
    "NaN": b'{"a":NaN}',
    "Infinity": b'{"a":-Infinity}',
    "1e400": b'{"a":1e400}',
    "an integer of 10,000 digits": b'{"a":' + b"1" * 10_000 + b"}",
    "a leading zero": b'{"a":01}',
    "a comment": b'{"a":1/**/}',
    "a trailing comma": b'{"a":1,}',
    "single quotes": b"{'a':1}",
}

BROKEN_FORMS = {
    "no closing boundary": HEAD + b"RIFF",
    "half a closing boundary": HEAD + b"RIFF\r\n--b",
    "nothing": b"",
    "no part": b"--b--\r\n",
    "a part that is no form-data": b"--b\r\nContent-Disposition: attachment\r\n\r\nx" + TAIL,
    "a part header without colon": b"--b\r\nNo-Colon\r\n\r\nx" + TAIL,
    "a part without headers": b"--b\r\n\r\nx" + TAIL,
    "a part without a name": b"--b\r\nContent-Disposition: form-data\r\n\r\nx" + TAIL,
    "a part header of 20 kB": b"--b\r\nX: " + b"y" * 20_000 + b"\r\n\r\nx" + TAIL,
    "100 headers of one part": b"--b\r\n" + b"X: y\r\n" * 100 + b"\r\nx" + TAIL,
    "a part header that is no UTF-8": b'--b\r\nContent-Disposition: form-data; name="\xff"\r\n\r\nx' + TAIL,
    "a text that is no UTF-8": field("language", b"\xff") + TAIL,
    "NUL in a text": field("language", b"e\0n") + TAIL,
    "1,001 parts": (field("x", b"y") + b"\r\n") * 1001 + TAIL[2:],
    "a text of 70 kB": field("x", b"y" * 70_000) + TAIL,
    "70 kB in 700 texts": (field("x", b"y" * 100) + b"\r\n") * 700 + TAIL[2:],
    "70 kB in a file of another name": HEAD.replace(b'"file"', b'"other"') + b"y" * 70_000 + TAIL,
    "no form at all": b"not multipart at all",
    "line feeds alone": HEAD.replace(b"\r\n", b"\n") + b"RIFF\n--b--\n",
    "no file": field("language", b"en") + TAIL,
    "two files": HEAD + b"RIFF\r\n" + HEAD + b"RIFF" + TAIL,
    "a text field named file": field("file", b"RIFF") + TAIL,
    "a file and an address": HEAD + b"RIFF\r\n" + field("source_url", b"https://93.184.215.14/a") + TAIL,
}
