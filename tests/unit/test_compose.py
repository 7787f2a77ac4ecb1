"""Is the compose file fit to run: pinned, watched, without default secrets, and speaking of settings that exist?"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from tiro import settings
from tiro.adapters.temporal import names
from tiro.adapters.temporal.devserver import server_arguments

ROOT = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILES = sorted((ROOT / "deploy").glob("Dockerfile.*"))
SECRETS = re.compile(r"PASSWORD|PWD|SECRET|ACCESS_KEY|_KEY\b|DATABASE_URL")
REQUIRED = re.compile(r"\$\{(\w+):\?[^}]+\}")
EXAMPLE = dict(
    line.split("=", 1) for line in (ROOT / ".env.example").read_text().splitlines() if line and not line.startswith("#")
)


def _one_shot(service: dict[str, Any]) -> bool:
    return str(service["restart"]).startswith("on-failure")


def _ours() -> dict[str, dict[str, Any]]:
    return {name: service for name, service in SERVICES.items() if service["image"].startswith("tiro/")}


def _images() -> list[str]:
    from_line = re.compile(r"^(?:FROM|COPY --from=)\s*(\S+:\S+)", re.MULTILINE)
    built = [image for path in DOCKERFILES for image in from_line.findall(path.read_text())]
    return sorted({*built, *(service["image"] for service in SERVICES.values())})


@pytest.mark.parametrize("image", _images())
def test_every_image_is_pinned_to_a_full_version(image: str) -> None:
    tag = image.rpartition(":")[2]
    assert re.match(r"\d+\.\d+", tag), f"{image} moves under our feet"


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_is_watched_or_ends_by_itself(name: str) -> None:
    service = SERVICES[name]
    if not _one_shot(service):
        assert {"test", "interval", "timeout", "retries", "start_period"} <= service["healthcheck"].keys()


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_service_waits_for_can_come_true(name: str) -> None:
    for other, wish in SERVICES[name].get("depends_on", {}).items():
        ends = _one_shot(SERVICES[other])
        assert wish["condition"] == ("service_completed_successfully" if ends else "service_healthy")


def test_no_secret_has_a_default() -> None:
    for name, service in SERVICES.items():
        for key, value in service.get("environment", {}).items():
            if SECRETS.search(key):
                assert REQUIRED.search(value), f"{name}: {key}"
                assert ":-" not in value, f"{name}: {key}"


def test_the_example_names_every_variable_and_gives_no_value() -> None:
    used = set(re.findall(r"\$\{(\w+)", (ROOT / "docker-compose.yml").read_text()))
    assert EXAMPLE.keys() == used
    assert not any(EXAMPLE.values())


def test_only_known_settings_are_set() -> None:
    """The same check as at the start of each process, with values as the operator would have filled them in."""
    for name, service in _ours().items():
        filled = {key: re.sub(r"\$\{[^}]+\}", "", str(value)) for key, value in service["environment"].items()}
        filled |= {"TIRO_PUBLIC_URL": "https://tiro.example", "TIRO_SECRET_KEY": "c2VjcmV0", "TIRO_LOG": "info"}
        read = settings.read(filled)
        assert read.temporal.address == "temporal:7233", name


@pytest.mark.parametrize("profile", ["cpu", "gpu"])
def test_every_profile_serves_every_queue(profile: str) -> None:
    served: list[str] = []
    for service in _ours().values():
        command = service["command"]
        if "--queue" in command and profile in service.get("profiles", [profile]):
            served += command[command.index("--queue") + 1].split(",")
    assert sorted(served) == sorted(names.QUEUES)


def test_nothing_but_loopback_is_published_unless_asked() -> None:
    for service in SERVICES.values():
        for port in service.get("ports", []):
            assert port.startswith(("127.0.0.1:", "${TIRO_BIND:-127.0.0.1}:"))


def test_records_and_flow_cannot_be_reached_from_outside() -> None:
    assert COMPOSE["networks"]["inside"]["internal"] is True
    for name in ("postgres", "seaweedfs", "temporal"):
        assert SERVICES[name]["networks"] == ["inside"]


def test_our_containers_have_no_rights_to_lose() -> None:
    for service in _ours().values():
        assert service["read_only"]
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
    for path in DOCKERFILES:
        assert "\nUSER tiro\n" in path.read_text()


def test_images_are_built_from_hashed_locks() -> None:
    for path in DOCKERFILES:
        for install in re.findall(r"pip install .*", path.read_text()):
            assert "--require-hashes -r requirements/" in install or "--no-deps --no-build-isolation" in install


def test_the_image_that_downloads_carries_a_javascript_runtime() -> None:
    assert "requirements/core.txt" in (ROOT / "deploy/Dockerfile.server").read_text()
    lock = (ROOT / "requirements/core.txt").read_text()
    assert re.search(r"^deno==", lock, re.MULTILINE)
    assert re.search(r"^yt-dlp-ejs==", lock, re.MULTILINE)


def test_temporal_is_told_about_priority_and_fairness_and_to_keep_to_itself() -> None:
    """As the server beside `tiro up`."""
    told = yaml.safe_load((ROOT / "deploy/temporal/dynamic.yaml").read_text())
    arguments = server_arguments(port=1, ui_port=None, database=None)
    ours = [arguments[at + 1].split("=") for at, word in enumerate(arguments) if word == "--dynamic-config-value"]
    assert told == {name: [{"value": yaml.safe_load(value)}] for name, value in ours}
    assert SERVICES["temporal"]["environment"]["DYNAMIC_CONFIG_FILE_PATH"].endswith("/dynamic.yaml")


def test_what_computes_for_minutes_makes_way_for_what_answers() -> None:
    """Nobody is nice across containers; where processors are short their shares decide."""
    behind = {name for name, service in SERVICES.items() if service.get("cpu_shares", 1024) < 1024}
    assert behind == {"speech", "speech-gpu", "voices", "voices-gpu"}
