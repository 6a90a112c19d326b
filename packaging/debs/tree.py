"""Lays out what a package installs, below a folder that stands for the root of the system."""

from __future__ import annotations

import gzip
import shutil
from collections.abc import Iterable
from pathlib import Path

from debs.release import Release
from debs.root import compile_all
from debs.run import run
from debs.split import Package
from debs.target import PREFIX, ROOT, Target
from debs.unpack import unpack
from debs.wheels import Wheel

HERE = ROOT / "packaging"
_SYSTEM = ("systemd", "sysusers.d", "tmpfiles.d")


def lay_out(tree: Path, package: Package, wheels: Iterable[Wheel], target: Target, release: Release) -> None:
    for wheel in wheels:
        unpack(wheel.path, tree / PREFIX, tree / target.site)
    if package.name == "lineside":
        _core(tree, target, release)
    compile_all(target, tree)
    _documents(tree / "usr/share/doc" / package.name, package, release)
    overrides = HERE / package.name / "lintian-overrides"
    if overrides.exists():
        _copy(overrides, tree / "usr/share/lintian/overrides" / package.name)


def _core(tree: Path, target: Target, release: Release) -> None:
    """Our own wheel, and what makes the distribution's Python find it and nothing else."""
    prefix = tree / PREFIX
    unpack(release.wheel, prefix, tree / target.site)
    for name in _SYSTEM:
        shutil.move(prefix / "lib" / name, tree / "usr/lib" / name)
    shutil.move(prefix / "share/lineside", tree / "usr/share/lineside")
    (prefix / "share/lineside").symlink_to("../../../share/lineside")
    _copy(HERE / "install.sh", tree / "usr/sbin/lineside-install", 0o755)
    (prefix / "bin").mkdir()
    (prefix / "bin/python3").symlink_to("../../../bin/python3")
    (prefix / "pyvenv.cfg").write_text(f"home = /usr/bin\ninclude-system-site-packages = false\nversion = {target.python}\n")
    _copy(HERE / "lineside/lineside", tree / "usr/bin/lineside", 0o755)
    _copy(HERE / "lineside/starter.yaml", tree / "etc/lineside/starter.yaml")


def _documents(folder: Path, package: Package, release: Release) -> None:
    folder.mkdir(parents=True)
    (folder / "changelog.gz").write_bytes(gzip.compress(release.changelog(package.name).encode(), mtime=0))
    if package.name == "lineside":
        for path in [ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").glob("*.md")]:
            _copy(path, folder / path.name)
        for name in ("example.yaml", "cnc-02.csv"):
            _copy(ROOT / "docs" / name, folder / "examples" / name)


def _copy(source: Path, target: Path, mode: int = 0o644) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target)
    target.chmod(mode)


def our_wheel(python: str, out: Path) -> Path:
    """Of this checkout."""
    run(python, "-m", "build", "--no-isolation", "--wheel", "--outdir", str(out), str(ROOT))
    (wheel,) = out.glob("*.whl")
    return wheel
