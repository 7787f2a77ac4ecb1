"""What the server was told, read once from the environment and `tiro.toml`, checked, and frozen. Secrets have no default."""

from __future__ import annotations

import ipaddress
import math
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit

import msgspec

from tiro.model.errors import Invalid
from tiro.model.plans import DEFAULT_PLANS, Plan, plans_from
from tiro.model.temporal import TemporalAccess

DIARIZERS = ("channels", "pyannote", "acoustic", "scripted")
MOST_PER_S = 500
"""Every submission that still counts is remembered by its moment."""
MOST_WINDOWS = 256
"""Of a batch: its audio lies in memory that worker and model host share."""
LogLevel = Literal["debug", "info", "warning", "error"]
WhisperContext = Literal["auto", "full", "short"]
_OURS_ELSEWHERE = {"TIRO_DATA", "TIRO_SERVER", "TIRO_KEY"}
"""Names of ours that only the command line reads."""


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a process of ours needs to know."""

    database_url: str
    blobs_url: str
    secret_key: str
    """Base64 of 32 random bytes: signs tokens and seals what is kept at rest. The same in all processes."""
    temporal: TemporalAccess = TemporalAccess()
    engines: tuple[str, ...] = ()
    """The chain; empty: faster_whisper, or pocketsphinx where no Whisper can run."""
    whisper_model: str | None = None
    """Name or folder; None: large-v3-turbo on a GPU, small on a CPU."""
    whisper_batch: int | None = None
    """Windows that a model host hears together; this and the next two: what nobody names is measured at the first start."""
    whisper_context: WhisperContext = "auto"
    """How far the encoder looks: `full` pads every pass to 30 s, `short` takes windows at their own length."""
    whisper_window_s: float | None = None
    """The longest window."""
    whisper_calibrate: bool = True
    """False: nothing is measured; what nobody names follows the rule for the machine."""
    openai_url: str | None = None
    openai_key: str | None = None
    openai_model: str = "whisper-1"
    assemblyai_url: str = "https://api.assemblyai.com"
    assemblyai_key: str | None = None
    diarizer: str | None = None
    """None: pyannote when it can run, else acoustic."""
    pyannote_model: str | None = None
    """Name or folder of the pipeline."""
    span_s: float = 150.0
    replicas: int | None = None
    """Model hosts; None: on a CPU as many as are fastest here (at most one per core), one per GPU."""
    plans: tuple[Plan, ...] = DEFAULT_PLANS
    """Every plan that there is; TIRO_PLANS names a file that changes the usual ones and adds others."""
    egress_allow: tuple[str, ...] = ()
    """CIDRs that downloads and webhooks may reach although they are private."""
    public_url: str = "http://127.0.0.1:8080"
    s3_public_url: str | None = None
    """The S3 server as clients reach it, in presigned addresses; None: as we do."""
    log: LogLevel = "info"
    scratch: str = ""
    """Folder for files in passing; empty: the system's."""
    cache: str = ""
    """Folder for what was measured of this machine; empty: the user's cache. An embedded server has it in its data folder."""
    hook_scale: float = 1.0
    """Stretches the webhook schedule; tests shrink it."""
    submissions_per_s: int | None = None
    """Jobs that an account may hand in per second; None: as many as it likes."""
    embedded: bool = False


_NAMES: dict[str, str] = {
    "TIRO_DATABASE_URL": "database_url",
    "TIRO_BLOBS": "blobs_url",
    "TIRO_SECRET_KEY": "secret_key",
    "TIRO_ENGINES": "engines",
    "TIRO_WHISPER_MODEL": "whisper_model",
    "TIRO_WHISPER_BATCH": "whisper_batch",
    "TIRO_WHISPER_CONTEXT": "whisper_context",
    "TIRO_WHISPER_WINDOW_S": "whisper_window_s",
    "TIRO_WHISPER_CALIBRATE": "whisper_calibrate",
    "TIRO_OPENAI_URL": "openai_url",
    "TIRO_OPENAI_KEY": "openai_key",
    "TIRO_OPENAI_MODEL": "openai_model",
    "TIRO_ASSEMBLYAI_URL": "assemblyai_url",
    "TIRO_ASSEMBLYAI_KEY": "assemblyai_key",
    "TIRO_DIARIZER": "diarizer",
    "TIRO_PYANNOTE_MODEL": "pyannote_model",
    "TIRO_SPAN_S": "span_s",
    "TIRO_REPLICAS": "replicas",
    "TIRO_PLANS": "plans",
    "TIRO_EGRESS_ALLOW": "egress_allow",
    "TIRO_PUBLIC_URL": "public_url",
    "TIRO_S3_PUBLIC_URL": "s3_public_url",
    "TIRO_LOG": "log",
    "TIRO_SCRATCH": "scratch",
    "TIRO_HOOK_SCALE": "hook_scale",
    "TIRO_SUBMISSIONS_PER_S": "submissions_per_s",
}
_LISTS = {"engines", "egress_allow"}
_TEMPORAL: dict[str, str] = {
    "TEMPORAL_ADDRESS": "address",
    "TEMPORAL_NAMESPACE": "namespace",
    "TEMPORAL_API_KEY": "api_key",
    "TEMPORAL_TLS": "tls",
    "TEMPORAL_TLS_CLIENT_CERT_PATH": "tls_client_cert",
    "TEMPORAL_TLS_CLIENT_KEY_PATH": "tls_client_key",
}


def read(
    environ: Mapping[str, str], toml: Path | None = None, defaults: Mapping[str, object] | None = None
) -> Settings:
    """Settings from `defaults`, then the file, then the environment (later wins). Raises Invalid `invalid_setting` naming the variable.

    The file has the same names as the environment, in lower case and without `TIRO_` (`span_s = 120`, `engines = ["pocketsphinx"]`);
    plans may stand in it as tables (`[plans.free]`), instead of the name of another file with such tables.
    """
    values: dict[str, object] = dict(defaults or {})
    values.update(_from_file(toml) if toml is not None and toml.exists() else {})
    for name, raw in environ.items():
        if not name.startswith("TIRO_") or name in _OURS_ELSEWHERE:
            continue
        if name not in _NAMES:
            raise Invalid(
                "invalid_setting", f"{name} is not a setting of Tiro. Known: {', '.join(sorted(_NAMES))}.", param=name
            )
        if not raw:
            continue  # set to nothing is how a compose file says: not set
        field = _NAMES[name]
        values[field] = _split(raw) if field in _LISTS else raw
    if "plans" in values:
        values["plans"] = _plans(values["plans"])
    values["temporal"] = {field: environ[name] for name, field in _TEMPORAL.items() if environ.get(name)}
    try:
        settings = msgspec.convert(values, Settings, strict=False)
    except msgspec.ValidationError as wrong:
        raise Invalid("invalid_setting", f"A setting is missing or wrong: {_by_variable(str(wrong))}.") from None
    return _checked(settings)


def _by_variable(complaint: str) -> str:
    """Fields by the names under which they are set."""
    for name, field in {**_NAMES, **_TEMPORAL}.items():
        complaint = complaint.replace(f"`{field}`", name).replace(f"`$.{field}`", name)
    return complaint


def _split(raw: str) -> list[str]:
    return [piece.strip() for piece in raw.split(",") if piece.strip()]


def _plans(told: object) -> tuple[Plan, ...]:
    """From the tables themselves, or from the file that is named."""
    if not isinstance(told, str):
        return plans_from(told)
    table = _toml(Path(told))
    _require(set(table) <= {"plans"}, told, "may hold nothing but tables such as [plans.free]")
    return plans_from(table.get("plans", {}))


def _toml(path: Path) -> dict[str, object]:
    try:
        return tomllib.loads(path.read_text())
    except (OSError, ValueError, RecursionError) as wrong:
        raise Invalid("invalid_setting", f"{path.name} cannot be read: {wrong}.", param=path.name) from None


def _from_file(path: Path) -> dict[str, object]:
    table = _toml(path)
    known = {name.removeprefix("TIRO_").lower(): field for name, field in _NAMES.items()}
    for name in table:
        if name not in known:
            raise Invalid(
                "invalid_setting",
                f"{name} in {path.name} is not a setting. Known: {', '.join(sorted(known))}.",
                param=name,
            )
    return {known[name]: value for name, value in table.items()}


def _checked(settings: Settings) -> Settings:
    _require(60 <= settings.span_s <= 240, "TIRO_SPAN_S", "must lie between 60 and 240 seconds")
    _require(
        settings.diarizer is None or settings.diarizer in DIARIZERS,
        "TIRO_DIARIZER",
        f"must be one of {', '.join(DIARIZERS)}",
    )
    _require(
        settings.submissions_per_s is None or 1 <= settings.submissions_per_s <= MOST_PER_S,
        "TIRO_SUBMISSIONS_PER_S",
        f"must lie between 1 and {MOST_PER_S}",
    )
    _require(0 <= settings.hook_scale < math.inf, "TIRO_HOOK_SCALE", "must be a number from 0 on")
    _require(settings.replicas is None or settings.replicas >= 1, "TIRO_REPLICAS", "must be at least 1")
    batch, window_s = settings.whisper_batch, settings.whisper_window_s
    _require(
        batch is None or 1 <= batch <= MOST_WINDOWS, "TIRO_WHISPER_BATCH", f"must lie between 1 and {MOST_WINDOWS}"
    )
    _require(window_s is None or 5 <= window_s <= 30, "TIRO_WHISPER_WINDOW_S", "must lie between 5 and 30 seconds")
    for name, url in (("TIRO_PUBLIC_URL", settings.public_url), ("TIRO_S3_PUBLIC_URL", settings.s3_public_url)):
        _require(url is None or _scheme(url) in {"http", "https"}, name, "must be an http or https address")
    _require(
        _scheme(settings.blobs_url) in {"file", "s3", "memory"},
        "TIRO_BLOBS",
        "must be file:///folder or s3://bucket/prefix",
    )
    for cidr in settings.egress_allow:
        try:
            ipaddress.ip_network(cidr)
        except ValueError:
            raise Invalid(
                "invalid_setting",
                f"TIRO_EGRESS_ALLOW: {cidr} is not a CIDR such as 10.1.0.0/16.",
                param="TIRO_EGRESS_ALLOW",
            ) from None
    return settings


def _scheme(url: str) -> str:
    try:
        return urlsplit(url).scheme
    except ValueError:
        return ""


def _require(holds: bool, name: str, wish: str) -> None:
    if not holds:
        raise Invalid("invalid_setting", f"{name} {wish}.", param=name)
