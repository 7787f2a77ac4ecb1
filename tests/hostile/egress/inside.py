"""Run as `unshare -n -m python -m tests.hostile.egress.inside FOLDER`: acts out all tables inside a network of our own, and prints
what came of each case.
"""

from __future__ import annotations

import importlib
import os
import subprocess
import sys
from pathlib import Path

import msgspec

from tests.hostile.egress.names import NameServer
from tests.hostile.egress.network import Network
from tests.hostile.egress.table import Outcome, acted, name_of
from tests.hostile.egress.world import SCRIPTS, zone

_SETTINGS = {
    "resolv.conf": "nameserver 127.0.0.53\noptions timeout:5 attempts:2\nsearch inside.example\n",
    "nsswitch.conf": "hosts: files dns\n",
}
"""How names are resolved here: as on any machine, by our own name server."""
TABLES = ("test_addresses", "test_names", "test_redirects", "test_sites")


def main(folder: Path, tables: tuple[str, ...] = TABLES) -> dict[str, Outcome]:
    """All cases, one after the other."""
    for name, text in _SETTINGS.items():
        instead = folder / name
        instead.write_text(text)
        subprocess.run(["mount", "--bind", instead, f"/etc/{name}"], check=True, timeout=10)
    _stand_in_for_node(folder)
    modules = [importlib.import_module(f"tests.hostile.egress.{name}") for name in tables]
    cases = [case for module in modules for case in (*module.CASES, *getattr(module, "TRAPS", ()))]
    with Network(folder, SCRIPTS) as network:
        NameServer(zone())
        return {name_of(case): acted(case, network) for case in cases}


def _stand_in_for_node(folder: Path) -> None:
    """A runtime whose script wants out: it says so when it was cut off everywhere."""
    programs = folder / "bin"
    programs.mkdir()
    program = programs / "node"
    program.write_text(f"#!{sys.executable}\n{_SCRIPT}")
    program.chmod(0o755)
    os.environ["PATH"] = f"{programs}:{os.environ['PATH']}"


_SCRIPT = """
import socket
for family, address in ((socket.AF_INET, "10.0.0.1"), (socket.AF_INET, "127.0.0.1"), (socket.AF_INET6, "::1")):
    try:
        socket.socket(family).connect((address, 80))
        print("met", address)
    except PermissionError:
        pass
print("cut off")
"""


if __name__ == "__main__":
    print(msgspec.json.encode(main(Path(sys.argv[1]), tuple(sys.argv[2:]) or TABLES)).decode())
