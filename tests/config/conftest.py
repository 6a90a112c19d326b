"""The command in a folder of its own, with the network out of reach."""

from __future__ import annotations

import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import fastjsonschema
import pytest
from click.testing import CliRunner, Result

from gateway.cli import main
from gateway.config.schema import config_schema


@pytest.fixture(scope="session")
def schema() -> dict[str, Any]:
    return config_schema()


@pytest.fixture(scope="session")
def valid(schema: dict[str, Any]) -> Callable[[Any], Any]:
    """Refuses what does not fit the schema; seconds to make."""
    validate: Callable[[Any], Any] = fastjsonschema.compile(schema, use_default=False)
    return validate


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Any connection or name look-up fails the test."""

    def refuse(*args: Any, **_: Any) -> None:
        raise AssertionError(f"touched the network: {args}")

    for name in ("connect", "connect_ex", "bind", "sendto"):
        monkeypatch.setattr(socket.socket, name, refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory of the command, without secrets in its environment."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    return tmp_path


@pytest.fixture
def lineside(folder: Path) -> Callable[..., Result]:
    def run(*arguments: str) -> Result:
        return CliRunner().invoke(main, arguments)

    return run
