"""Help, version, and what is said of a command that was typed wrong."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from gateway import __version__, cli
from gateway.cli import DEFAULT_CONFIG

Lineside = Callable[..., Result]


def test_help_names_every_command_in_a_whole_sentence(lineside: Lineside) -> None:
    for arguments in (("--help",), ("outbox", "-h")):
        text = lineside(*arguments).stdout
        assert not [line for line in text.splitlines() if line.startswith("  ") and line.endswith("...")]
    assert all(f"\n  {command} " in lineside("--help").stdout for command in ("check", "demo", "outbox", "run", "schema"))


def test_help_names_the_file_that_is_taken_when_none_is_given(lineside: Lineside) -> None:
    for command in ("check", "run"):
        assert DEFAULT_CONFIG in lineside(command, "--help").stdout


def test_every_command_is_found_in_its_module() -> None:
    """Each in a process that asks for this one only."""
    written = {f"gateway.cli.{path.stem}" for path in Path(cli.__file__).parent.glob("[a-z]*.py")} - {"gateway.cli.lazy"}
    assert set(cli.MODULES) == written
    probe = """
import click, os
from gateway import cli
names = {name for names in cli.MODULES.values() for name in names}
for name in names:
    if child := os.fork():
        assert os.waitpid(child, 0)[1] == 0, name
    else:
        found = cli.main.get_command(click.Context(cli.main), name)
        os._exit(0 if found and set(cli.main.commands) <= names | {"check", "demo", "reload", "run", "schema"} else 1)
"""
    subprocess.run([sys.executable, "-c", probe], check=True, timeout=60)


def test_version(lineside: Lineside) -> None:
    assert lineside("--version").stdout == f"lineside, version {__version__}\n"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("chekc",), "No such command 'chekc'"),
        (("run", "a.yaml", "b.yaml"), "Got unexpected extra argument (b.yaml)"),
        (("check", "--jsn"), "--jsn"),
        (("run", "--log", "xml"), "'xml' is not one of 'auto', 'json', 'journal', 'console'"),
        (("outbox", "list", "--limit", "0"), "0 is not in the range x>=1"),
        (("outbox", "show"), "Missing argument 'EVENT_ID'"),
        (("schema", "--write", "a", "--events", "b"), "give --write FILE or --events FOLDER, not both"),
    ],
)
def test_a_wrong_command_says_what_is_wrong(lineside: Lineside, tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    result = lineside(*arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert "Traceback" not in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_schema_goes_only_where_a_folder_is(lineside: Lineside, tmp_path: Path) -> None:
    result = lineside("schema", "--write", "missing/lineside.schema.json")
    assert (result.exit_code, result.stdout) == (2, "")
    assert result.stderr == "lineside: missing/lineside.schema.json cannot be written: No such file or directory\n"
    (tmp_path / "file").write_text("")
    result = lineside("schema", "--events", "file/contracts")
    assert result.exit_code == 2
    assert result.stderr == "lineside: file/contracts cannot be made: Not a directory\n"
