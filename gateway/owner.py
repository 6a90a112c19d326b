"""What root does in a folder of the gateway's account."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def as_owner_of(folder: Path) -> Iterator[None]:
    """Root works there as the one whose folder it is: what it writes is for the gateway to read and to change, and whoever has taken that
    account over, and puts a link in the way meanwhile, has nothing written that they could not write themselves.

    Nothing changes for anybody but root, nor where there is no folder, or it is root's own. Where the account cannot get to (a folder
    above is root's alone) it could do nothing of that either.

    raises PermissionError   a root that may not become somebody else (in a container)
    """
    owner = folder.stat() if os.geteuid() == 0 and folder.is_dir() else None
    if owner is None or owner.st_uid == 0:
        yield
        return
    group, groups = os.getegid(), os.getgroups()
    try:
        os.setgroups(_groups(owner.st_uid, owner.st_gid))
        os.setegid(owner.st_gid)
        os.seteuid(owner.st_uid)
        if not os.access(folder, os.W_OK | os.X_OK, effective_ids=True):
            os.seteuid(0)
        yield
    finally:
        os.seteuid(0)
        os.setegid(group)
        os.setgroups(groups)


def _groups(uid: int, gid: int) -> list[int]:
    """A serial line is opened by one of them."""
    try:
        return os.getgrouplist(pwd.getpwuid(uid).pw_name, gid)
    except KeyError:
        return [gid]
