"""`lineside trust`: the certificates of the gateway and of those it talks to, as files in folders.

``own/`` is what we show, ``trusted/`` what we accept, ``rejected/`` what somebody showed us and nobody has decided on.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha1
from pathlib import Path

import click
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.serialization import Encoding

from gateway.commands.database import Refused
from gateway.commands.printing import printable
from gateway.commands.record import record

FOLDERS = ("own", "trusted", "rejected")
SOON_DAYS = 60
_SUFFIXES = (".der", ".crt", ".cer", ".pem")


@dataclass(frozen=True)
class Shown:
    """A certificate in one of the folders; `certificate` is None if the file is none."""

    path: Path
    certificate: x509.Certificate | None
    thumbprint: str = ""

    @property
    def folder(self) -> str:
        return self.path.parent.name

    @property
    def subject(self) -> str:
        if self.certificate is None:
            return "not a certificate"
        return printable(self.certificate.subject.rfc4514_string())

    @property
    def days_left(self) -> float:
        if self.certificate is None:
            return 0.0
        return (self.certificate.not_valid_after_utc - datetime.now(UTC)).total_seconds() / 86_400


def print_list(pki: Path) -> int:
    """A line each; exit code 0. Raises Refused: there is no state folder."""
    if not pki.parent.is_dir():
        raise Refused(f"there is no folder {pki.parent}; name the gateway's state folder with --state-dir")
    found = list(certificates(pki))
    if not found:
        click.echo(f"no certificates in {pki}; ours is made when a source needs it, others come with the first connection")
    for one in found:
        left = f"{one.days_left:,.0f} days left" if one.days_left >= 0 else "EXPIRED"
        mark = "" if one.certificate is None or one.days_left > SOON_DAYS else "  renew it"
        click.echo(f"{one.folder:<9} {one.thumbprint[:12] or '-':<12}  {left:>16}  {one.subject}{mark}")
    return 0


def print_one(pki: Path, prefix: str) -> int:
    """All of it; exit code 0."""
    one = _only(pki, prefix, FOLDERS)
    certificate = one.certificate
    facts = {"file": str(one.path), "thumbprint (SHA-1)": one.thumbprint}
    if certificate is not None:
        facts |= {
            "SHA-256": certificate.fingerprint(hashes.SHA256()).hex(),
            "subject": one.subject,
            "issuer": printable(certificate.issuer.rfc4514_string()),
            "valid": f"{certificate.not_valid_before_utc:%Y-%m-%d} to {certificate.not_valid_after_utc:%Y-%m-%d}",
            "names": ", ".join(_names(certificate)) or "none",
        }
    for name, value in facts.items():
        click.echo(f"{name:<20} {value}")
    return 0


def move(pki: Path, prefix: str, *, accept: bool) -> int:
    """From rejected to trusted, or back; exit code 0."""
    source, target = ("rejected", "trusted") if accept else ("trusted", "rejected")
    one = _only(pki, prefix, (source,))
    folder = pki / target
    folder.mkdir(parents=True, exist_ok=True)
    try:
        one.path.replace(folder / one.path.name)
    except OSError as exc:
        raise Refused(f"{one.path} cannot be moved: {exc.strerror}; run the command as the gateway's user") from exc
    record(pki.parent, f"certificate {target}", one.thumbprint, before=one.folder, after=one.subject)
    click.echo(f"{one.subject} is {target} now; a source that waits for it connects at its next attempt")
    return 0


def certificates(pki: Path) -> Iterator[Shown]:
    """Of all folders, by name."""
    for name in FOLDERS:
        folder = pki / name
        if folder.is_dir() and not os.access(folder, os.R_OK):
            raise Refused(f"{folder} cannot be read; run the command as the gateway's user (sudo -u lineside lineside ...)")
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if path.suffix in _SUFFIXES and not path.name.endswith(".key.pem"):
                yield _read(path)


def _read(path: Path) -> Shown:
    raw = path.read_bytes()
    try:
        certificate = x509.load_pem_x509_certificate(raw) if raw.lstrip().startswith(b"-----BEGIN") else x509.load_der_x509_certificate(raw)
    except ValueError:
        return Shown(path, None)
    # OPC UA names a certificate by its SHA-1 (Part 4, 6.1.3), and so do the tools of every server: it identifies, it does not protect.
    return Shown(path, certificate, sha1(certificate.public_bytes(Encoding.DER), usedforsecurity=False).hexdigest())


def _only(pki: Path, prefix: str, folders: tuple[str, ...]) -> Shown:
    wanted = prefix.lower().replace(":", "").replace(" ", "")
    found = [one for one in certificates(pki) if one.folder in folders and one.thumbprint.startswith(wanted) and wanted]
    if not found:
        where = " or ".join(folders)
        raise Refused(f"no certificate {prefix!r} is in {where}; lineside trust list shows them")
    if len(found) > 1:
        raise Refused(f"{len(found)} certificates begin with {prefix!r}; give more of the thumbprint")
    return found[0]


def _names(certificate: x509.Certificate) -> Iterator[str]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return
    for name in names:
        yield printable(name.value)
