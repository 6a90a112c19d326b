"""Certificates near their end are told by every driver that speaks TLS, once at the connect and then once a day."""

from __future__ import annotations

import ssl
import time
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import trustme

from drivers.certificates import Certificates, expiring
from gateway import registry
from gateway.contract import Health, Severity, Source, Trouble
from gateway.testkit.clock import FakeClock
from gateway.testkit.contexts import source_context
from gateway.testkit.servers.modbus import Plc
from gateway.testkit.servers.mqtt import Mosquitto, require_mosquitto

DAY_NS = 86_400 * 10**9
NOW = datetime(2027, 1, 15, tzinfo=UTC)
NOW_NS = round(NOW.timestamp() * 1e9)


def in_days(days: float) -> datetime:
    return datetime.now(UTC) + timedelta(days=days)


def build(kind: str, options: Mapping[str, Any], tag: Mapping[str, Any], told: list[Health]) -> Source:
    plugin = registry.source(kind)
    return plugin.build(plugin.options.model_validate(options), source_context(plugin, {"t": tag}, told=told))


async def certificates(source: Source, told: list[Health]) -> Health:
    """What was told of them on connecting."""
    await source.connect()
    await source.close()
    (found,) = [health for health in told if health.trouble is Trouble.CERTIFICATE]
    return found


def own_file(folder: Path, authority: trustme.CA, days: float) -> Path:
    path = folder / "edge.pem"
    authority.issue_cert("edge", not_before=in_days(-1), not_after=in_days(days)).private_key_and_cert_chain_pem.write_to_path(path)
    return path


@pytest.mark.parametrize(
    ("theirs", "ours", "expected"),
    [(90, 90, ""), (20, 90, "the broker's certificate ends on {theirs}"), (90, 20, "our certificate ends on {ours}")],
)
async def test_mqtt_tells_of_the_brokers_and_of_ours(tmp_path: Path, theirs: float, ours: float, expected: str) -> None:
    require_mosquitto()
    authority = trustme.CA()
    async with Mosquitto(tls=True, authority=authority, until=in_days(theirs), extra="require_certificate true") as broker:
        told: list[Health] = []
        options = {"mqtt": broker.url, "ca": broker.ca, "certificate": own_file(tmp_path, authority, ours)}
        health = await certificates(build("mqtt", options, {"topic": "p/t"}, told), told)
    assert health.active == bool(expected)
    assert health.why == expected.format(theirs=f"{in_days(theirs):%Y-%m-%d}", ours=f"{in_days(ours):%Y-%m-%d}")


@pytest.mark.parametrize(
    ("theirs", "ours", "expected"),
    [(90, 90, ""), (20, 90, "the device's certificate ends on {theirs}"), (90, 20, "our certificate ends on {ours}")],
)
async def test_modbus_tells_of_the_devices_and_of_ours(tmp_path: Path, theirs: float, ours: float, expected: str) -> None:
    authority, tls = trustme.CA(), ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost", "127.0.0.1", not_before=in_days(-1), not_after=in_days(theirs)).configure_cert(tls)
    authority.cert_pem.write_to_path(tmp_path / "ca.pem")
    async with Plc(tls=tls) as plc:
        told: list[Health] = []
        options = {"modbus": plc.url, "ca": tmp_path / "ca.pem", "certificate": own_file(tmp_path, authority, ours)}
        health = await certificates(build("modbus", options, {"at": 40001}, told), told)
    assert health.active == bool(expected)
    assert health.why == expected.format(theirs=f"{in_days(theirs):%Y-%m-%d}", ours=f"{in_days(ours):%Y-%m-%d}")


async def test_without_tls_nothing_is_told() -> None:
    told: list[Health] = []
    async with Plc() as plc:
        source = build("modbus", {"modbus": plc.url}, {"at": 40001}, told)
        await source.connect()
        await source.close()
    assert not [health for health in told if health.trouble is Trouble.CERTIFICATE]


async def test_a_connection_that_lasts_is_looked_at_once_a_day() -> None:
    clock, told = FakeClock(NOW_NS), list[Health]()
    watched = Certificates(source_context(registry.source("modbus"), {}, clock=clock, told=told))
    watched.seen({"our": NOW + timedelta(days=61)})
    for _ in range(10):
        watched.look()
    assert [health.active for health in told] == [False]
    await clock.advance(2 * 86_400)
    watched.look()
    assert [health.active for health in told] == [False, True]


def test_what_has_ended_is_an_error_and_a_clock_before_2020_knows_of_nothing() -> None:
    ends = {"our": NOW - timedelta(days=1), "the broker's": NOW + timedelta(days=400)}
    ended = expiring(ends, NOW_NS)
    assert (ended.active, ended.severity, ended.why) == (True, Severity.ERROR, "our certificate ended on 2027-01-14")
    assert not expiring(ends, time.time_ns() * 0).active
