"""Are there known holes in the locked packages? Asks pip-audit of every lock and says what it learned.

Ends with 1 where there are holes; with 0 where none is known, and where nobody could be asked.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
_PATIENCE_S = 600


def main() -> int:
    """One verdict over all locks; more words for pip-audit (`--vulnerability-service osv`) may follow on the command line."""
    found: dict[str, Mapping[str, Any]] = {}
    for lock in sorted((ROOT / "requirements").glob("*.txt")):
        print(f"audit: {lock.relative_to(ROOT)}", flush=True)
        found.update({f"{one['name']} {one.get('version', '')}": one for one in asked(lock, sys.argv[1:])})
    text, code = verdict(found.values())
    print(text)
    return code


def asked(lock: Path, words: Iterable[str]) -> list[Mapping[str, Any]]:
    """What pip-audit says of each package; nothing where it did not get through."""
    command = [Path(sys.executable).with_name("pip-audit"), "--requirement", lock, "--require-hashes", "--disable-pip"]
    told = subprocess.run(
        [*command, "--format", "json", "--progress-spinner", "off", *words],
        capture_output=True,
        timeout=_PATIENCE_S,
        check=False,
    )
    try:
        return list(json.loads(told.stdout)["dependencies"])
    except ValueError:
        print(*told.stderr.decode(errors="replace").splitlines()[-1:], sep="\n", file=sys.stderr)
        return []


def verdict(packages: Iterable[Mapping[str, Any]]) -> tuple[str, int]:
    """The last words and the exit status. A package that the database does not know was not audited, whatever pip-audit's own status."""
    packages = list(packages)
    known = [one for one in packages if "vulns" in one]
    skipped = [one["name"] for one in packages if "vulns" not in one]
    holes = [
        f"audit: {one['name']} {one['version']}: {hole['id']}, mended in {', '.join(hole['fix_versions']) or 'no version yet'}"
        for one in known
        for hole in one["vulns"]
    ]
    if not known:
        return (
            "audit: NOT DONE: the database of known holes could not be asked. Run this where the package index answers.",
            0,
        )
    lines = [*holes, f"audit: {len(known)} packages asked for, {len(holes)} known holes"]
    if skipped:
        lines.append(f"audit: not in the database, so not audited: {', '.join(sorted(skipped))}")
    return "\n".join(lines), int(bool(holes))


if __name__ == "__main__":
    sys.exit(main())
