"""What root does at a device it does as the gateway's account: what a driver writes there (certificates, locks) is for the gateway to
read and to change, and root follows no link of that account.
"""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from gateway.commands.database import Refused


@contextmanager
def as_gateway(state_dir: Path) -> Iterator[None]:
    """Whose the state folder is; nothing changes for anybody but root, nor where there is no folder, or it is root's own.

    raises Refused   a root that may not become somebody else (in a container)
    """
    owner = state_dir.stat() if os.geteuid() == 0 and state_dir.is_dir() else None
    if owner is None or owner.st_uid == 0:
        yield
        return
    group, groups = os.getegid(), os.getgroups()
    try:
        os.setgroups(_groups(owner.st_uid, owner.st_gid))
        os.setegid(owner.st_gid)
        os.seteuid(owner.st_uid)
    except PermissionError as exc:
        raise Refused(f"{state_dir} is not root's; run the command as the gateway's user") from exc
    try:
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
