"""An org to send to, and a key to log in with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.x509.oid import NameOID

from gateway import registry
from gateway.clock import SystemClock
from gateway.contract import Event, Finding, Machine, Severity, State, Uplink, UplinkContext, Usage
from gateway.events.build import EventBuilder, rfc3339
from gateway.testkit.contexts import Secrets
from gateway.testkit.servers.salesforce import App, Salesforce

USER = "gateway@acme.example"
START_NS = 1_800_000_000_123_456_789


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


@pytest.fixture(scope="session", autouse=True)
def _keys_are_read_once() -> Iterator[None]:
    """OpenSSL proves the primes of a key whenever it is read, 50 ms each: more than all else of a login."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("jwt.algorithms.load_pem_private_key", cache(serialization.load_pem_private_key))
        yield


@pytest.fixture(scope="session")
def pair() -> Pair:
    return make_pair()


@pytest.fixture
async def org(pair: Pair) -> AsyncIterator[Salesforce]:
    async with Salesforce(app=App(certificate=pair.certificate)) as server:
        yield server


@dataclass
class Line:
    """An uplink to the org, and what it told of itself."""

    org: Salesforce
    pair: Pair
    state_dir: Path
    made: list[Uplink] = field(default_factory=list)
    usages: list[Usage] = field(default_factory=list)
    cut: list[int] = field(default_factory=list)

    @staticmethod
    def incident(number: int, state: str, **more: Any) -> Event:
        return incident(number, state, **more)

    @staticmethod
    def fact(key: str) -> Event:
        return fact(key)

    def some(self, count: int) -> list[Event]:
        """Openings of as many incidents of as many machines."""
        return [incident(1, "raised", machine=f"press-{i:03d}") for i in range(count)]

    def options(self, **more: Any) -> dict[str, Any]:
        auth = {
            "kind": "oauth2_jwt_bearer",
            "client_id": {"secret": "id"},
            "private_key": {"secret": "key"},
            "username": USER,
        }
        return {"https": self.org.url, "preset": "salesforce", "auth": auth, "timeout": "2s"} | more

    def context(self) -> UplinkContext:
        return UplinkContext(
            name="crm",
            source="urn:lineside:acme:test:test-gw",
            clock=SystemClock(),
            state_dir=self.state_dir,
            secret=Secrets({"id": "3MVG9.app", "key": self.pair.key, "secret": "s3cret"}),
            used=self.usages.append,
            cut=self.cut.append,
        )

    def build(self, **more: Any) -> Uplink:
        plugin = registry.uplink("https")
        self.made.append(plugin.build(plugin.options.model_validate(self.options(**more)), self.context()))
        return self.made[-1]

    async def connected(self, **more: Any) -> Uplink:
        uplink = self.build(**more)
        await uplink.connect()
        return uplink


@pytest.fixture
async def line(org: Salesforce, pair: Pair, tmp_path: Path) -> AsyncIterator[Line]:
    found = Line(org, pair, tmp_path)
    yield found
    for uplink in found.made:
        await uplink.close()


def incident(
    number: int, state: str, *, machine: str = "press-07", condition: str = "oil_hot", worst: Severity = Severity.WARNING, **more: Any
) -> Event:
    """The `number`-th event of one incident, as the gateway makes it."""
    builder = EventBuilder("urn:lineside:acme:test:test-gw")
    condition = "oil_temperature_high"
    id_ = builder.incident_id(machine, condition, 1)
    at = rfc3339(START_NS + number * 1_000_000_007)
    data = {
        "incident": id_,
        "state": state,
        "machine": machine,
        "asset": "02i5e000000PRESS07",
        "condition": condition,
        "title": f"{machine}: oil too hot",
        "severity": worst.name.lower(),
        "detector": "limit-1",
        "score": 1.25,
        "since": at,
        "raised": at,
        "occurrences": number,
        "tags": ["oil_temperature"],
        "explanation": {"value": 81.5, "limit": 70.0, "unit": "degC"},
        **({"cleared": at} if state == "cleared" else {}),
        **({"reason": "severity"} if state == "updated" else {}),
        **more,
    }
    return builder.of_incident(
        incident=id_,
        number=number,
        domain="limit",
        machine=Machine(name=machine, path="press-shop/line-2/cell-1", asset="02i5e000000PRESS07"),
        severity=worst,
        time_ns=START_NS + number * 1_000_000_007,
        now_ns=START_NS + number * 1_000_000_007,
        data=data,
    )


def fact(key: str) -> Event:
    finding = Finding(
        machine="mes",
        condition="milestone_reached",
        state=State.FACT,
        t_ns=START_NS,
        since_ns=START_NS,
        severity=Severity.INFO,
        title=f"order {key} reached paint",
        explanation={"order": key, "step": "paint"},
        key=key,
    )
    machine = Machine(name="mes", path="planning")
    return EventBuilder("urn:lineside:acme:test:test-gw").of_fact(
        finding, detector="order-1", domain="order", machine=machine, now_ns=START_NS
    )
