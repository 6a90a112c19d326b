"""Help, version, and what is said of a command that was typed wrong."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from click.testing import Result

from gateway import __version__
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
