"""The rules with real packets: a gateway between two nets, each a network namespace that ends with its process."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ADMIN, STRANGER = ("10.9.1.1", "10.9.1.2"), ("198.51.100.1", "198.51.100.2")
"""The gateway's address in that net, and the other machine's."""
LISTEN = """\
import select, socket, sys
ears = [socket.create_server((sys.argv[1], int(port))) for port in sys.argv[2:]]
print("listening", flush=True)
while True:
    for ear in select.select(ears, [], [])[0]:
        ear.accept()[0].close()
"""
NETS = """\
define admin_nets = { 10.9.1.0/24, 10.9.1.2 }
define page_nets = { 10.9.1.0/24 }
define page_ports = { 8080, 8081 }
"""
"""A machine beside its own net is no mistake."""
QUERY = """\
import socket, sys
out = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
out.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, 1)
out.sendto(bytes([130, 0, 0, 0, 0, 100, 0, 0]) + bytes(16), ("ff02::1", 0, 0, socket.if_nametoindex(sys.argv[1])))
"""
HEAR = """\
import socket, time
ear = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
print("listening", flush=True)
ear.settimeout(10)
while ear.recv(2048)[0] != 130:
    pass
print("asked", flush=True)
"""
CALL = """\
import socket, sys
try:
    socket.create_connection((sys.argv[1], int(sys.argv[2])), timeout=1).close()
    print("open")
except TimeoutError:
    print("silent")
except ConnectionRefusedError:
    print("refused")
"""


class Host:
    """A process that keeps a network namespace alive, and what runs in it."""

    def __init__(self) -> None:
        self._keeper = subprocess.Popen(["unshare", "-n", "sh", "-c", "echo up; exec cat"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
        assert self._keeper.stdout is not None
        assert self._keeper.stdout.readline() == b"up\n"
        self._ears: list[subprocess.Popen[str]] = []
        self.run("ip", "link", "set", "lo", "up")

    @property
    def pid(self) -> str:
        return str(self._keeper.pid)

    def run(self, *words: str) -> str:
        within = ["nsenter", "-t", self.pid, "-n", *words]
        return subprocess.run(within, capture_output=True, text=True, check=True, timeout=30).stdout.strip()

    def listen(self, address: str, *ports: int) -> None:
        words = ["nsenter", "-t", self.pid, "-n", "python3", "-c", LISTEN, address, *map(str, ports)]
        ear = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
        self._ears.append(ear)
        assert ear.stdout is not None
        assert ear.stdout.readline() == "listening\n"

    def call(self, address: str, port: int) -> str:
        return self.run("python3", "-c", CALL, address, str(port))

    def end(self) -> None:
        for process in (*self._ears, self._keeper):
            process.kill()
            process.communicate()


def joined(one: Host, other: Host, name: str, addresses: tuple[str, str]) -> None:
    """A cable between them."""
    one.run("ip", "link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", other.pid)
    for host, device, address in ((one, name, addresses[0]), (other, "eth0", addresses[1])):
        host.run("ip", "address", "add", f"{address}/24", "dev", device)
        host.run("ip", "link", "set", device, "up")
    other.run("ip", "route", "add", "default", "via", addresses[0])


@pytest.fixture
def hosts(installed: Callable[[str], str], firmware: Path, tmp_path: Path) -> Iterator[tuple[Host, Host, Host]]:
    """The gateway behind its rules, a machine of the admins' net, one of any other net."""
    installed("ip")
    if os.geteuid() != 0:
        pytest.skip("network namespaces need root")
    hosts = Host(), Host(), Host()
    try:
        gateway, admin, stranger = hosts
        joined(gateway, admin, "plant", ADMIN)
        joined(gateway, stranger, "office", STRANGER)
        gateway.run("sysctl", "-q", "-w", "net.ipv4.ip_forward=1")
        (tmp_path / "nets").write_text(NETS)
        rules = (firmware / "nftables/lineside.nft").read_text().replace("/etc/nftables.d/lineside.nets", str(tmp_path / "nets"))
        (tmp_path / "rules.nft").write_text(rules)
        gateway.listen("0.0.0.0", 22, 8080, 8081, 4840)
        admin.listen(ADMIN[1], 4840)
        stranger.listen(STRANGER[1], 443)
        assert [stranger.call(STRANGER[0], 22), stranger.call(ADMIN[1], 4840)] == ["open", "open"], "without the rules"
        gateway.run(installed("nft"), "-f", str(tmp_path / "rules.nft"))
        yield hosts
    finally:
        for host in hosts:
            host.end()


def test_only_the_named_nets_reach_page_and_ssh_and_the_gateway_reaches_all(hosts: tuple[Host, Host, Host]) -> None:
    gateway, admin, stranger = hosts
    assert [admin.call(ADMIN[0], port) for port in (22, 8080, 8081, 4840)] == ["open", "open", "open", "silent"]
    assert [stranger.call(STRANGER[0], port) for port in (22, 8080, 8081)] == ["silent"] * 3
    assert [gateway.call(STRANGER[1], 443), gateway.call(ADMIN[1], 4840)] == ["open", "open"]
    assert stranger.call(ADMIN[1], 4840) == "silent", "forwarded from the office to the plant"


def test_a_switch_that_asks_who_listens_is_heard(hosts: tuple[Host, Host, Host]) -> None:
    """MLD: a switch that snoops takes whoever does not answer out of his groups, and IPv6 finds no neighbour any more."""
    gateway, admin, _ = hosts
    hear = ["nsenter", "-t", gateway.pid, "-n", "python3", "-c", HEAR]
    with subprocess.Popen(hear, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True) as ear:
        assert ear.stdout is not None
        assert ear.stdout.readline() == "listening\n"
        for _ in range(40):
            admin.run("sh", "-c", 'python3 -c "$0" eth0 2>/dev/null || sleep 0.2', QUERY)  # its own address is being looked for at first
            if ear.poll() is not None:
                break
            time.sleep(0.1)
        ear.kill()
        assert ear.stdout.read() == "asked\n"


def test_who_knocks_too_often_at_ssh_has_to_wait(hosts: tuple[Host, Host, Host]) -> None:
    _, admin, _ = hosts
    answers = [admin.call(ADMIN[0], 22) for _ in range(12)]
    assert answers[:10] == ["open"] * 10
    assert "silent" in answers[10:]
