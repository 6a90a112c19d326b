"""Our application certificate: made once, kept for ten years, the same after every restart."""

from __future__ import annotations

import os
import socket
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CERTIFICATE, KEY = "own.der", "own.key.pem"
_YEARS = 10


def own_certificate(folder: Path, application_uri: str) -> tuple[bytes, bytes]:
    """(certificate as DER, private key as PEM), from `folder`.

    Both are made anew if one is missing, damaged or expired, or is for another `application_uri` (the host was renamed):
    servers refuse such a certificate. The key file has mode 0600. Blocks for about 0.1 s when it makes them.
    Raises OSError.
    """
    certificate, key = folder / CERTIFICATE, folder / KEY
    if not (certificate.exists() and key.exists() and _fits(certificate.read_bytes(), application_uri)):
        folder.mkdir(parents=True, exist_ok=True)
        private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        _write(key, _pem(private), 0o600)
        _write(certificate, _issue(private, application_uri), 0o644)
    return certificate.read_bytes(), key.read_bytes()


def _fits(der: bytes, application_uri: str) -> bool:
    try:
        certificate = x509.load_der_x509_certificate(der)
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (ValueError, x509.ExtensionNotFound):
        return False
    uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    return application_uri in uris and certificate.not_valid_after_utc > datetime.now(UTC)


def _issue(private: rsa.RSAPrivateKey, application_uri: str) -> bytes:
    """Self-signed as OPC UA Part 6, 6.2.2 asks: the URI in the SAN, usable as client and server."""
    host = socket.gethostname()
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "Lineside"), x509.NameAttribute(NameOID.ORGANIZATION_NAME, host)])
    now = datetime.now(UTC)
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
        .add_extension(x509.SubjectAlternativeName([x509.UniformResourceIdentifier(application_uri), x509.DNSName(host)]), critical=False)
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
