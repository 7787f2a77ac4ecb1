"""A machine of its own whose only way out leads to us: started by `unshare --net --mount` as that machine's root.

Loopback is up, and all else is routed into a cable that ends here. Says `ready`, then a line for each packet that somebody sent out;
ends when its standard input is closed.
"""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

RESOLVER = "192.0.2.53"
"""Lookups go there, whatever the machine around us does with them."""
_CABLE = """
link set lo up
link add out type veth peer name end
link set out addrgenmode none arp off
link set end addrgenmode none arp off
link set out up
link set end up
addr add 192.0.2.1/24 dev out
route add default dev out
"""
_OWN = {"/etc/resolv.conf": f"nameserver {RESOLVER}\n", "/etc/nsswitch.conf": "hosts: files dns\n"}
_EVERYTHING = 0x0003
_IPV4 = 0x0800
_PORTS_AT = 20
_OUTGOING = 4


def main() -> None:
    """Build, listen, tell."""
    for line in _CABLE.strip().splitlines():
        subprocess.run(["ip", *line.split()], check=True, env={"PATH": f"{os.environ['PATH']}:/usr/sbin:/sbin"})
    for path, text in _OWN.items():
        _hide(Path(path), text)
    with socket.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(_EVERYTHING)) as end:
        end.bind(("end", _EVERYTHING))
        print("ready", flush=True)
        while True:
            ready, _, _ = select.select([end, sys.stdin], [], [])
            if sys.stdin in ready:
                return
            packet, about = end.recvfrom(65_536)
            if about[2] != _OUTGOING:
                print(_described(packet, about[1]), flush=True)


def _hide(path: Path, text: str) -> None:
    """Another file in its place, for this mount namespace."""
    if path.exists():
        with tempfile.NamedTemporaryFile("w", suffix=path.name, delete=False) as ours:
            ours.write(text)
        Path(ours.name).chmod(0o644)
        subprocess.run(["mount", "--bind", ours.name, str(path)], check=True)
        Path(ours.name).unlink()


def _described(packet: bytes, protocol: int) -> str:
    """To whom, and what; of a lookup, the name is readable in it."""
    if protocol != _IPV4:
        return f"protocol {protocol:#06x}: {packet[:60]!r}"
    port = int.from_bytes(packet[_PORTS_AT + 2 : _PORTS_AT + 4], "big")
    return f"IP protocol {packet[9]} to {socket.inet_ntoa(packet[16:20])} port {port}: {packet[28:120]!r}"


if __name__ == "__main__":
    main()
