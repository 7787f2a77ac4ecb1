"""What weakens this server? One function per wall that settings, files or the system leave open, each with what to do about it."""

from __future__ import annotations

import asyncio
import ipaddress
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

from commands.folder import SECRETS
from commands.subject import Check, Finding, Subject
from tiro.adapters.media import walls
from tiro.adapters.vault import derive, guessable

_LISTENING = "0A"
"""The state of a socket in /proc/net/tcp."""


async def secret_key(subject: Subject) -> list[Finding]:
    """It signs tokens and seals what lies at rest: whoever guesses it is everybody. Raises Invalid for one that is too short."""
    if subject.fresh and not subject.environ.get("TIRO_SECRET_KEY"):
        return []
    derive(subject.settings.secret_key, "tokens")
    if not guessable(subject.settings.secret_key):
        return []
    fix = "`openssl rand -base64 32`; all tokens end, webhook secrets have to be made anew."
    return [Finding("secret_key_weak", "fail", "TIRO_SECRET_KEY is no random number: it can be guessed.", fix)]


async def public_address(subject: Subject) -> list[Finding]:
    """Keys and tokens are read by everybody on the way where nothing encrypts them."""
    url = urlsplit(subject.settings.public_url)
    if url.scheme == "https":
        return []
    if not _is_loopback(url.hostname or ""):
        text = f"Clients reach {url.hostname} in plain http: keys, tokens and recordings can be read on the way."
        fix = "End TLS in a proxy in front, and set TIRO_PUBLIC_URL to its https address."
        return [Finding("public_url_plain", "warn", text, fix)]
    if subject.embedded:
        return []  # listens on loopback alone
    openly = await asyncio.to_thread(_listens_openly, url.port or 80)
    if not openly:
        return []
    text = f"Port {url.port or 80} answers at {', '.join(openly)}, and TIRO_PUBLIC_URL has no https."
    fix = "`tiro serve --host 127.0.0.1` behind a proxy that ends TLS, and its address as TIRO_PUBLIC_URL."
    return [Finding("listens_openly", "warn", text, fix)]


async def allowed_networks(subject: Subject) -> list[Finding]:
    """Strangers' addresses may lead there, so what stands there must bear it."""
    allowed = subject.settings.egress_allow
    if not allowed:
        return []
    text = f"Any account can make this server ask {', '.join(allowed)}, in plain http too."
    fix = "Allow single addresses (10.1.2.3/32) that are meant to be asked, or unset TIRO_EGRESS_ALLOW."
    return [Finding("egress_opened", "warn", text, fix)]


async def logs(subject: Subject) -> list[Finding]:
    """Libraries say more at this level than we can answer for."""
    if subject.settings.log != "debug":
        return []
    text = "TIRO_LOG=debug: libraries write down what they do, with addresses and sizes."
    return [Finding("log_debug", "warn", text, "TIRO_LOG=info, once the trouble is found.")]


async def files(subject: Subject) -> list[Finding]:
    """The data folder is its owner's alone."""
    if subject.folder is None or not subject.folder.exists():
        return []
    open_to_others = [str(path) for path in _kept(subject.folder) if stat.S_IMODE(path.stat().st_mode) & 0o077]
    if not open_to_others:
        return []
    text = f"Others on this machine can read {', '.join(open_to_others)}."
    return [Finding("files_open", "warn", text, f"chmod go= {' '.join(open_to_others)}")]


async def user(_: Subject) -> list[Finding]:
    """A process that is taken over has the rights of its user."""
    if os.geteuid() != 0:
        return []
    return [Finding("runs_as_root", "warn", "This runs as root.", "Give Tiro a user of its own, as the images do.")]


async def cluster(subject: Subject) -> list[Finding]:
    """Temporal asks nobody who they are, unless told to."""
    access = subject.settings.temporal
    host = (access.address or "127.0.0.1:0").rpartition(":")[0].strip("[]")
    if _is_loopback(host) or access.tls or access.api_key or access.tls_client_cert:
        return []
    text = f"The cluster at {access.address} is reached without TLS: whoever is on the way reads and steers it."
    fix = "TEMPORAL_TLS with a client certificate, or a network that only these machines share."
    return [Finding("temporal_plain", "warn", text, fix)]


async def decoder(_: Subject) -> list[Finding]:
    """What a decoder child is kept from, by trying it."""
    had = await asyncio.to_thread(walls.tried)
    if had.calls:
        network = "an empty network" if had.network else "no network of its own, which the filter makes up for"
        return [Finding("decoder", "ok", f"Children that decode have a system call filter and {network}.")]
    text = "Children that decode strangers' recordings have no system call filter here"
    text += "." if had.network else ", and no network of their own: one that is taken over can call home."
    fix = "It takes x86_64 and a kernel with seccomp; in a container, a runtime that lets processes set filters of their own."
    return [Finding("decoder_open", "warn", text, fix)]


CHECKS: dict[str, Check] = {
    "secret key": secret_key,
    "public address": public_address,
    "allowed networks": allowed_networks,
    "logs": logs,
    "files": files,
    "user": user,
    "cluster": cluster,
    "decoder": decoder,
}
"""Name -> check, in the order of the report."""


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


def _kept(folder: Path) -> Iterator[Path]:
    yield folder
    yield from (folder / name for name in SECRETS if (folder / name).exists())


def _listens_openly(port: int) -> list[str]:
    """Addresses other than loopback at which somebody on this machine listens on this port."""
    found = set()
    for table in ("tcp", "tcp6"):
        listed = Path("/proc/net", table)
        for line in listed.read_text().splitlines()[1:] if listed.exists() else ():
            _, local, _, state, *_ = line.split()
            address, _, at = local.partition(":")
            if state == _LISTENING and int(at, 16) == port:
                found.add(_address(address))
    return sorted(str(one) for one in found if not one.is_loopback)


def _address(words: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address:
    """As the kernel writes it: words of 32 bits, each with its lowest byte first."""
    raw = b"".join(bytes.fromhex(words[at : at + 8])[::-1] for at in range(0, len(words), 8))
    address = ipaddress.ip_address(raw)
    return (address.version == 6 and address.ipv4_mapped) or address
