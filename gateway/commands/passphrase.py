"""Where the passphrase of a backup's secrets comes from: a file only its owner can read, or somebody who types it."""

from __future__ import annotations

import stat
import sys
from pathlib import Path

import click

from gateway.contract import ConfigError
from gateway.life.sealed import LEAST


def read_passphrase(file: Path | None, *, new: bool) -> str:
    """`new`: it is asked for twice, and must be long enough. Raises ConfigError."""
    if file is not None:
        text = _from_file(file)
    elif sys.stdin.isatty():
        text = click.prompt("passphrase of the secrets", hide_input=True, confirmation_prompt=new, err=True)
    else:
        raise ConfigError("the secrets need a passphrase: give --passphrase-file FILE")
    if new and len(text) < LEAST:
        raise ConfigError(f"the passphrase has {len(text)} characters; {LEAST} is the least")
    return str(text)


def _from_file(file: Path) -> str:
    try:
        mode = stat.S_IMODE(file.stat().st_mode)
        text = file.read_text(encoding="utf-8").strip()
    except OSError as exc:
        raise ConfigError(f"{file} cannot be read: {exc.strerror}") from exc
    except UnicodeDecodeError as exc:
        raise ConfigError(f"{file} is not UTF-8 text") from exc
    if mode & 0o077:
        raise ConfigError(f"{file} can be read by others (mode {mode:04o}); run: chmod 600 {file}")
    if not text:
        raise ConfigError(f"{file} is empty")
    return text
