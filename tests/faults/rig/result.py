"""What came of a row: one JSON file, one row of the table."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any


@dataclass
class Result:
    """See docs/reliability.md for the columns.

    recovered   seconds after each fault until a record that was taken since is at the CRM
    problems    what did not hold; empty: passed
    skipped     why it did not run
    facts       further figures of this row
    """

    key: str
    fault: str
    expected: str
    kind: str
    count: int
    seed: int
    date: str = ""
    version: str = ""
    machine: str = ""
    read: int = 0
    taken: int = 0
    stored: int = 0
    delivered: int = 0
    lost: int = 0
    silently: int = 0
    doubled: int = 0
    repeats: int = 0
    backward: int = 0
    recovered: list[float] = field(default_factory=list)
    rss_mb: float = 0.0
    disk_mb: float = 0.0
    fds: int = 0
    threads: int = 0
    hung: int = 0
    seconds: float = 0.0
    problems: list[str] = field(default_factory=list)
    skipped: str = ""
    facts: dict[str, Any] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        return not self.skipped and not self.problems

    @property
    def command(self) -> str:
        return f"python tests/faults --row {self.key} --count {self.count} --seed {self.seed}"

    def write(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"row-{self.key}.json").write_text(json.dumps(asdict(self), indent=1) + "\n", encoding="utf-8")

    @classmethod
    def of(cls, found: dict[str, Any]) -> Result:
        """Of what `write` wrote; what this version does not know is left out."""
        known = {each.name for each in fields(cls)}
        return cls(**{name: value for name, value in found.items() if name in known})
