"""Commands that plugins bring."""

from __future__ import annotations

from importlib.metadata import EntryPoint

import click
import pytest
from click.testing import CliRunner

from gateway.cli import lazy


@click.command()
def hello() -> None:
    """Say hello."""
    click.echo("hello")


@click.group(cls=lazy.Commands)
def main() -> None: ...


@main.command()
def own() -> None:
    """Be our own."""
    click.echo("own")


@pytest.fixture(autouse=True)
def brought(monkeypatch: pytest.MonkeyPatch) -> None:
    entries = {name: EntryPoint(name, value, "gateway.commands") for name, value in VALUES.items()}
    monkeypatch.setattr(lazy, "_brought", lambda: entries)


VALUES = {"hello": f"{__name__}:hello", "own": f"{__name__}:hello", "gone": "no.such.module:x", "number": "math:pi"}


def run(*arguments: str) -> tuple[int, str]:
    result = CliRunner().invoke(main, list(arguments))
    return result.exit_code, result.output


def test_a_plugin_s_command_runs_and_ours_goes_before_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EntryPoint, "load", lambda entry: hello)
    assert run("hello") == (0, "hello\n")
    assert run("own") == (0, "own\n")
    assert "hello   Say hello." in run("--help")[1]


def test_what_cannot_be_imported_or_is_no_command_is_one_line() -> None:
    assert run("gone") == (1, "Error: command 'gone' cannot be imported: No module named 'no'\n")
    assert run("number") == (1, "Error: math:pi is no command\n")
    assert run("helo")[0] == 2
