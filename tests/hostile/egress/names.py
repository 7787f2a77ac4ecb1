"""What do names of the attacker's stand for? A name server of our own, small enough to lie in every way."""

from __future__ import annotations

import ipaddress
import socket
import struct
import threading
from collections.abc import Callable, Sequence

A, CNAME, AAAA = 1, 5, 28
NO_ERROR, SERVER_FAILURE, NO_SUCH_NAME = 0, 2, 3
Records = Sequence[str]
"""IP addresses, or one name: an alias."""


class NameServer:
    """Answers UDP on 127.0.0.53 from `zone`. A function there is asked anew each time; what is missing does not exist."""

    def __init__(self, zone: dict[str, Records | Callable[[], Records]]) -> None:
        self._zone = zone
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.bind(("127.0.0.53", 53))
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            query, sender = self._socket.recvfrom(4096)
            self._socket.sendto(self._answer(query), sender)

    def _answer(self, query: bytes) -> bytes:
        name, end = _read_name(query, 12)
        (kind,) = struct.unpack_from("!H", query, end)
        question = query[12 : end + 4]
        if name == "failing.example":
            return _reply(query, question, SERVER_FAILURE, [])
        found, status = self._records(name, kind)
        return _reply(query, question, status, found)

    def _records(self, name: str, kind: int) -> tuple[list[bytes], int]:
        """The whole chain of aliases at once, as resolvers send it; a ring of them is cut after sixteen."""
        records: list[bytes] = []
        for _ in range(16):
            entry = self._zone.get(name)
            # the two questions of one look-up are answered alike
            found = entry() if callable(entry) and kind == A else () if callable(entry) else entry
            if found is None:
                return records, NO_SUCH_NAME
            alias = next((one for one in found if not _is_address(one)), None)
            if alias is None:
                return records + [_record(name, one) for one in found if _kind(one) == kind], NO_ERROR
            records.append(_record(name, alias))
            name = alias
        return records, SERVER_FAILURE


def _reply(query: bytes, question: bytes, status: int, records: list[bytes]) -> bytes:
    return query[:2] + struct.pack("!HHHHH", 0x8180 | status, 1, len(records), 0, 0) + question + b"".join(records)


def _record(name: str, value: str) -> bytes:
    data = ipaddress.ip_address(value).packed if _is_address(value) else _written(value)
    # kept for no second: the next look-up asks again
    return _written(name) + struct.pack("!HHIH", _kind(value), 1, 0, len(data)) + data


def _kind(value: str) -> int:
    return CNAME if not _is_address(value) else AAAA if ":" in value else A


def _is_address(value: str) -> bool:
    return ":" in value or value.replace(".", "").isdigit()


def _written(name: str) -> bytes:
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def _read_name(data: bytes, at: int) -> tuple[str, int]:
    labels = []
    while length := data[at]:
        labels.append(data[at + 1 : at + 1 + length].decode().lower())
        at += 1 + length
    return ".".join(labels), at + 1
