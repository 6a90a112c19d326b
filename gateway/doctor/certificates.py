"""Certificates and keys: of every TLS endpoint of the configuration, and those of OPC UA in the state folder."""

from __future__ import annotations

import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509

from gateway.doctor.finding import Finding, error, warning

SOON_DAYS = 60
_DAY = 86_400.0


@dataclass(frozen=True, kw_only=True)
class Certificate:
    """One of a file. begins, ends  seconds since 1970"""

    path: Path
    subject: str
    begins: float
    ends: float


@dataclass(frozen=True, kw_only=True)
class Unusable:
    """why   in words"""

    path: Path
    why: str


@dataclass(frozen=True, kw_only=True)
class Key:
    path: Path
    mode: int


def read(certificates: Iterable[Path], keys: Iterable[Path]) -> Iterator[Certificate | Unusable | Key]:
    """A file of authorities holds many."""
    for path in certificates:
        yield from _certificates(path)
    for path in keys:
        try:
            yield Key(path=path, mode=stat.S_IMODE(path.stat().st_mode))
        except OSError as exc:
            yield Unusable(path=path, why=exc.strerror or "cannot be read")


def of_pki(pki: Path) -> tuple[list[Path], list[Path]]:
    """Certificates (ours and the trusted ones) and keys. Raises PermissionError when one may not look."""
    found = [path for folder in (pki / "own", pki / "trusted", pki) if folder.is_dir() for path in sorted(folder.iterdir())]
    return [path for path in found if path.suffix in (".der", ".crt", ".cer")], [path for path in found if path.name.endswith(".key.pem")]


def judge(found: Iterable[Certificate | Unusable | Key], now: float) -> Iterator[Finding]:
    """Of many in one file, those that ended are told as one."""
    ended: dict[Path, list[str]] = {}
    for one in found:
        match one:
            case Key():
                if one.mode & 0o077:
                    yield error(f"the private key {one.path} can be read by others (mode {one.mode:04o})", f"sudo chmod 600 {one.path}")
            case Unusable():
                yield error(
                    f"{one.path} cannot be used: {one.why}; what needs it does not connect",
                    "put the file there, or correct the option that names it",
                )
            case Certificate() if one.ends <= now:
                ended.setdefault(one.path, []).append(one.subject)
            case Certificate() if one.begins > now:
                yield warning(f"{one.path} ({one.subject}) is valid in the future only", "check the clock first, then the certificate")
            case Certificate() if one.ends - now < SOON_DAYS * _DAY:
                yield warning(
                    f"{one.path} ({one.subject}) ends in {(one.ends - now) / _DAY:.0f} days",
                    "renew it; the gateway takes the new file at its next connection or reload",
                )
    for path, subjects in ended.items():
        yield error(
            f"{path} has ended ({subjects[0]}): peers that it stands for are refused", "renew it; lineside trust list shows those of OPC UA"
        )


def _certificates(path: Path) -> Iterator[Certificate | Unusable]:
    try:
        raw = path.read_bytes()
        pem = b"-----BEGIN" in raw
        loaded = x509.load_pem_x509_certificates(raw) if pem else [x509.load_der_x509_certificate(raw)]
    except OSError as exc:
        yield Unusable(path=path, why=exc.strerror or "cannot be read")
        return
    except ValueError:
        yield Unusable(path=path, why="it holds no certificate")
        return
    for one in loaded:
        begins, ends = one.not_valid_before_utc.timestamp(), one.not_valid_after_utc.timestamp()
        yield Certificate(path=path, subject=one.subject.rfc4514_string()[:100], begins=begins, ends=ends)
