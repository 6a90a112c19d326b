"""`lineside wipe`."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path

import click

from gateway.commands.failing import FAILED, answered
from gateway.commands.printing import counted, printable
from gateway.config.glance import Glance, glance
from gateway.contract import ConfigError
from gateway.life import wipe as life
from gateway.life.neighbours import Belongings, belongings
from gateway.outbox.lock import state_lock

_NOT_DONE = 1
_MOST_NAMED = 20
_UNKNOWN = "may be this gateway's or somebody else's: look at it, and delete it yourself"
_FLASH = (
    "What was overwritten may still be on flash: SD cards, eMMC and SSDs write elsewhere and keep the old cells, and so do file systems\n"
    "that copy on write. If the secrets matter, change them where they are valid, and erase the whole medium (blkdiscard, the SSD's\n"
    "secure erase), or destroy it."
)


def wipe(config: Path, *, configuration: bool, yes: bool) -> int:
    """Exit code: 0 everything is gone, 1 not, 2 cannot."""
    return answered(lambda: _wipe(config, configuration, yes))


def _wipe(config: Path, configuration: bool, yes: bool) -> int:
    known = glance(config)
    if not known.state_dir.is_dir():
        raise ConfigError(f"there is no state folder {known.state_dir}; is {config} this gateway's configuration?")
    with state_lock(known.state_dir):
        mine = belongings(config, strict=True)
        found = life.found(known.state_dir, mine, configuration=configuration)
        files = found.files
        folders = {folder: life.identity(folder) for folder in {path.parent for path in files}}
        _show(found, known, mine)
        if not (yes or _agreed(known.gateway)):
            click.echo("nothing was deleted (--yes deletes without asking)", err=True)
            return _NOT_DONE
        links = [(path, path.resolve()) for path in files if path.is_symlink()]
        left = _erase(files, folders)
        # It may be somebody else's, too, so it is not deleted; but it is likely a secret of this gateway, and nobody would look there.
        left += [f"{printable(target)}, where {printable(path)} led to" for path, target in links if target.exists()]
        left += [f"{printable(path)}, which {_UNKNOWN}" for path in found.strange]
        life.remove_folders(known.state_dir, mine, files)
    click.echo(f"{counted(sum(not path.exists() for path in files), 'files')} overwritten and deleted")
    for words in left:
        click.echo(f"lineside: still there: {words}", err=True)
    click.echo("Log lines are in the journal: journalctl --rotate && journalctl --vacuum-time=1s deletes them, with everybody else's.")
    click.echo("Backups lie where you put them; certificates of this gateway are still trusted by servers: remove them there.")
    click.echo(_FLASH)
    return FAILED if left else 0


def _show(found: life.Found, known: Glance, mine: Belongings) -> None:
    click.echo(f"{printable(known.urn)}: this deletes for good")
    tops: Counter[Path] = Counter()
    for path in found.files:
        base = known.state_dir if path.is_relative_to(known.state_dir) else mine.folder
        tops[base / path.relative_to(base).parts[0]] += 1
    for top, count in sorted(tops.items()):
        click.echo(f"  {printable(top)}" + (f"/ ({counted(count, 'files')})" if top.is_dir() and not top.is_symlink() else ""))
    if mine.others:
        click.echo(f"what belongs to other gateways stays: {printable(mine.names_of_others)} and what only they name")
    for paths, why in (
        (found.shared, "they name it, too"),
        (found.unnamed, "no configuration names it"),
        (found.strange, f"it {_UNKNOWN}"),
    ):
        for path in paths[:_MOST_NAMED]:
            click.echo(f"  stays: {printable(path)} ({why})")
        if len(paths) > _MOST_NAMED:
            click.echo(f"  stays: {len(paths) - _MOST_NAMED:,} more ({why})")


def _agreed(gateway: str) -> bool:
    return (
        sys.stdin.isatty()
        and click.prompt(f"type the gateway's name ({gateway}) to delete all of it", default="", show_default=False) == gateway
    )


def _erase(files: Sequence[Path], folders: Mapping[Path, tuple[int, int]]) -> list[str]:
    """What could not be erased, and why."""
    left = []
    for path in files:
        try:
            life.erase(path, folders[path.parent])
        except OSError as exc:
            left.append(f"{printable(path)}: {exc.strerror}")
    return left
