"""What do we and the child that runs yt-dlp say to each other? One line of JSON each way, through pipes."""

from __future__ import annotations

import msgspec


class Wish(msgspec.Struct, frozen=True):
    """To the child, on its standard input: it may be read nowhere else, for it holds the address and the proxy's credential."""

    url: str
    proxy_url: str
    proxy_port: int
    file: str
    max_bytes: int
    max_duration_s: float
    extractors: tuple[str, ...] = ()


class Done(msgspec.Struct, frozen=True, tag="done"):
    """The recording lies in the wished-for file."""


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """It will not come: playlist, live, drm, login_required, geo_restricted, too_large, too_long, site_refused, site_changed."""

    reason: str


class Answered(msgspec.Struct, frozen=True, tag="answered"):
    """The site answered with an http status that is an error."""

    status: int


class Broken(msgspec.Struct, frozen=True, tag="broken"):
    """The way to the site broke; later it may hold."""


Outcome = Done | Refused | Answered | Broken
