"""A real systemd as PID 1 of a container, on a machine whose own PID 1 may be anything. Needs root, mmdebstrap, systemd-container.

The container gets a control group hierarchy (version 2) in a mount namespace of its own, as systemd wants it. Where version 1 holds the
controllers of memory and tasks, MemoryMax= and TasksMax= are read there but not enforced; devices and addresses are.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from packaging.markers import Marker

ROOT = Path(__file__).parents[3]
PACKAGES = "systemd,systemd-sysv,dbus,python3,python3-venv,procps"
GROUPS = "/sys/fs/cgroup"


def make(suite: str, folder: Path) -> Path:
    """A Debian with the gateway as a wheel in /opt/lineside/venv, by the steps of systemd/README.md. Kept below build/."""
    root = folder / suite
    if not (root / "opt/lineside/venv/bin/pip").exists():
        shutil.rmtree(root, ignore_errors=True)
        folder.mkdir(parents=True, exist_ok=True)
        run("mmdebstrap", "--variant=minbase", "--mode=root", f"--include={PACKAGES}", suite, str(root))
        run("chroot", str(root), "python3", "-m", "venv", "/opt/lineside/venv")
    if not (root / "opt/lineside/wheels/installed").exists():
        packages(root)
    install(root)
    return root


def packages(root: Path) -> None:
    """What the lock names, fetched here and installed there without a network. nkeys comes as source, hence setuptools."""
    wheels = root / "opt/lineside/wheels"
    version = run("chroot", str(root), "python3", "-c", "import sys; print('%d.%d' % sys.version_info[:2])").strip()
    platforms = [f"--platform=manylinux{tag}_x86_64" for tag in ("_2_28", "_2_17", "2014")]
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet", "download", "--no-deps", "-d", str(wheels))
    wheels.mkdir(exist_ok=True)
    (wheels / "gateway.lock").write_text(fitting((ROOT / "locks/gateway.lock").read_text(), version))
    run(*pip, *platforms, f"--python-version={version}", "--require-hashes", "-r", str(wheels / "gateway.lock"))
    run(*pip, "setuptools", "wheel", "packaging")
    inside = ("chroot", str(root), "/opt/lineside/venv/bin/pip", "--disable-pip-version-check", "--quiet", "install", "--no-index")
    run(*inside, "-f", "/opt/lineside/wheels", "--require-hashes", "-r", "/opt/lineside/wheels/gateway.lock")
    (wheels / "installed").touch()


def fitting(lock: str, version: str) -> str:
    """What of the lock is for this Python; pip would ask the one it runs in."""
    python = {"python_version": version, "python_full_version": f"{version}.0"}
    kept = []
    for block in re.split(r"\n(?=\S)", lock.strip()):
        requirement, _, rest = block.partition(" \\\n")
        name, _, marker = requirement.partition(" ; ")
        if not marker or Marker(marker).evaluate(python):
            kept.append(f"{name} \\\n{rest}")
    return "\n".join(kept) + "\n"


def install(root: Path) -> None:
    """This checkout's wheel over what is there; a folder of configuration as on the first day."""
    out = root / "opt/lineside/dist"
    shutil.rmtree(out, ignore_errors=True)
    run(sys.executable, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(out), str(ROOT))
    (wheel,) = out.glob("*.whl")
    pip = (
        "chroot",
        str(root),
        "/opt/lineside/venv/bin/pip",
        "--disable-pip-version-check",
        "--quiet",
        "install",
        "--no-index",
        "--no-deps",
    )
    run(*pip, "--force-reinstall", f"/opt/lineside/dist/{wheel.name}")
    for folder in ("etc/lineside", "var/lib/lineside", "var/lib/lineside-two", "etc/systemd/system/lineside.service.d"):
        shutil.rmtree(root / folder, ignore_errors=True)
    venv = root / "opt/lineside/venv/lib"
    for kind, name in (("sysusers.d", "lineside.conf"), ("tmpfiles.d", "lineside.conf"), ("systemd/system", "lineside.service")):
        shutil.copy(venv / kind / name, root / "usr/lib" / kind / name)
    for name in ("lineside@.service", "lineside-clock.service"):
        shutil.copy(venv / "systemd/system" / name, root / "usr/lib/systemd/system")


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
        command = ["nsenter", "-t", str(self._pid), "-m", "-u", "-i", "-n", "-p", "-C", *words]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)

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
