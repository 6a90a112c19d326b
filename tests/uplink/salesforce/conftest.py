"""An org to send to, and a key to log in with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from gateway.testkit.servers.salesforce import App, Salesforce

USER = "gateway@acme.example"


@dataclass(frozen=True)
class Pair:
    """Both PEM."""

    key: str
    certificate: str


def make_pair() -> Pair:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gateway")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=365))
        .sign(key, hashes.SHA256())
    )
    private = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return Pair(private.decode(), certificate.public_bytes(serialization.Encoding.PEM).decode())


@pytest.fixture(scope="session")
def pair() -> Pair:
    return make_pair()


@pytest.fixture
async def org(pair: Pair) -> AsyncIterator[Salesforce]:
    async with Salesforce(app=App(certificate=pair.certificate)) as server:
        yield server
