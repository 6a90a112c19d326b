"""One .tar for a plant without a network: the packages of a target, those of Debian they need, sums, a signature, what installs them."""

from __future__ import annotations

import hashlib
import io
import tarfile
import tempfile
from collections.abc import Iterable
from pathlib import Path

from debs.debian import laid_out
from debs.release import Release
from debs.run import run
from debs.target import ROOT, Target

HERE = ROOT / "packaging"


def bundle(debs: Iterable[Path], target: Target, release: Release, key: Path | None, out: Path, *, debian: Iterable[Path] = ()) -> Path:
    """
    key      an Ed25519 private key (PEM); without one the bundle is unsigned, and `install.sh` says so
    debian   packages of Debian that a minimal installation lacks
    """
    name = f"lineside-{release.debian_version(target)}-{target.arch}"
    words = {"version": release.version, "debian": str(target.debian), "suite": target.suite, "arch": target.arch, "python": target.python}
    debian = list(debian)
    words["without"] = "" if debian else "\n**This bundle was built without `debian/`**: these packages have to be there already.\n"
    readme = (HERE / "bundle/README.md").read_text(encoding="utf-8")
    for word, value in words.items():
        readme = readme.replace(f"@{word}@", value)
    files = {path.name: path.read_bytes() for path in debs} | laid_out(debian)
    files |= {"README.md": readme.encode(), "install.sh": (HERE / "install.sh").read_bytes()}
    sums = "".join(f"{hashlib.sha256(content).hexdigest()}  {file}\n" for file, content in sorted(files.items())).encode()
    files["SHA256SUMS"] = sums
    if key is not None:
        files["SHA256SUMS.sig"] = sign(sums, key)
    path = out / f"{name}.tar"
    with tarfile.open(path, "w", format=tarfile.GNU_FORMAT) as archive:
        for file, content in sorted(files.items()):
            member = tarfile.TarInfo(f"{name}/{file}")
            member.size, member.mtime, member.mode = len(content), release.epoch, 0o755 if file == "install.sh" else 0o644
            archive.addfile(member, io.BytesIO(content))
    return path


def sign(content: bytes, key: Path) -> bytes:
    """Ed25519, as `openssl pkeyutl -verify -rawin` checks it."""
    with tempfile.TemporaryDirectory() as folder:
        file, signature = Path(folder) / "content", Path(folder) / "signature"
        file.write_bytes(content)
        run("openssl", "pkeyutl", "-sign", "-rawin", "-inkey", str(key), "-in", str(file), "-out", str(signature))
        return signature.read_bytes()
