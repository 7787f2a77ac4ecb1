"""A web server on 127.0.0.1 that answers exactly what a test scripts, down to the byte, in plain or under TLS."""

from __future__ import annotations

import contextlib
import datetime as dt
import ipaddress
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID


class Visit:
    """One request and the way to answer it. `ended` is set when the server goes away: what would last for ever waits on it."""

    def __init__(self, sock: socket.socket, head: bytes, body: bytes, ended: threading.Event) -> None:
        lines = head.decode("latin-1").split("\r\n")
        self.method, self.path, _ = lines[0].split(" ", 2)
        self.headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
        self.body = body
        self.sock = sock
        self.ended = ended

    def send(self, data: bytes) -> None:
        self.sock.sendall(data)

    def answer(self, status: int = 200, body: bytes = b"", headers: Mapping[str, str] | None = None) -> None:
        lines = {"Content-Length": str(len(body)), "Connection": "close"} | dict(headers or {})
        head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
        self.send(f"HTTP/1.1 {status} X\r\n{head}\r\n".encode() + body)

    def drip(self, data: bytes, pause_s: float) -> None:
        """Byte by byte until the other side has had enough."""
        while not self.ended.is_set():
            for byte in data:
                self.send(bytes([byte]))
                if self.ended.wait(pause_s):
                    return

    def reset(self) -> None:
        """Hang up rudely: RST, not FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
        self.sock.close()


Script = Callable[[Visit], None]


class ScriptedHttp:
    """Answers every path by its script; keeps what was asked in `visits`."""

    def __init__(
        self, scripts: Mapping[str, Script], tls: ssl.SSLContext | None = None, listener: socket.socket | None = None
    ) -> None:
        self.scripts = dict(scripts)
        self.visits: list[Visit] = []
        self._tls = tls
        self._ended = threading.Event()
        self._listener = listener or socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._thread = threading.Thread(target=self._accept, daemon=True)

    def url(self, path: str = "/", host: str = "127.0.0.1") -> str:
        return f"{'https' if self._tls else 'http'}://{host}:{self.port}{path}"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()

    def met(self, sock: socket.socket) -> None:
        """Somebody has come, in the order of coming; nothing was said yet."""

    def _accept(self) -> None:
        threads: list[threading.Thread] = []
        while not self._ended.is_set():
            try:
                sock, _ = self._listener.accept()
            except OSError:
                break
            self.met(sock)
            threads.append(threading.Thread(target=self._serve, args=(sock,), daemon=True))
            threads[-1].start()
        for thread in threads:
            thread.join(10)

    def _serve(self, sock: socket.socket) -> None:
        sock.settimeout(10)
        try:
            if self._tls:
                sock = self._tls.wrap_socket(sock, server_side=True)
            with sock:
                self._answer(sock)
        except (OSError, ValueError):
            sock.close()

    def _answer(self, sock: socket.socket) -> None:
        data = b""
        while b"\r\n\r\n" not in data:
            chunk = sock.recv(65536)
            if not chunk:
                return
            data += chunk
        head, _, body = data.partition(b"\r\n\r\n")
        visit = Visit(sock, head, body, self._ended)
        while len(visit.body) < int(visit.headers.get("content-length", "0")):
            chunk = sock.recv(65536)
            if not chunk:
                return
            visit.body += chunk
        self.visits.append(visit)
        self.scripts[visit.path.partition("?")[0]](visit)


def certificate(folder: Path, *names: str, valid: tuple[int, int] = (-1, 1)) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """(server's context, a client's that trusts it), for a self-signed certificate over host names and IP addresses.

    `valid`: from when to when, in days from now.
    """
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])])
    now = dt.datetime.now(dt.UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now + dt.timedelta(days=valid[0]))
        .not_valid_after(now + dt.timedelta(days=valid[1]))
        .add_extension(x509.SubjectAlternativeName([_name(name) for name in names]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    chain = folder / "chain.pem"
    chain.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        + made.public_bytes(serialization.Encoding.PEM)
    )
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(chain)
    client = ssl.create_default_context(cadata=made.public_bytes(serialization.Encoding.PEM).decode())
    return server, client


def _name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
