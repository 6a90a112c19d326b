"""Whether a server's certificate is one this gateway was told to trust.

Files under the gateway's `pki` folder, ours all DER and named by their thumbprint: ``trusted/`` (servers, or authorities that sign for
them) and ``rejected/`` (seen, and waiting for somebody to decide). `lineside trust` lists and moves them.
Source: OPC UA Part 4, 6.1.3 (what to check, and what a user may let pass).
"""

from __future__ import annotations

import hashlib
import ipaddress
import json
import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.serialization import Encoding

from drivers.certificates import FIRST_SANE_YEAR

TRUSTED, REJECTED = "trusted", "rejected"
_SUFFIXES = (".der", ".crt", ".cer", ".pem")
_LONGEST_CHAIN = 5
_KEPT_REJECTED = 100  # a server that shows a new one each time must not fill the disk


class Untrusted(ConnectionError):
    """The server's certificate is not accepted; the text says why and what to do."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What a server shows of itself.

    chain      DER, as the server sent it: its own certificate, perhaps followed by those that signed it
    uri        the application URI it claims in its endpoint
    host       the host we were told to connect to
    endpoint   the address, for pinning
    """

    chain: bytes
    uri: str
    host: str
    endpoint: str


def thumbprint(der: bytes) -> str:
    """SHA-1 in lower-case hex, as OPC UA identifies certificates; it names, it does not protect."""
    return hashlib.sha1(der, usedforsecurity=False).hexdigest()


def check(shown: Shown, pki: Path, pins: Path, how: Literal["list", "first_use"], now: datetime) -> x509.Certificate:
    """The server's certificate if it may be trusted.

    A certificate that is itself in ``trusted/`` was accepted by a person: its end and its host name are not held against it (its
    end is told by `health`). One that is only signed by an authority there has to be valid now and name the host.
    `pins`: file with what was accepted by ``first_use``. Raises Untrusted, OSError.
    """
    ders = list(_split(shown.chain))
    if not ders:
        raise Untrusted("the server shows no certificate")
    certificate = _load(ders[0])
    _claims(certificate, shown.uri)
    trusted = list(_trusted(pki / TRUSTED))
    if ders[0] in trusted:
        if how == "first_use":
            _pin(pins, shown.endpoint, ders[0])
        return certificate
    if _signed_by_trusted(ders, trusted, now):
        _valid(certificate, now)
        _names(certificate, shown.host)
        return certificate
    pinned = _pinned(pins, shown.endpoint)
    if how == "first_use" and pinned is None:
        _put(pki / TRUSTED, ders[0])
        _pin(pins, shown.endpoint, ders[0])
        return certificate
    _put(pki / REJECTED, ders[0])
    changed = f"is another than the one accepted before ({pinned[:8]}…)" if how == "first_use" and pinned else "is not trusted"
    subject = certificate.subject.rfc4514_string() or "no name"
    raise Untrusted(
        f"the server's certificate ({subject}) {changed}; if it is the right one: lineside trust accept {thumbprint(ders[0])[:8]}"
    )


def _trusted(folder: Path) -> Iterator[bytes]:
    """In DER. A file that is none (a power cut left it, somebody copied something else there) keeps nobody else from being trusted."""
    for file in sorted(folder.glob("*")):
        if file.suffix in _SUFFIXES:
            with suppress(OSError, ValueError):
                raw = file.read_bytes()
                load = x509.load_pem_x509_certificate if raw.lstrip().startswith(b"-----BEGIN") else x509.load_der_x509_certificate
                yield load(raw).public_bytes(Encoding.DER)


def _claims(certificate: x509.Certificate, uri: str) -> None:
    """Part 4, 6.1.3: the URI of the endpoint has to stand in the certificate."""
    uris = [str(name) for name in _alternative(certificate, x509.UniformResourceIdentifier)]
    if uri and uri not in uris:
        raise Untrusted(f"the server calls itself {uri}, its certificate is for {', '.join(uris) or 'nobody'} (BadCertificateUriInvalid)")


def _valid(certificate: x509.Certificate, now: datetime) -> None:
    if now.year < FIRST_SANE_YEAR:
        raise Untrusted(f"clock not trusted: this gateway believes it is {now:%Y-%m-%d}; set its clock, then the certificate can be judged")
    if now < certificate.not_valid_before_utc:
        raise Untrusted(f"the server's certificate is valid from {certificate.not_valid_before_utc:%Y-%m-%d} on")
    if now > certificate.not_valid_after_utc:
        raise Untrusted(f"the server's certificate ended on {certificate.not_valid_after_utc:%Y-%m-%d}")


def _names(certificate: x509.Certificate, host: str) -> None:
    names = {str(name).lower() for name in (*_alternative(certificate, x509.DNSName), *_alternative(certificate, x509.IPAddress))}
    with suppress(ValueError):
        host = str(ipaddress.ip_address(host))
    if host.lower() not in names:
        raise Untrusted(
            f"the server's certificate is for {', '.join(sorted(names)) or 'no host'}, not for {host} (BadCertificateHostNameInvalid)"
        )


def _alternative(certificate: x509.Certificate, kind: Any) -> Sequence[object]:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (x509.ExtensionNotFound, ValueError):
        return ()
    return tuple(names.get_values_for_type(kind))


def _signed_by_trusted(ders: Sequence[bytes], trusted: Iterable[bytes], now: datetime) -> bool:
    """Whether a chain leads from the first of `ders`, over the others, to an authority in `trusted`."""
    roots, between = [_load(der) for der in trusted], [_load(der) for der in ders[1:]]
    current = _load(ders[0])
    for _ in range(_LONGEST_CHAIN):
        if any(_issued(current, root, now) for root in roots):
            return True
        above = next((each for each in between if _issued(current, each, now)), None)
        if above is None or above == current:
            return False
        current = above
    return False


def _issued(certificate: x509.Certificate, by: x509.Certificate, now: datetime) -> bool:
    try:
        if not by.extensions.get_extension_for_class(x509.BasicConstraints).value.ca:
            return False
        certificate.verify_directly_issued_by(by)
    except (x509.ExtensionNotFound, ValueError, TypeError, InvalidSignature):
        return False
    return by.not_valid_after_utc >= now


def _split(chain: bytes) -> Iterable[bytes]:
    """Certificates written one behind the other; each begins with a SEQUENCE of two bytes of length."""
    while len(chain) >= 4 and chain[:2] == b"\x30\x82":
        size = 4 + int.from_bytes(chain[2:4], "big")
        yield chain[:size]
        chain = chain[size:]


def _load(der: bytes) -> x509.Certificate:
    try:
        return x509.load_der_x509_certificate(der)
    except ValueError as exc:
        raise Untrusted(f"a certificate cannot be read: {exc}") from exc


def _put(folder: Path, der: bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    for old in sorted(folder.glob("*.der"), key=lambda file: file.stat().st_mtime)[:-_KEPT_REJECTED]:
        if folder.name == REJECTED:
            old.unlink(missing_ok=True)
    _replace(folder / f"{thumbprint(der)}.der", der)


def _pins(file: Path) -> dict[str, str]:
    try:
        pins = json.loads(file.read_bytes())
    except (FileNotFoundError, ValueError):
        return {}
    return pins if isinstance(pins, dict) else {}


def _pinned(file: Path, endpoint: str) -> str | None:
    """Thumbprint of what was accepted. None: nothing yet. Empty: the file is damaged, so something was, and no other is the first."""
    if not file.exists():
        return None
    pins = _pins(file)
    found = pins.get(endpoint, None if pins else "")
    return found if isinstance(found, str | None) else ""


def _pin(file: Path, endpoint: str, der: bytes) -> None:
    pins = _pins(file)
    if pins.get(endpoint) != thumbprint(der):
        file.parent.mkdir(parents=True, exist_ok=True)
        _replace(file, json.dumps(pins | {endpoint: thumbprint(der)}).encode())


def _replace(path: Path, content: bytes) -> None:
    """Several sources may do it at once."""
    descriptor, name = tempfile.mkstemp(prefix=".new-", dir=path.parent)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())  # a power cut leaves no empty one, which would be a damaged one
    Path(name).replace(path)
