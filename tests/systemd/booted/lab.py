"""A real systemd as PID 1 of a container, on a machine whose own PID 1 may be anything. Needs root, mmdebstrap, systemd-container.

The container gets a control group hierarchy (version 2) in a mount namespace of its own, as systemd wants it. Where version 1 holds the
controllers of memory and tasks, MemoryMax= and TasksMax= are read there but not enforced; devices and addresses are.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[3]
GROUPS = "/sys/fs/cgroup"
LATER = "0.1.1~lab"
"""What an upgrade in the lab goes to: the same programs, another version."""


def make(suite: str, folder: Path) -> Path:
    """A Debian as it was before anybody installed the gateway, with two versions of its packages in /srv."""
    packages = folder / "packages" / suite
    shutil.rmtree(packages, ignore_errors=True)
    for options in ([], ["--version", LATER]):
        build(suite, packages, *options)
    root = folder / suite
    shutil.rmtree(root, ignore_errors=True)
    run("cp", "-a", "--reflink=auto", str(ROOT / "build/roots" / suite), str(root))
    shutil.copytree(packages, root / "srv", dirs_exist_ok=True)
    return root


def build(suite: str, out: Path, *options: str) -> None:
    """The core of this checkout, for this machine's kind; with its Debian below build/roots, if that is not there yet."""
    arch = run("dpkg", "--print-architecture").strip()
    only = ("--package", "lineside", "--suite", suite, "--arch", arch, "--out", str(out))
    run("env", f"PYTHONPATH={ROOT / 'packaging'}", sys.executable, "-m", "debs", "build", *only, *options)


def package(root: Path, later: bool = False) -> str:
    """Its path in the Debian."""
    (path,) = (path for path in (root / "srv").glob("lineside_*.deb") if (LATER in path.name) == later)
    return f"/srv/{path.name}"


def run(*words: str) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd="/")
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}\n{done.stdout}{done.stderr}")
    return done.stdout


class Lab:
    """Boots at `start`, is switched off at `stop`. `inside` runs a program there."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._pid = 0
        self._container: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        name = f"{GROUPS}/lineside-lab-{os.getpid()}"
        options = "--register=no --keep-unit --private-network --link-journal=no --console=pipe --system-call-filter=bpf --capability=all"
        script = (
            f"umount -lR {GROUPS}; mount -t cgroup2 cgroup2 {GROUPS} && mkdir -p {name} && echo $$ > {name}/cgroup.procs && "
            f"exec systemd-nspawn -q -D '{self.root}' {options} -b"
        )
        command = ["unshare", "-m", "--propagation", "private", "sh", "-c", script]
        quiet = subprocess.DEVNULL
        self._container = subprocess.Popen(command, stdin=quiet, stdout=quiet, stderr=quiet)
        until(self._booted, 60)
        until(lambda: self.inside("systemctl", "is-system-running").stdout.strip() in ("running", "degraded"), 60)

    def _booted(self) -> bool:
        assert self._container is not None
        children = Path(f"/proc/{self._container.pid}/task/{self._container.pid}/children").read_text().split()
        self._pid = next((int(pid) for pid in children if Path(f"/proc/{pid}/comm").read_text() == "systemd\n"), 0)
        return self._pid > 0

    def inside(self, *words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(self._entering(*words), capture_output=True, text=True, check=False, timeout=300)

    def started(self, *words: str) -> subprocess.Popen[str]:
        """Without waiting for its end; its output line by line."""
        quiet = subprocess.DEVNULL
        return subprocess.Popen(self._entering(*words), stdin=quiet, stdout=subprocess.PIPE, stderr=quiet, text=True)

    def _entering(self, *words: str) -> list[str]:
        return ["nsenter", "-t", str(self._pid), "-m", "-u", "-i", "-n", "-p", "-C", *words]

    def systemctl(self, *words: str) -> int:
        return self.inside("systemctl", *words).returncode

    def shown(self, name: str, unit: str = "lineside") -> str:
        return self.inside("systemctl", "show", "-p", name, "--value", unit).stdout.strip()

    def journal(self, *words: str) -> str:
        return self.inside("journalctl", "--no-pager", "-b", *words).stdout

    def write(self, path: str, text: str) -> None:
        target = self.root / path.lstrip("/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)

    def stop(self) -> None:
        if self._container is not None:
            self.inside("systemctl", "poweroff")
            try:
                self._container.wait(30)
            except subprocess.TimeoutExpired:
                self._container.kill()
                self._container.wait()


def until(condition: Callable[[], bool], seconds: float) -> float:
    """How long it took."""
    started = time.monotonic()
    while not condition():
        if time.monotonic() > started + seconds:
            raise TimeoutError(f"not within {seconds} s")
        time.sleep(0.05)
    return time.monotonic() - started
