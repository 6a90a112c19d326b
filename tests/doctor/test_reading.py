"""The same facts read from a real machine, or from files as a kernel writes them where this machine has none."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from gateway.config import load
from gateway.doctor import certificates, clock, disk, holdings, machine, network, permissions, service, versions
from gateway.doctor.options import Endpoint, endpoints, serial_lines, tls_files


def put(root: Path, **files: str) -> Path:
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


def test_the_clock_of_this_machine_and_one_with_a_battery(tmp_path: Path) -> None:
    here = clock.read(time.time())
    assert here.synchronised in (True, False, None)
    put(tmp_path / "run/chrony", **{"chronyd.pid": "1"})
    put(tmp_path / "sys/class/rtc/rtc0", since_epoch="1800000000\n")
    found = clock.read(1_800_000_000.0, tmp_path)
    assert (found.source, found.rtc) == ("chrony", 1_800_000_000.0)


def test_the_disk_of_this_machine_and_a_card(tmp_path: Path) -> None:
    here = disk.read(tmp_path)
    assert here.free_bytes > 0
    assert here.kind != "unknown"
    root = tmp_path / "root"
    block = root / "sys/devices/mmc0/block/mmcblk0"
    put(block / "device", type="SD\n", life_time="0x03 0x0a\n")
    put(block / "mmcblk0p2", partition="2\n")
    (root / "sys/dev/block").mkdir(parents=True)
    (root / "sys/dev/block/179:2").symlink_to(block / "mmcblk0p2")
    mounts = "21 1 8:1 / / rw - ext4 /dev/sda1 rw\n"
    mounts += f"22 21 179:2 / {tmp_path} ro,noatime - ext4 /dev/mmcblk0p2 rw\n23 21 0:5 / {tmp_path}-other rw - tmpfs tmpfs rw\n"
    put(root / "proc/self", mountinfo=mounts)
    found = disk.read(tmp_path, root)
    assert (found.kind, found.device, found.read_only, found.is_sd_card, found.life) == ("ext4", "/dev/mmcblk0p2", True, True, 10)
    with pytest.raises(FileNotFoundError):
        disk.read(tmp_path / "missing")


@pytest.mark.skipif(os.geteuid() != 0 or sys.platform != "linux", reason="only root mounts")
def test_a_state_folder_in_memory_and_one_that_is_full(tmp_path: Path) -> None:
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1M", "tmpfs", str(tmp_path)], check=False, capture_output=True).returncode:
        pytest.skip("this container may not mount")
    try:
        (tmp_path / "state").mkdir()
        (tmp_path / "large").write_bytes(bytes(900_000))
        said = [finding.what for finding in disk.judge(disk.read(tmp_path / "state"), min_free_bytes=256 << 20, max_outbox_bytes=512 << 20)]
        assert [words.split(" ", 4)[-1][:11] for words in said] == ["has 0 MB fr", "is in memor"]
    finally:
        subprocess.run(["umount", str(tmp_path)], check=True)


def certificate(path: Path, *, begins: float, ends: float) -> None:
    key, name, now = ec.generate_private_key(ec.SECP256R1()), x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "crm")]), datetime.now(UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now + timedelta(days=begins), now + timedelta(days=ends))
    encoding = Encoding.DER if path.suffix == ".der" else Encoding.PEM
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(made.sign(key, hashes.SHA256()).public_bytes(encoding))


def test_certificates_that_ended_end_soon_or_have_not_begun(tmp_path: Path) -> None:
    pki = tmp_path / "pki"
    certificate(pki / "own/own.der", begins=-1, ends=10)
    certificate(pki / "trusted/plc.der", begins=-9, ends=-1)
    certificate(tmp_path / "ca.pem", begins=5, ends=400)
    (pki / "own/own.key.pem").write_text("key")
    (pki / "own/own.key.pem").chmod(0o644)
    (tmp_path / "not.pem").write_text("hello")
    ours, keys = certificates.of_pki(pki)
    found = certificates.judge(
        certificates.read([*ours, tmp_path / "ca.pem", tmp_path / "not.pem", tmp_path / "missing.pem"], keys), time.time()
    )
    said = sorted(finding.what.replace(str(tmp_path), "") for finding in found)
    assert said == [
        "/ca.pem (CN=crm) is valid in the future only",
        "/missing.pem cannot be used: No such file or directory; what needs it does not connect",
        "/not.pem cannot be used: it holds no certificate; what needs it does not connect",
        "/pki/own/own.der (CN=crm) ends in 10 days",
        "/pki/trusted/plc.der has ended (CN=crm): peers that it stands for are refused",
        "the private key /pki/own/own.key.pem can be read by others (mode 0644)",
    ]


def test_what_the_configuration_names(tmp_path: Path) -> None:
    settings = load(Path(__file__).parents[2] / "docs" / "example.yaml", secrets=False)
    assert [(each.name, each.host, each.port) for each in endpoints(settings)] == [
        ("press-07", "10.1.4.7", 502),
        ("cnc-02", "10.1.4.20", 4840),
        ("pump-3", "broker.plant", 8883),
        ("crm", "crm.acme.example", 443),
        ("plant", "hub.acme.example", 4222),
    ]
    file = tmp_path / "lineside.yaml"
    file.write_text(
        "version: 1\nsite: {enterprise: a, site: b, gateway: c}\nmachines:\n"
        '  line: {source: {modbus: "rtu:///dev/ttyUSB7?baud=9600"}, tags: {x: {at: 40001}}}\n'
        '  safe: {source: {modbus: "tls://plc", ca: /etc/ca.pem, certificate: /etc/c.pem, key: /etc/k.pem}, tags: {x: {at: 40001}}}\n'
        'deliver:\n  crm: {https: "https://h/x", ca: /etc/crm.pem}\n'
        '  hub: {nats: "tls://n", stream: E, client_certificate: /etc/n.pem, client_key: /etc/nk.pem}\n'
        "gateway: {page: {tls: {certificate: /etc/page.pem, key: {secret: page_key}}}}\n"
    )
    settings = load(file, secrets=False)
    assert serial_lines(settings) == {"line": Path("/dev/ttyUSB7")}
    assert {(each.name, str(each.path), each.is_key) for each in tls_files(settings)} == {
        ("safe", "/etc/ca.pem", False),
        ("safe", "/etc/c.pem", False),
        ("safe", "/etc/k.pem", True),
        ("crm", "/etc/crm.pem", False),
        ("hub", "/etc/n.pem", False),
        ("hub", "/etc/nk.pem", True),
        ("page", "/etc/page.pem", False),
    }
    assert ("safe", "plc", 802) in endpoints(settings)


def test_endpoints_that_listen_refuse_or_have_no_name() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening, socket.create_server(("127.0.0.1", 0)) as closed:
        ports = [server.getsockname()[1] for server in (listening, closed)]
        closed.close()
        asked = [Endpoint("a", "127.0.0.1", ports[0]), Endpoint("b", "127.0.0.1", ports[1]), Endpoint("c", "no-such-host.invalid", 1)]
        found = network.reach(asked)
    assert [one.endpoint.name for one in found] == ["a", "b", "c"]
    assert (found[0].problem, found[1].problem, found[2].stage) == ("", "Connection refused", "resolve")


def test_a_name_server_that_does_not_answer_holds_nobody_up(monkeypatch: pytest.MonkeyPatch) -> None:
    import threading

    released = threading.Event()
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: released.wait(20) and [])
    (one,) = network.reach([Endpoint("a", "x", 1)], seconds=0.1)
    released.set()
    assert (one.stage, one.problem) == ("resolve", "no answer in time")


def test_routes_as_the_kernel_lists_them(tmp_path: Path) -> None:
    head = "Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\n"
    lan = "eth0\t0001A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\n"
    put(tmp_path / "proc/net", route=head + lan)
    assert not network.has_default_route(tmp_path)
    put(tmp_path / "proc/net", route=head + "eth0\t00000000\t0101A8C0\t0003\t0\t0\t100\t00000000\n")
    assert network.has_default_route(tmp_path)
    zero = "0" * 32
    put(tmp_path / "proc/net", route=head, ipv6_route=f"{zero} 00 {zero} 00 {zero} ffffffff 1 0 00200200 lo\n")
    assert not network.has_default_route(tmp_path)
    put(tmp_path / "proc/net", ipv6_route=f"{zero} 00 {zero} 00 fe80{'0' * 28} 00000400 1 0 00000003 eth0\n")
    assert network.has_default_route(tmp_path)


def test_modes_and_owners_of_files(tmp_path: Path) -> None:
    secret = tmp_path / "secrets" / "token"
    put(tmp_path, secrets__token="x")
    secret.chmod(0o644)
    assert [(entry.path, entry.mode) for entry in permissions.secrets(tmp_path)] == [(secret, 0o644)]
    put(tmp_path, credentials__nats="x")
    (tmp_path / "credentials/nats").chmod(0o644)
    (tmp_path / "credentials").chmod(0o700)
    assert len(permissions.secrets(tmp_path)) == 1
    (tmp_path / "credentials").chmod(0o755)
    assert len(permissions.secrets(tmp_path)) == 2
    assert permissions.look(tmp_path / "missing").mode == -1
    root = permissions.account("root")
    assert root is not None
    assert (root.uid, 0 in root.gids) == (0, True)
    assert permissions.account("nobody-of-that-name") is None


def test_what_in_the_state_folder_the_account_cannot_use(tmp_path: Path) -> None:
    """Another account than the one whose files these are: some it may use all the same."""
    files = {
        "accounts.json": 0o600,
        "audit.head": 0o644,
        "lock": 0o644,
        "outbox.db": 0o666,
        "outbox.db-wal": 0o640,
        "pki/trusted/plc.der": 0o644,
        "sources/press-07/map.json": 0o600,
        "uplinks/crm/x": 0o600,
        "before-restore-1/outbox.db": 0o600,
        "outbox.db.damaged-1": 0o600,
        "lost+found/#123": 0o600,
    }
    for name, mode in files.items():
        put(tmp_path, **{name: ""})
        (tmp_path / name).chmod(mode)
    for folder in (tmp_path, *(path for path in tmp_path.rglob("*") if path.is_dir())):
        folder.chmod(0o777)
    (tmp_path / "uplinks").chmod(0o755)
    (tmp_path / "gone").symlink_to(tmp_path / "nowhere")
    (tmp_path / "detectors").symlink_to(tmp_path / "pki")
    other = permissions.Account(name="other", uid=os.getuid() + 77, gids=frozenset())
    found = [str(entry.path.relative_to(tmp_path)) for entry in holdings.unusable(tmp_path, other)]
    assert found == ["accounts.json", "lock", "outbox.db-wal", "sources/press-07/map.json", "uplinks"]
    assert list(holdings.unusable(tmp_path, permissions.Account(name="root", uid=0, gids=frozenset({0})))) == []
    ours = holdings.whose(permissions.look(tmp_path))
    assert ours is not None
    assert list(holdings.unusable(tmp_path, ours)) == []


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
def test_the_doctor_finds_what_root_left_in_the_gateways_folder(tmp_path: Path) -> None:
    import pwd

    from gateway.doctor import examine

    nobody = pwd.getpwnam("nobody")
    state = tmp_path / "state"
    put(state, lock="", **{"outbox.db": ""})
    state.chmod(0o700)
    os.chown(state, nobody.pw_uid, nobody.pw_gid)
    for name in ("lock", "outbox.db"):
        (state / name).chmod(0o600)
    put(tmp_path, **{"lineside.yaml": f"site: {{enterprise: a, site: b, gateway: c}}\ngateway: {{state_dir: {state}}}\n"})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(permissions, "account", lambda: None)
        found = dict(examine.examine(examine.Patient(tmp_path / "lineside.yaml", lambda _: [], network=False)))["permissions"]
    (one,) = [finding for finding in found if "lock" in finding.what]
    assert one.what == f"in the state folder {state} nobody may not read or write lock, outbox.db"
    assert one.remedy == f"sudo chown -R nobody: {state}"


def test_what_systemd_says(tmp_path: Path) -> None:
    program = tmp_path / "systemctl"
    program.write_text('#!/bin/sh\necho ActiveState=failed\necho LoadState=loaded\necho "asked=$*"\n')
    program.chmod(0o755)
    found = service.ask(program=str(program))
    assert (found["ActiveState"], found["LoadState"]) == ("failed", "loaded")
    assert found["asked"].startswith("show lineside.service --property=LoadState,")
    assert service.ask(program=str(tmp_path / "missing")) == {}
    assert service.read(os.getpid()).cgroup != ""


@pytest.mark.parametrize("firmware", ["soc/soc:firmware", "soc@107c000000/soc@107c000000:firmware"])
def test_memory_temperature_and_supply(tmp_path: Path, firmware: str) -> None:
    """A Raspberry Pi 4 and a Raspberry Pi 5."""
    assert machine.read().available_bytes > 0
    put(tmp_path / "proc", meminfo="MemTotal: 1000 kB\nMemAvailable:   2048 kB\n")
    put(tmp_path / "sys/class/thermal/thermal_zone0", temp="48312\n")
    put(tmp_path / "sys/class/thermal/thermal_zone1", temp="61000\n")
    put(tmp_path / "sys/devices/platform" / firmware, get_throttled="50005\n")
    assert machine.read(tmp_path) == machine.Machine(available_bytes=2 << 20, celsius=61.0, throttled=0x50005)


@pytest.mark.parametrize(("controllers", "limited"), [("cpuset cpu io memory pids\n", True), ("cpuset cpu io pids\n", False), (None, True)])
def test_whether_the_memory_of_a_unit_can_be_limited(tmp_path: Path, controllers: str | None, limited: bool) -> None:
    """A Raspberry Pi's firmware tells the kernel not to. None: not the hierarchy of today, nothing is known."""
    put(tmp_path / "proc", meminfo="MemAvailable:   2048 kB\n")
    if controllers is not None:
        put(tmp_path / "sys/fs/cgroup", **{"cgroup.controllers": controllers})
    assert machine.read(tmp_path).limited is limited


def test_versions_of_this_environment(tmp_path: Path) -> None:
    found = versions.read()
    assert len(found.locked) > 40
    assert "aiohttp" in found.installed
    lock = tmp_path / "gateway.lock"
    lock.write_text("aiohttp==0.1 \\\n    --hash=sha256:00\nnot-installed==1.0\n")
    (finding,) = versions.judge(versions.read(lock))
    assert f"aiohttp {found.installed['aiohttp']}, not 0.1" in finding.what
    assert list(versions.judge(versions.read(tmp_path / "missing"))) == []
