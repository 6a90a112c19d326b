"""Secrets by reference: from systemd credentials, the environment, or a 0600 file beside the configuration."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from gateway.contract import ConfigError, SecretRef

_PLAIN = frozenset({str, int, float, bool, type(None)})


class Secrets:
    """Looks a secret up, in this order: ``$CREDENTIALS_DIRECTORY/NAME``, ``$LINESIDE_SECRET_NAME``, ``secrets/NAME``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "secrets"

    def __call__(self, ref: SecretRef) -> str:
        """Raises ConfigError, naming the places that were looked at, or the file's mode when it is too open."""
        credentials = os.environ.get("CREDENTIALS_DIRECTORY")
        if credentials and _is_there(path := Path(credentials) / ref.secret):
            return _content(path)
        variable = "LINESIDE_SECRET_" + re.sub(r"[-.]", "_", ref.secret).upper()
        if value := os.environ.get(variable, "").strip():
            return _text(value, f"${variable}")
        path = self._folder / ref.secret
        if not _is_there(path):
            raise ConfigError(f"secret {ref.secret!r} is nowhere: no systemd credential, no ${variable}, no file {path}")
        mode = stat.S_IMODE(path.stat().st_mode)
        if mode & 0o077:
            raise ConfigError(f"{path} can be read by others (mode {mode:04o}); run: chmod 600 {path}")
        return _content(path)


def _is_there(path: Path) -> bool:
    """Raises ConfigError where one may not look: a folder that was closed must end neither a command nor a reload."""
    try:
        return path.is_file()
    except OSError as exc:
        raise ConfigError(f"{path} cannot be looked at: {exc.strerror}; its folder has to be open to the gateway's account") from exc


def _content(path: Path) -> str:
    """Without white space around it; an editor leaves a line end behind, one of Windows its mark before."""
    try:
        text = path.read_text(encoding="utf-8-sig").strip()
    except OSError as exc:
        raise ConfigError(f"{path} cannot be read: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{path} is not UTF-8 text") from exc
    if not text:
        raise ConfigError(f"{path} is empty")
    return text


def _text(value: str, where: str) -> str:
    """Half characters would fail where it is used. The message has nothing of it."""
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ConfigError(f"{where} is not UTF-8 text") from None
    return value


def references(model: Any) -> Iterator[tuple[str, SecretRef]]:
    """Every secret a validated options model refers to, with the option's name."""
    if isinstance(model, SecretRef):
        yield "", model
    elif isinstance(model, BaseModel):
        for name, value in vars(model).items():
            if type(value) not in _PLAIN:
                for _, ref in references(value):
                    yield type(model).model_fields[name].alias or name, ref
    elif isinstance(model, dict):
        for value in model.values():
            yield from references(value)
    elif isinstance(model, list | tuple):
        for value in model:
            yield from references(value)
