"""What a package is built for: a release of Debian, whose Python the wheels have to fit, and a machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]
BUILD = ROOT / "build"
RELEASES = {"bookworm": (12, "3.11", 36), "trixie": (13, "3.13", 41)}
"""Debian's number, its Python, and the minor number of its glibc."""
MACHINES = {"amd64": "x86_64", "arm64": "aarch64"}
PREFIX = "usr/lib/lineside"
"""Where Python and what it imports lie; nothing there is found by another program."""


@dataclass(frozen=True, slots=True)
class Target:
    suite: str
    arch: str

    def __str__(self) -> str:
        return f"{self.suite}-{self.arch}"

    @property
    def debian(self) -> int:
        return RELEASES[self.suite][0]

    @property
    def python(self) -> str:
        return RELEASES[self.suite][1]

    @property
    def python_after(self) -> str:
        """The first one that the wheels do not fit any more."""
        major, minor = self.python.split(".")
        return f"{major}.{int(minor) + 1}"

    @property
    def site(self) -> str:
        return f"{PREFIX}/lib/python{self.python}/site-packages"

    @property
    def platforms(self) -> list[str]:
        """Tags of wheels (PEP 600) that run there, the best first."""
        machine = MACHINES[self.arch]
        return [*(f"manylinux_2_{minor}_{machine}" for minor in range(RELEASES[self.suite][2], 16, -1)), f"manylinux2014_{machine}"]

    @property
    def environment(self) -> dict[str, str]:
        """What markers of requirements ask (PEP 508); the Python that builds is another one."""
        return {
            "implementation_name": "cpython",
            "os_name": "posix",
            "platform_machine": MACHINES[self.arch],
            "platform_python_implementation": "CPython",
            "platform_system": "Linux",
            "python_full_version": f"{self.python}.0",
            "python_version": self.python,
            "sys_platform": "linux",
            "extra": "",
        }
