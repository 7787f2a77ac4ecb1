"""Which addresses may be reached? The only answer in the house: a URL is parsed here, a name is resolved here, once, and
every address it resolves to must pass; who connects, connects to what was checked.
"""

from __future__ import annotations

import asyncio
import ipaddress
import re
import socket
import threading
import unicodedata
from collections.abc import Callable, Iterable, Sequence

import httpx2
import idna

from tiro.adapters.egress.addresses import Address, is_of_this_machine, is_public
from tiro.adapters.egress.patience import Patience
from tiro.model.errors import SourceRefused, Transient

MAX_URL_CHARS = 8192
"""Signed addresses are long, and so are redirects to them."""
Resolver = Callable[[str, int], Sequence[str]]
"""(host, port) -> IP addresses as text. Raises OSError."""

_RESOLVE_S = 10.0
_UNSEEN = re.compile(r"[\x00-\x20\x7f-\x9f\\\u2028\u2029]")
_DOTS = str.maketrans(dict.fromkeys("\u3002\uff0e\uff61", "."))
_NUMBER = re.compile(r"(?:0x[0-9a-f]*|[0-9]+)", re.IGNORECASE)
_NO_SUCH_NAME = {socket.EAI_NONAME, getattr(socket, "EAI_NODATA", socket.EAI_NONAME)}


def system_resolver(host: str, port: int) -> list[str]:
    """What the machine's resolver says."""
    return list(dict.fromkeys(str(found[4][0]) for found in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)))


class Guard:
    """Lets through https to public addresses, and https or http to `allow` (CIDRs). Refuses with SourceRefused, never naming the URL.

    This machine's own addresses count as private, whatever their numbers; `ours` is where we are known to the world, and is
    refused even in an allowed network.
    """

    def __init__(
        self, allow: Iterable[str] = (), resolver: Resolver = system_resolver, ours: str | None = None
    ) -> None:
        self._allow = tuple(ipaddress.ip_network(cidr) for cidr in allow)
        self._resolver = resolver
        self._ours = origin_of(httpx2.URL(_plain_host(ours)))[1:] if ours else None

    def parse(self, url: str, max_chars: int = MAX_URL_CHARS) -> httpx2.URL:
        """The URL in one canonical spelling: what is checked is what is used.

        Raises SourceRefused; reasons: malformed_url, url_too_long, scheme, credentials, forbidden_address.
        """
        return self._parsed(url, max_chars).copy_with(fragment=None)

    def _parsed(self, url: str, max_chars: int) -> httpx2.URL:
        if len(url) > max_chars:
            raise SourceRefused("url_too_long")
        if _UNSEEN.search(url):
            raise SourceRefused("malformed_url")
        try:
            parsed = httpx2.URL(_plain_host(url))
        except (httpx2.InvalidURL, ValueError, TypeError):
            raise SourceRefused("malformed_url") from None
        if parsed.scheme not in {"https", "http"}:
            raise SourceRefused("scheme")
        if parsed.userinfo or "@" in url.split("//", 1)[-1].split("/", 1)[0].split("?", 1)[0]:
            raise SourceRefused("credentials")
        if parsed.port is not None and not 0 < parsed.port < 65536:
            raise SourceRefused("malformed_url")
        self._check_parsed(parsed)
        return parsed

    def check(self, url: str, resolve_s: float | None = None, max_chars: int = MAX_URL_CHARS) -> None:
        """Like `parse`; `resolve_s` also asks the resolver, for that long. A name nobody can resolve now is not refused for it,
        unless the scheme is http, which needs to be allowed.
        """
        parsed = self._parsed(url, max_chars)
        plain = parsed.scheme == "http"
        if _literal(parsed.host) is not None or not (plain or resolve_s):
            return
        patience = Patience(resolve_s or _RESOLVE_S)
        try:
            self.resolve(parsed.host, port_of(parsed), patience, plain=plain)
        except Transient:
            if plain:
                raise SourceRefused("scheme") from None
        except SourceRefused as refused:
            if refused.reason == "unknown_host" and not plain:
                return
            raise

    def resolve(self, host: str, port: int, patience: Patience, *, plain: bool) -> tuple[Address, ...]:
        """Where to connect: every address of the name, all of them checked. Asks the resolver once. Blocking.

        Raises SourceRefused forbidden_address, scheme (plain http where that is not allowed), unknown_host;
        Transient source_unreachable, source_timeout, stopped.
        """
        literal = _literal(host)
        addresses = (literal,) if literal is not None else self._ask(host, port, patience)
        for address in addresses:
            self._check_address(address, plain=plain)
        return addresses

    async def resolve_async(self, host: str, port: int, timeout_s: float, *, plain: bool) -> tuple[Address, ...]:
        """The same, waited for in a thread."""
        return await asyncio.to_thread(self.resolve, host, port, Patience(timeout_s), plain=plain)

    def _check_parsed(self, url: httpx2.URL) -> None:
        if not url.host or ("%" in url.host and _literal(url.host) is None):
            raise SourceRefused("malformed_url")
        plain = url.scheme == "http"
        if plain and not self._allow:
            raise SourceRefused("scheme")
        if origin_of(url)[1:] == self._ours:
            raise SourceRefused("forbidden_address")
        literal = _literal(url.host)
        if literal is not None:
            self._check_address(literal, plain=plain)
        elif _is_local_name(url.host) and not self._allow:
            raise SourceRefused("forbidden_address")

    def _check_address(self, address: Address, *, plain: bool) -> None:
        if any(address in network for network in self._allow):
            return
        if not is_public(address) or is_of_this_machine(address):
            raise SourceRefused("forbidden_address")
        if plain:
            raise SourceRefused("scheme")

    def _ask(self, host: str, port: int, patience: Patience) -> tuple[Address, ...]:
        """The resolver cannot be interrupted: it is left alone in its thread when patience ends."""
        answer: list[Sequence[str] | OSError] = []
        done = threading.Event()

        def ask() -> None:
            try:
                answer.append(self._resolver(host, port))
            except (OSError, UnicodeError) as wrong:
                answer.append(wrong if isinstance(wrong, OSError) else socket.gaierror(socket.EAI_NONAME, "name"))
            finally:
                done.set()

        threading.Thread(target=ask, name="resolve", daemon=True).start()
        if not patience.pause(done, _RESOLVE_S) or not answer:
            raise Transient("source_unreachable", "The name could not be resolved.", reason="dns")
        return _addresses(answer[0])


def port_of(url: httpx2.URL) -> int:
    """The port, also when it goes without saying."""
    return url.port or (80 if url.scheme == "http" else 443)


def origin_of(url: httpx2.URL) -> tuple[str, str, int]:
    """Scheme, host and port."""
    return url.scheme, url.host, port_of(url)


def _addresses(answer: Sequence[str] | OSError) -> tuple[Address, ...]:
    if isinstance(answer, OSError):
        if isinstance(answer, socket.gaierror) and answer.errno in _NO_SUCH_NAME:
            raise SourceRefused("unknown_host", "The name is not known.")
        raise Transient("source_unreachable", "The name could not be resolved.", reason="dns")
    if not answer:
        raise SourceRefused("unknown_host", "The name is not known.")
    try:
        return tuple(ipaddress.ip_address(text) for text in answer)
    except ValueError:
        raise SourceRefused("forbidden_address") from None


def _plain_host(url: str) -> str:
    """The URL with its host as ASCII: compatibility forms, foreign dots and a final dot are gone before anybody looks."""
    match = re.match(
        r"(?P<scheme>[a-z][a-z0-9+.-]*)://(?P<host>[^/?#\[\]:@]*)(?P<rest>.*)\Z", url, re.IGNORECASE | re.DOTALL
    )
    if match is None or not match["host"]:
        return url
    host = unicodedata.normalize("NFKC", match["host"].translate(_DOTS)).translate(_DOTS).lower()
    host = host.removesuffix(".")
    if not host.isascii():
        host = idna.encode(host, uts46=True).decode("ascii")
    if re.search(r"[^a-z0-9._~-]", host) or ".." in host or not host or len(host) > 253:
        raise ValueError("host")
    number = _ipv4(host)
    return f"{match['scheme']}://{number if number is not None else host}{match['rest']}"


def _ipv4(host: str) -> str | None:
    """The dotted form of a host that any resolver would read as a number: 2130706433, 0x7f.1, 0177.0.0.1."""
    if not _NUMBER.fullmatch(host.rsplit(".", 1)[-1]):
        return None
    try:
        return socket.inet_ntoa(socket.inet_aton(host))
    except OSError:
        raise ValueError("host") from None


def _literal(host: str) -> Address | None:
    try:
        return ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return None


def _is_local_name(host: str) -> bool:
    return host == "localhost" or host.endswith(".localhost")
