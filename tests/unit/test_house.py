"""Do the files keep the rules of the house that no linter knows?"""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
FILE_LINES = 400
FUNCTION_LINES = 40
SAYS_NOTHING = {"utils.py", "helpers.py", "common.py", "misc.py"}
ROOMS = ("workflows", "activities", "api", "tiro")
# put together here, so that this file does not hold what it looks for
REGISTRIES = re.compile(
    "|".join(
        left + right
        for left, right in [
            ("python", r"hosted\.org"),
            ("py", r"pi\.org/simple"),
            (r"proxy\.go", r"lang\.org"),
            (r"registry\.npm", r"js\.org"),
            (r"repo\d*\.ma", r"ven"),
            (r"deb\.deb", r"ian\.org"),
            (r"static\.cra", r"tes\.io"),
        ]
    )
)
MACHINE_PATHS = re.compile(r"(?<![\w.])/(?:work|root|home/(?!tiro\b)\w+)/")
OUTSIDE = ".." + "/shared"


def _tracked() -> list[Path]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return sorted(ROOT / name for name in listed.stdout.split("\0") if name and (ROOT / name).is_file())


def _texts() -> Iterator[tuple[str, str]]:
    for path in _tracked():
        try:
            yield str(path.relative_to(ROOT)), path.read_text()
        except UnicodeDecodeError:
            continue


def _modules() -> list[tuple[str, str]]:
    return [(name, text) for name, text in _texts() if name.endswith(".py")]


def _functions(text: str) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def _called(node: ast.AST) -> Iterator[tuple[int, str]]:
    for inner in ast.walk(node):
        if isinstance(inner, ast.Call):
            yield inner.lineno, ast.unparse(inner.func)


def test_no_file_is_longer_than_its_cap() -> None:
    long = [
        f"{name}: {len(text.splitlines())} lines" for name, text in _modules() if len(text.splitlines()) > FILE_LINES
    ]
    assert not long, f"split these, by the questions they answer: {long}"


def test_no_function_is_longer_than_its_cap() -> None:
    long = [
        f"{name}:{function.lineno} {function.name}: {(function.end_lineno or 0) - function.lineno + 1} lines"
        for name, text in _modules()
        for function in _functions(text)
        if (function.end_lineno or 0) - function.lineno + 1 > FUNCTION_LINES
    ]
    assert not long, f"give the parts of these names: {long}"


def test_every_file_has_a_name_that_says_something() -> None:
    assert not [name for name, _ in _modules() if Path(name).name in SAYS_NOTHING]


def test_every_module_opens_with_the_question_it_answers() -> None:
    silent = [name for name, text in _modules() if text.strip() and not ast.get_docstring(ast.parse(text))]
    assert not [name for name in silent if not name.startswith("tests/")]


def test_every_room_is_a_package_with_a_map() -> None:
    folders = {
        parent
        for name, _ in _modules()
        if name.startswith(ROOMS)
        for parent in Path(name).parents
        if parent.parts and not {"migrations", "versions"} & set(parent.parts)
    }
    assert not [str(folder) for folder in sorted(folders) if not (ROOT / folder / "__init__.py").is_file()]


def test_the_map_of_a_room_names_all_that_is_in_it() -> None:
    files = {Path(name) for name, _ in _modules() if name.startswith((*ROOMS, "commands"))}
    forgotten = []
    for face in (ROOT / file for file in files if file.name == "__init__.py" and "migrations" not in file.parts):
        map_ = ast.get_docstring(ast.parse(face.read_text())) or ""
        room = face.parent.relative_to(ROOT)
        inside = {file.relative_to(room).parts[0].removesuffix(".py") for file in files if room in file.parents}
        forgotten += [f"{room}/{name}" for name in inside - {"__init__"} if not re.search(rf"\b{name}\b", map_)]
    assert not forgotten, f"say in the docstring of their __init__ what these are for: {sorted(forgotten)}"


def test_workflows_wait_for_their_children_by_name() -> None:
    """asyncio.gather leaves the others running when one fails; workflows cancel what they started."""
    found = [
        f"{name}:{line}"
        for name, text in _modules()
        if name.startswith("workflows/")
        for line, call in _called(ast.parse(text))
        if call == "asyncio.gather"
    ]
    assert not found


def test_workflows_start_activities_through_the_table_of_stations() -> None:
    """Timeouts, retries and queues stand in workflows/stations.py, once."""
    found = [
        f"{name}:{line} {call}"
        for name, text in _modules()
        if name.startswith("workflows/") and name != "workflows/stations.py"
        for line, call in _called(ast.parse(text))
        if re.fullmatch(r"(?:workflow\.)?(?:start|execute)_(?:local_)?activity(?:_method|_class)?", call)
    ]
    assert not found


def test_no_code_waits_for_an_owner() -> None:
    words = re.compile(r"#\s*(?:TO" + "DO|FIX" + "ME|X" + r"XX)\b")
    assert not [name for name, text in _modules() if words.search(text)]


@pytest.mark.parametrize(
    "pattern", [REGISTRIES, MACHINE_PATHS, re.compile(re.escape(OUTSIDE))], ids=["registry", "machine path", "outside"]
)
def test_no_file_names_what_belongs_to_one_machine(pattern: re.Pattern[str]) -> None:
    found = [f"{name}: {match.group()}" for name, text in _texts() if (match := pattern.search(text))]
    assert not found


def test_the_default_install_has_no_torch() -> None:
    for name in ("core", "dev"):
        assert not re.search(r"^(?:torch|nvidia-)", (ROOT / f"requirements/{name}.txt").read_text(), re.MULTILINE)


def test_every_declared_requirement_is_locked() -> None:
    """`make lock` was run after the last change of pyproject.toml."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = {
        "core": [*project["dependencies"], *extras["postgres"], *extras["s3"]],
        "dev": [*project["dependencies"], *extras["postgres"], *extras["s3"], *extras["dev"]],
        "diarization": [*project["dependencies"], *extras["diarization"]],
    }
    for lock, requirements in wanted.items():
        locked = set(re.findall(r"^([\w-]+)==", (ROOT / f"requirements/{lock}.txt").read_text(), re.MULTILINE))
        names = {re.split(r"[\[~=<>! ;]", requirement)[0].replace(".", "-").lower() for requirement in requirements}
        assert names <= locked, f"make lock: {names - locked}"
