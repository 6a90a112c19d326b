"""What in the state folder the gateway's account cannot use: root ran the gateway once, or copied something there."""

from __future__ import annotations

import os
import pwd
import shlex
from collections.abc import Iterable, Iterator
from fnmatch import fnmatchcase
from pathlib import Path

from gateway.doctor.finding import Finding, error
from gateway.doctor.permissions import Account, Entry, allowed, look

_IN_PLACE = ("outbox.db", "outbox.db-*", "lock", ".lock", "reserve", "probe", "audit.pending", "posted.keys")
"""Written where they lie; everything else is read, and replaced by a new file."""
_NOT_ITS_OWN = (".restore", "before-restore-*", "outbox.db.damaged-*", "lost+found")
"""At the top: for people, the medium's, or done with. A restore looks after its own."""
_MOST_NAMED = 3


def whose(state: Entry) -> Account | None:
    """The folder's owner: where there is no account `lineside`, the gateway runs as that one."""
    try:
        entry = pwd.getpwuid(state.uid)
    except KeyError:
        return None
    return Account(name=entry.pw_name, uid=state.uid, gids=frozenset(os.getgrouplist(entry.pw_name, entry.pw_gid)))


def unusable(state: Path, owner: Account) -> Iterator[Entry]:
    """In order; of a folder that is closed only itself. Raises OSError when one may not look oneself."""
    if owner.uid != 0:  # root may do all of it
        yield from _below(state, owner, _NOT_ITS_OWN)


def _below(folder: Path, owner: Account, left_out: tuple[str, ...] = ()) -> Iterator[Entry]:
    itself = look(folder)
    if not allowed(itself, owner, 0o7):
        yield itself
        return
    with os.scandir(folder) as found:
        names = sorted((each.name, each.is_dir(follow_symlinks=False)) for each in found)
    for name, is_folder in names:
        if _matches(name, left_out):
            continue
        if is_folder:
            yield from _below(folder / name, owner)
        else:
            entry = look(folder / name)
            if entry.mode >= 0 and not allowed(entry, owner, 0o6 if _matches(name, _IN_PLACE) else 0o4):
                yield entry


def judge(state: Path, found: Iterable[Entry], owner: Account) -> Iterator[Finding]:
    entries = list(found)
    if not entries:
        return
    names = ", ".join(os.path.relpath(entry.path, state) for entry in entries[:_MOST_NAMED])
    more = f" and {len(entries) - _MOST_NAMED:,} more" if len(entries) > _MOST_NAMED else ""
    place = shlex.quote(str(state.resolve()))  # chown -R goes nowhere from a link
    strange = any(entry.uid != owner.uid for entry in entries)
    closed = any(entry.mode & 0o600 != 0o600 for entry in entries)
    steps = [f"sudo chown -R {owner.name}: {place}"] * strange + [f"sudo chmod -R u+rwX {place}"] * closed
    yield error(f"in the state folder {state} {owner.name} may not read or write {names}{more}", " && ".join(steps))


def _matches(name: str, patterns: tuple[str, ...]) -> bool:
    return any(fnmatchcase(name, pattern) for pattern in patterns)
