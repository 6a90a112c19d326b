"""The gateway's application certificate: one for all its OPC UA sources, made once, kept for ten years, the same after every restart."""

from __future__ import annotations

import fcntl
import ipaddress
import os
import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CERTIFICATE, KEY = "own.der", "own.key.pem"
_YEARS = 10


@dataclass(frozen=True, slots=True)
class Own:
    """Certificate as DER, private key as PEM, and where the certificate lies for whoever has to show it to a server."""

    certificate: bytes
    key: bytes
    file: Path

    @property
    def until(self) -> datetime:
        return x509.load_der_x509_certificate(self.certificate).not_valid_after_utc


def own_certificate(folder: Path, application_uri: str, older: Iterable[Path] = (), now: datetime | None = None) -> Own:
    """From `folder`; several sources may ask at once.

    Both are made anew if one is missing, damaged or expired, or is for another `application_uri` (the host was renamed):
    servers refuse such a certificate. Before that, the first pair in a folder of `older` that fits is taken over, so that no server
    has to accept a new one. `now` is the gateway's time: a machine that boots in 1970 must not make a certificate that has ended when
    its clock is right. The key file has mode 0600. Blocks for about 0.1 s when it makes them. Raises OSError.
    """
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with _locked(folder / ".lock"):
        now = datetime.now(UTC) if now is None else now
        pair = _pair(folder, application_uri, now)
        if pair is None:
            pair = next(filter(None, (_pair(place, application_uri, now) for place in older)), None) or _made(application_uri, now)
            _write(folder / KEY, pair[1], 0o600)
            _write(folder / CERTIFICATE, pair[0], 0o644)
    return Own(*pair, folder / CERTIFICATE)


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Between threads and processes; gone with its holder."""
    with path.open("wb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _pair(folder: Path, application_uri: str, now: datetime) -> tuple[bytes, bytes] | None:
    certificate, key = folder / CERTIFICATE, folder / KEY
    if not (certificate.exists() and key.exists()):
        return None
    der, pem = certificate.read_bytes(), key.read_bytes()
    return (der, pem) if _fits(der, pem, application_uri, now) else None


def _fits(der: bytes, pem: bytes, application_uri: str, now: datetime) -> bool:
    try:
        certificate = x509.load_der_x509_certificate(der)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        private = serialization.load_pem_private_key(pem, None)
    except (ValueError, TypeError, x509.ExtensionNotFound):
        return False
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    return application_uri in uris and certificate.not_valid_after_utc > now and private.public_key() == certificate.public_key()


def _made(application_uri: str, now: datetime) -> tuple[bytes, bytes]:
    private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return _issue(private, application_uri, now), _pem(private)


def _addresses() -> list[x509.GeneralName]:
    """Of this host, as far as it knows them; nothing is sent."""
    found: set[str] = set()
    with suppress(OSError):
        found |= {str(entry[4][0]) for entry in socket.getaddrinfo(socket.gethostname(), None, type=socket.SOCK_STREAM)}
    with suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect(("192.0.2.1", 9))  # reserved for documentation: only the route is looked up
        found.add(probe.getsockname()[0])
    known = {ipaddress.ip_address(text.partition("%")[0]) for text in found}
    return [x509.IPAddress(address) for address in sorted(known, key=str) if not address.is_loopback]


def _issue(private: rsa.RSAPrivateKey, application_uri: str, now: datetime) -> bytes:
    """Self-signed as OPC UA Part 6, 6.2.2 asks: the URI in the SAN, usable as client and server."""
    host = socket.gethostname()
    names = [x509.UniformResourceIdentifier(application_uri), x509.DNSName(host), *_addresses()]
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Lineside"), x509.NameAttribute(NameOID.ORGANIZATION_NAME, host)])
    usage = x509.KeyUsage(
        digital_signature=True,
        content_commitment=True,
        key_encipherment=True,
        data_encipherment=True,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )
    built = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=365 * _YEARS))
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(private, hashes.SHA256())
    )
    return built.public_bytes(serialization.Encoding.DER)


def _pem(private: rsa.RSAPrivateKey) -> bytes:
    return private.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def _write(path: Path, content: bytes, mode: int) -> None:
    temporary = path.with_name(path.name + ".new")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "wb") as file:
        os.fchmod(descriptor, mode)  # a left-over of a crash may have had another one
        file.write(content)
        file.flush()
        os.fsync(descriptor)
    temporary.replace(path)
