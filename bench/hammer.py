"""How long do answers take? A client of its own process that repeats one request on many connections: `python -m bench.hammer`.

Reads `{"port", "connections", "times", "every_s", "request"}` (the request in base64) from standard input, and prints latencies in ms.
Each connection sends its next request when the last one is answered, and no sooner than `every_s` after it.
"""

from __future__ import annotations

import asyncio
import subprocess
import sys
import time
from collections.abc import Sequence

import msgspec


class Task(msgspec.Struct, frozen=True, kw_only=True):
    """What to send, and how often."""

    port: int
    request: bytes
    connections: int = 32
    times: int = 20
    """On each connection, after one that is not counted."""
    every_s: float = 0.0


class Said(msgspec.Struct, frozen=True):
    """What came of it."""

    latencies_ms: list[float]
    wall_s: float
    statuses: dict[str, int]


def request(method: str, path: str, body: bytes, headers: dict[str, str]) -> bytes:
    """One that keeps its connection."""
    lines = [f"{method} {path} HTTP/1.1", "Host: 127.0.0.1", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def hammered(task: Task) -> Said:
    """In a process of its own, so that the client's work is not the server's."""
    done = subprocess.run(
        [sys.executable, "-m", "bench.hammer"], input=msgspec.json.encode(task), stdout=subprocess.PIPE, check=True
    )
    return msgspec.json.decode(done.stdout, type=Said)


def percentile(latencies_ms: Sequence[float], share: float) -> float:
    """The one that so great a share is not above."""
    ordered = sorted(latencies_ms)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


class _Connection:
    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, sent: bytes) -> None:
        self._reader, self._writer, self._sent = reader, writer, sent

    async def ask(self) -> str:
        """The status of the answer, once all of it is there."""
        self._writer.write(self._sent)
        head = await self._reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await self._reader.readexactly(int(length.partition(b":")[2]))
        return head[9:12].decode()

    def close(self) -> None:
        self._writer.close()


async def _hammer(task: Task) -> Said:
    latencies: list[float] = []
    statuses: dict[str, int] = {}
    opened = [await asyncio.open_connection("127.0.0.1", task.port) for _ in range(task.connections)]
    connections = [_Connection(reader, writer, task.request) for reader, writer in opened]

    async def one(number: int, connection: _Connection) -> None:
        # spread over the pause, so that they do not come all at once
        await asyncio.sleep(task.every_s * number / task.connections)
        for _ in range(task.times):
            began = time.perf_counter()
            status = await connection.ask()
            took_s = time.perf_counter() - began
            latencies.append(took_s * 1000)
            statuses[status] = statuses.get(status, 0) + 1
            await asyncio.sleep(max(0.0, task.every_s - took_s))

    for connection in connections:
        await connection.ask()
    began = time.perf_counter()
    await asyncio.gather(*(one(number, connection) for number, connection in enumerate(connections)))
    wall_s = time.perf_counter() - began
    for connection in connections:
        connection.close()
    return Said(latencies, wall_s, statuses)


if __name__ == "__main__":
    task = msgspec.json.decode(sys.stdin.buffer.read(), type=Task)
    sys.stdout.buffer.write(msgspec.json.encode(asyncio.run(_hammer(task))))
