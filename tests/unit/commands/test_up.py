"""What `tiro up` tells a person who has just started it."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click

from cli import main
from commands.embedded import Running
from commands.folder import DataFolder
from commands.up import announcement


def test_it_names_each_way_in_with_lines_that_can_be_pasted(tmp_path: Path) -> None:
    """Both commands, told of a folder that is not the usual one, and both APIs, with the key."""
    data = str(tmp_path / "my data")
    running = Running("http://127.0.0.1:1", None, "127.0.0.1:2", "acct_1", "the-key", data, ("scripted",), "acoustic")
    said = announcement(running, DataFolder(Path(data)))
    tried = [shlex.split(line) for line in re.findall(r"^  (\S* ?(?:transcribe|batch|-H) .*)$", said, re.MULTILINE)]
    commands = [words[1:] for words in tried if words[0] != "curl"]
    assert [words[:3] for words in commands] == [[name, "--data", data] for name in ("transcribe", "batch")]
    for name, *words in commands:
        command = main.get_command(click.Context(main), name)
        assert command is not None
        command.make_parser(click.Context(command)).parse_args(words)
    curls = [words for words in tried if words[0] == "curl"]
    assert [words[-1] for words in curls] == ["http://127.0.0.1:1/v1/transcribe", "http://127.0.0.1:1/jobs"]
    assert all("Authorization: Bearer the-key" in words for words in curls)
