"""What all packages of one build have in common: the version, the time, our own wheel."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import format_datetime
from pathlib import Path

from debs.run import run
from debs.target import ROOT, Target

MAINTAINER = "Lineside developers <lineside@example.org>"


@dataclass(frozen=True, slots=True)
class Release:
    """`version`: ours, without what says for which Debian; `epoch`: seconds, of the last commit."""

    version: str
    epoch: int
    wheel: Path

    def debian_version(self, target: Target) -> str:
        """One for each release of Debian, rising with it, so that `apt full-upgrade` to the next one takes the right package."""
        return f"{self.version}+deb{target.debian}"

    def changelog(self, package: str) -> str:
        when = format_datetime(datetime.fromtimestamp(self.epoch, UTC))
        what = "  * See /usr/share/doc/lineside/CHANGELOG.md.\n"
        return f"{package} ({self.version}) stable; urgency=medium\n\n{what}\n -- {MAINTAINER}  {when}\n"


def epoch() -> int:
    """SOURCE_DATE_EPOCH: the same sources give the same bytes."""
    return int(run("git", "-C", str(ROOT), "log", "-1", "--format=%ct"))


def version() -> str:
    found = re.search(r'^__version__ = "([^"]+)"', (ROOT / "gateway/__init__.py").read_text(encoding="utf-8"), re.MULTILINE)
    if found is None:
        raise SystemExit("gateway/__init__.py has no __version__")
    return found[1]
