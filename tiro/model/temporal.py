"""What is needed to reach a Temporal cluster."""

from __future__ import annotations

import msgspec


class TemporalAccess(msgspec.Struct, frozen=True):
    """Address (`host:port`), namespace and credentials. `address` None: an embedded server has to be started."""

    address: str | None = None
    namespace: str = "default"
    api_key: str | None = None
    tls: bool = False
    tls_client_cert: str | None = None
    tls_client_key: str | None = None
