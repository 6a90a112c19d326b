"""Decommissioning: what of this gateway is on this device is overwritten and deleted, keys first. What is somebody else's stays."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from gateway.durable import sync
from gateway.life.contents import SECRET_CONFIG, holds_a_private_key, is_of_state
from gateway.life.neighbours import Belongings, Whose, before_restore, is_aside

_CHUNK = 1 << 20
_LAST = "lock"


@dataclass
class Found:
    """files    in the order they go: secrets and keys, accounts, the rest; the lock last
    strange  perhaps ours, perhaps not: in the state folder, but not of our making; or a secret or key that no configuration names, or only
             that of a gateway without a state besides; or a key that ours names elsewhere
    shared   with another gateway
    unnamed  beside the configuration: no secret, and no configuration names it
    """

    files: list[Path] = field(default_factory=list)
    strange: list[Path] = field(default_factory=list)
    shared: list[Path] = field(default_factory=list)
    unnamed: list[Path] = field(default_factory=list)


def found(state_dir: Path, mine: Belongings, *, configuration: bool) -> Found:
    """configuration   also what is no secret. Raises OSError for a folder that cannot be read."""
    result, states = Found(), [other.state for other in mine.others if other.state is not None]
    if _real(state_dir) == mine.folder:
        state_dir = mine.folder
    for path in _files(state_dir, [mine.folder, *states]):
        if is_of_state(path.relative_to(state_dir).parts[0]):
            result.files.append(path)
        elif mine.folder != state_dir:
            result.strange.append(path)
    for path in _files(mine.folder, [state_dir, *states]):
        if mine.folder != state_dir or not is_of_state(path.relative_to(state_dir).parts[0]):
            _sort(path, mine, configuration, result)
    result.strange += [path for path in mine.elsewhere if holds_a_private_key(path) and not path.is_relative_to(_real(state_dir))]
    last = state_dir / _LAST
    ordered = sorted((path for path in dict.fromkeys(result.files) if path != last), key=lambda path: _rank(path, mine.folder))
    result.files = ordered + [path for path in [last] if path.exists()]
    return result


def identity(folder: Path | int) -> tuple[int, int]:
    """Tells a folder from any other, whatever its name."""
    found = os.stat(folder)
    return found.st_dev, found.st_ino


def erase(path: Path, folder: tuple[int, int]) -> None:
    """Overwrite once, where it lies, and delete. Raises OSError; the rest can be done again.

    folder   whose identity it was found in: who may write there could put a link in its place before root comes along
    """
    place = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        if identity(place) != folder:
            raise OSError(errno.ESTALE, "its folder is another one by now")
        if stat.S_ISREG(os.stat(path.name, dir_fd=place, follow_symlinks=False).st_mode):
            flags = os.O_RDWR | os.O_NOFOLLOW | os.O_NONBLOCK
            with open(os.open(path.name, flags, dir_fd=place), "r+b", buffering=0) as file:
                left = os.fstat(file.fileno()).st_size
                while left > 0:
                    left -= file.write(os.urandom(min(left, _CHUNK)))
                os.fsync(file.fileno())
        os.unlink(path.name, dir_fd=place)
    finally:
        os.close(place)


def remove_folders(state_dir: Path, mine: Belongings, deleted: Iterable[Path]) -> None:
    """Those of ours that are empty now; state folder and configuration's folder stay: the package's."""
    ours = [state_dir / name for name in os.listdir(state_dir) if is_of_state(name)]
    if not mine.others:
        ours += [mine.folder / name for name in os.listdir(mine.folder) if name in SECRET_CONFIG or is_aside(name)]
    for top in (folder for folder in ours if not folder.is_symlink()):
        for place, _, _ in os.walk(top, topdown=False):
            _remove_if_empty(Path(place))
    tops = (state_dir, mine.folder)
    for parent in sorted({parent for path in deleted for parent in path.parents}, reverse=True):
        if any(parent != top and parent.is_relative_to(top) for top in tops) and parent not in tops:
            _remove_if_empty(parent)
    for top in tops:
        sync(top)


def _remove_if_empty(folder: Path) -> None:
    if folder.is_dir() and not folder.is_symlink() and not any(folder.iterdir()):
        folder.rmdir()


def _sort(path: Path, mine: Belongings, configuration: bool, result: Found) -> None:
    """One beside the configuration."""
    name = path.relative_to(mine.folder).as_posix()
    folder_of_secrets = before_restore(name).split("/")[0] in SECRET_CONFIG
    secret = folder_of_secrets or holds_a_private_key(path)
    if not (secret or configuration):
        return
    whose = mine.whose(name)
    # Alone here, its folders of secrets and what a restore made are its own, also what it does not name any more.
    if whose is Whose.OURS or (whose is Whose.NOBODYS and not mine.others and (folder_of_secrets or is_aside(name.split("/")[0]))):
        result.files.append(path)
    elif whose is Whose.SHARED:
        (result.shared if mine.is_used(name) or not secret else result.strange).append(path)
    elif whose is Whose.NOBODYS:
        (result.strange if secret else result.unnamed).append(path)


def _rank(path: Path, config_dir: Path) -> tuple[int, str]:
    if "pki" in path.parts or path.is_relative_to(config_dir) or holds_a_private_key(path):
        return 0, str(path)
    return (1 if path.name == "accounts.json" else 2), str(path)


def _files(folder: Path, but: Iterable[Path]) -> Iterator[Path]:
    """Everything that is no folder, hidden or not; links themselves, not what they lead to. Nothing below `but`."""

    def complain(error: OSError) -> None:
        raise error

    elsewhere = {_real(path) for path in but}
    if folder.is_dir():
        for place, folders, names in os.walk(folder, onerror=complain):
            here, real = Path(place), _real(Path(place))
            yield from (here / name for name in names)
            yield from (here / name for name in folders if (here / name).is_symlink())
            folders[:] = [name for name in folders if real / name not in elsewhere]


def _real(path: Path) -> Path:
    return Path(os.path.realpath(path))
