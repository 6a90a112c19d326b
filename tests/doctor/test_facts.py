"""Each check with the facts that provoke each of its findings, and with facts that provoke none. Every finding has a remedy in one line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.config.problems import Problem
from gateway.doctor import certificates, clock, configuration, disk, holdings, machine, network, permissions, service, versions
from gateway.doctor.finding import Finding
from gateway.doctor.options import Endpoint

NOW = 1_800_000_000.0
MB = 1 << 20
CLOCK = clock.Clock(now=NOW, synchronised=True, source="chrony", rtc=NOW + 1)
DISK = disk.Disk(
    folder=Path("/s"), free_bytes=9000 * MB, free_inodes=10**6, kind="ext4", read_only=False, device="/dev/sda2", is_sd_card=False, life=1
)
CERTIFICATE = certificates.Certificate(path=Path("/c.pem"), subject="CN=x", begins=NOW - 1, ends=NOW + 90 * 86_400)
OWNER = permissions.Account(name="lineside", uid=5, gids=frozenset({5, 20}))
STATE = permissions.Entry(path=Path("/s"), mode=0o700, uid=5, gid=5)
CONFIG = permissions.Entry(path=Path("/c"), mode=0o640, uid=0, gid=5)
SERIAL = permissions.Entry(path=Path("/dev/ttyUSB0"), mode=0o660, uid=0, gid=20)
UNIT = {"LoadState": "loaded", "ActiveState": "active", "UnitFileState": "enabled", "MainPID": "7", "NRestarts": "0", "WatchdogUSec": "30s"}
SERVICE = service.Service(unit=UNIT, holder=7, cgroup="")
MACHINE = machine.Machine(available_bytes=500 * MB, celsius=50.0, throttled=0)
VERSIONS = versions.Versions(python=(3, 11, 2), sqlite=(3, 40, 1), locked={"click": frozenset({"8.1"})}, installed={"click": "8.1"})
PLC = Endpoint("press-07", "plc", 502)


def told(found: Any) -> list[str]:
    findings: list[Finding] = list(found)
    for finding in findings:
        assert finding.remedy
        assert "\n" not in finding.remedy + finding.what
    return [f"{finding.weight.value}: {finding.what}" for finding in findings]


def only(found: Any, begins: str) -> None:
    (said,) = told(found)
    assert said.startswith(begins)


@pytest.mark.parametrize(
    ("change", "begins"),
    [
        ({"now": 0.0, "rtc": 1.0}, "error: the clock says 1970"),
        ({"source": "", "synchronised": False}, "warning: nobody sets the clock"),
        ({"synchronised": False}, "warning: chrony has not set the clock yet"),
        ({"rtc": None}, "warning: there is no clock with a battery"),
        ({"rtc": NOW - 500}, "warning: the clock with the battery is -500 s off"),
    ],
)
def test_clock(change: dict[str, Any], begins: str) -> None:
    assert told(clock.judge(CLOCK)) == []
    only(clock.judge(replace(CLOCK, **change)), begins)


@pytest.mark.parametrize(
    ("change", "begins"),
    [
        ({"read_only": True}, "error: /s (ext4 on /dev/sda2) is read-only"),
        ({"free_bytes": 200 * MB}, "error: /s (ext4 on /dev/sda2) has 200 MB free, less than min_free"),
        ({"free_bytes": 300 * MB}, "warning: /s (ext4 on /dev/sda2) has 300 MB free, too little"),
        ({"free_inodes": 10}, "error: /s (ext4 on /dev/sda2) has only 10 inodes"),
        ({"kind": "tmpfs"}, "error: /s (tmpfs on /dev/sda2) is in memory"),
        ({"kind": "nfs4"}, "error: /s (nfs4 on /dev/sda2) is over the network"),
        ({"kind": "vfat"}, "error: /s (vfat on /dev/sda2) survives no power cut"),
        ({"is_sd_card": True}, "warning: /s (ext4 on /dev/sda2) is an SD card"),
        ({"life": 9}, "warning: /s (ext4 on /dev/sda2) has used 80 to 90 %"),
    ],
)
def test_disk(change: dict[str, Any], begins: str) -> None:
    limits = {"min_free_bytes": 256 * MB, "max_outbox_bytes": 512 * MB}
    assert told(disk.judge(DISK, **limits)) == []
    assert told(disk.judge(replace(DISK, free_inodes=-1), **limits)) == []
    only(disk.judge(replace(DISK, **change), **limits), begins)


@pytest.mark.parametrize(
    ("one", "begins"),
    [
        (replace(CERTIFICATE, ends=NOW - 1), "error: /c.pem has ended (CN=x)"),
        (replace(CERTIFICATE, begins=NOW + 1), "warning: /c.pem (CN=x) is valid in the future only"),
        (replace(CERTIFICATE, ends=NOW + 86_400 * 10), "warning: /c.pem (CN=x) ends in 10 days"),
        (certificates.Key(path=Path("/k"), mode=0o640), "error: the private key /k can be read by others (mode 0640)"),
        (certificates.Unusable(path=Path("/x"), why="it holds no certificate"), "error: /x cannot be used"),
    ],
)
def test_certificates(one: Any, begins: str) -> None:
    assert told(certificates.judge([CERTIFICATE, certificates.Key(path=Path("/k"), mode=0o600)], NOW)) == []
    only(certificates.judge([CERTIFICATE, one], NOW), begins)


@pytest.mark.parametrize(
    ("changed", "begins"),
    [
        ({"state": replace(STATE, mode=-1)}, "error: there is no state folder /s"),
        ({"state": replace(STATE, mode=0o755)}, "warning: the state folder /s is open to others"),
        ({"state": replace(STATE, uid=0)}, "error: the state folder /s is not lineside's"),
        ({"config": replace(CONFIG, mode=0o666)}, "error: /c can be changed by others"),
        ({"config": replace(CONFIG, gid=0)}, "error: /c cannot be read by lineside"),
        ({"private": [replace(CONFIG, path=Path("/t"), mode=0o644)]}, "error: /t can be read by others"),
        ({"private": [replace(CONFIG, path=Path("/secrets/t"), mode=0o600)]}, "error: /secrets/t cannot be read by lineside"),
    ],
)
def test_permissions(changed: dict[str, Any], begins: str) -> None:
    fine: dict[str, Any] = {"state": STATE, "config": CONFIG, "private": [replace(CONFIG, mode=0o600)], "owner": OWNER}
    assert told(permissions.judge(**fine)) == []
    assert told(permissions.judge(**fine | {"owner": None})) == []
    only(permissions.judge(**fine | changed), begins)


def test_what_lies_in_the_state_folder_and_is_not_the_accounts() -> None:
    def entry(name: str, mode: int = 0o600, uid: int = 0) -> permissions.Entry:
        return replace(STATE, path=Path("/s") / name, mode=mode, uid=uid, gid=uid)

    assert told(holdings.judge(Path("/s"), [], OWNER)) == []
    (one,) = holdings.judge(Path("/s"), [entry(name) for name in ("lock", "outbox.db", "outbox.db-wal", "pki", "sources/a/x")], OWNER)
    assert one.what == "in the state folder /s lineside may not read or write lock, outbox.db, outbox.db-wal and 2 more"
    assert one.remedy == "sudo chown -R lineside: /s"
    (one,) = holdings.judge(Path("/s x"), [replace(entry("pki", 0o400, 5), path=Path("/s x/pki"))], OWNER)
    assert (one.what[-4:], one.remedy) == (" pki", "sudo chmod -R u+rwX '/s x'")
    (one,) = holdings.judge(Path("/s"), [entry("lock"), entry("pki", 0o400, 5)], OWNER)
    assert one.remedy == "sudo chown -R lineside: /s && sudo chmod -R u+rwX /s"


def test_serial_lines() -> None:
    assert told(permissions.judge_serial({"m": SERIAL}, OWNER)) == []
    only(permissions.judge_serial({"m": replace(SERIAL, mode=-1)}, OWNER), "error: the serial line /dev/ttyUSB0 of m is not there")
    only(permissions.judge_serial({"m": replace(SERIAL, gid=0)}, OWNER), "error: lineside may not use /dev/ttyUSB0 of m")
    (finding,) = permissions.judge_serial({"m": replace(SERIAL, gid=0)}, OWNER)
    assert finding.remedy.startswith("sudo usermod -aG root lineside")


def test_network() -> None:
    fine = network.Reached(endpoint=PLC, stage="connect", problem="")
    assert told(network.judge([fine], default_route=True)) == []
    only(network.judge([fine], default_route=False), "warning: there is no default route")
    only(network.judge([replace(fine, problem="refused")], default_route=True), "error: press-07: plc:502 takes no connection: refused")
    only(network.judge([replace(fine, stage="resolve", problem="no")], default_route=True), "error: press-07: the name plc has no address")


def test_configuration() -> None:
    missing = "secret 'x' is nowhere: no systemd credential, no $X, no file y"
    only(configuration.judge([Problem("f", 3, 1, "deliver.crm", "unknown option")], []), "error: f:3: deliver.crm: unknown option")
    only(configuration.judge([Problem("f", 3, 1, "deliver.crm", missing)], []), "warning: deliver.crm: secret 'x'")
    only(configuration.judge([], ["nothing watches machine 'm'"]), "warning: nothing watches machine")


def test_versions() -> None:
    assert told(versions.judge(VERSIONS)) == []
    only(versions.judge(replace(VERSIONS, python=(3, 10, 1))), "error: Python 3.10.1 is older than 3.11")
    only(versions.judge(replace(VERSIONS, sqlite=(3, 31, 0))), "error: SQLite 3.31.0 is older")
    many = {f"l{n}": "1" for n in range(9)}
    locked = {name: frozenset({"2", "3"}) for name in many}
    only(
        versions.judge(replace(VERSIONS, locked=locked, installed=many)),
        "warning: libraries are not those this version was tried with: l0 1, not 2 or 3",
    )
    assert told(versions.judge(replace(VERSIONS, locked=locked, installed=many)))[0].endswith("and 4 more")


@pytest.mark.parametrize(
    ("unit", "more", "begins"),
    [
        ({"ActiveState": "failed", "ExecMainStatus": "2", "MainPID": "0"}, {"holder": 0}, "error: the unit has failed (exit code 2"),
        ({"ActiveState": "inactive", "MainPID": "0"}, {"holder": 0}, "error: the unit is inactive"),
        ({"UnitFileState": "disabled"}, {}, "warning: the unit is not enabled"),
        ({"WatchdogUSec": "0"}, {}, "warning: the unit has no watchdog"),
        ({"NRestarts": "12"}, {}, "warning: the gateway was started again 12 times"),
        ({}, {"holder": 99}, "error: another process (pid 99) holds the state folder"),
        (None, {"holder": 0}, "warning: no gateway runs, and there is no unit"),
        (None, {"holder": 99}, "warning: the gateway does not run under systemd"),
    ],
)  # fmt: skip
def test_service(unit: dict[str, str] | None, more: dict[str, Any], begins: str) -> None:
    assert told(service.judge(SERVICE)) == []
    only(service.judge(replace(SERVICE, unit={} if unit is None else UNIT | unit, **more)), begins)


def test_remedies_name_the_unit_of_a_second_gateway() -> None:
    """Told of the first one's unit, the second gateway looked like one that was started by hand, to be killed."""
    assert service.unit_of(Path("/etc/lineside/press.yaml")) == "lineside@press.service"
    assert service.read(0, unit="lineside@press.service").name == "lineside@press"
    (stopped,) = service.judge(replace(SERVICE, unit=UNIT | {"ActiveState": "inactive"}, name="lineside@press"))
    assert stopped.remedy == "sudo systemctl start lineside@press"


def test_a_gateway_in_somebodys_session() -> None:
    said = told(service.judge(service.Service(unit={}, holder=9, cgroup="0::/user.slice/user-1000.slice/session-1.scope")))
    assert said[1].startswith("warning: the gateway runs in somebody's session")


@pytest.mark.parametrize(
    ("change", "begins"),
    [
        ({"available_bytes": 20 * MB}, "error: only 20 MB of memory"),
        ({"celsius": 90.0}, "error: the processor has 90 °C"),
        ({"celsius": 78.0}, "warning: the processor has 78 °C"),
        ({"limited": False}, "warning: the kernel limits no unit's memory"),
        ({"throttled": 0x10000}, "error: the supply's voltage is or was too low"),
    ],
)
def test_machine(change: dict[str, Any], begins: str) -> None:
    assert told(machine.judge(MACHINE)) == []
    assert told(machine.judge(replace(MACHINE, celsius=None))) == []
    only(machine.judge(replace(MACHINE, **change)), begins)
