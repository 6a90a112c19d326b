"""Publishes at a steady rate over one plain socket: cheap enough to share a core with the broker.

    python -m benchmarks.loads.mqtt_publisher PORT RATE SECONDS [QOS, default 1]

Message i goes to topic ``bench/<i mod 100>`` as ``{"ts":<µs since 1970>,"v":20.1,"q":0}``. Of each topic every hundredth
message steps over the limit or back (20 <-> 90), so one message in a hundred makes an event. Prints one JSON line:
{"sent", "acknowledged", "steps"}. MQTT 3.1.1, sections 3.1, 3.3, 3.4.
"""

from __future__ import annotations

import json
import socket
import struct
import sys
import time

TOPICS = 100
STEP_EVERY = 100
SLICE_SECONDS = 0.005
IN_FLIGHT = 20_000


def connect(port: int) -> socket.socket:
    link = socket.create_connection(("127.0.0.1", port))
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    body = b"\x00\x04MQTT\x04\x02\x00\x3c" + struct.pack(">H", 9) + b"bench-pub"
    link.sendall(b"\x10" + bytes([len(body)]) + body)
    answer = link.recv(4)
    if answer[:1] != b"\x20" or answer[3:] != b"\x00":
        raise SystemExit(f"the broker refused us: {answer!r}")
    return link


class Load:
    """Packets by the thousand; `first_high` staggers the topics so that the steps are spread evenly."""

    def __init__(self, qos: int) -> None:
        self.sent = self.steps = 0
        self._command = b"\x32" if qos else b"\x30"
        self._qos = qos
        self._heads = [b"\x00\x08" + f"bench/{i:02d}".encode() for i in range(TOPICS)]

    def packets(self, count: int) -> bytes:
        parts = []
        stamp = time.time_ns() // 1000
        for number in range(self.sent, self.sent + count):
            topic = number % TOPICS
            turn = number // TOPICS + topic  # of this topic, staggered
            high = turn // STEP_EVERY % 2
            if turn % STEP_EVERY == 0 and number >= TOPICS:
                self.steps += 1
            payload = b'{"ts":%d,"v":%d.%d,"q":0}' % (stamp, 90 if high else 20, turn * 7 % 10)
            mid = struct.pack(">H", number % 65_535 + 1) if self._qos else b""
            body = self._heads[topic] + mid + payload
            parts.append(self._command + bytes([len(body)]) + body)
        self.sent += count
        return b"".join(parts)


def arrived(link: socket.socket) -> int:
    """Bytes that have come; a PUBACK has four."""
    try:
        return len(link.recv(1 << 20, socket.MSG_DONTWAIT))
    except BlockingIOError:
        return 0


def run(port: int, rate: float, seconds: float, qos: int = 1) -> dict[str, int]:
    link, load, back = connect(port), Load(qos), 0
    started = time.monotonic()
    while (passed := time.monotonic() - started) < seconds:
        due = min(int(passed * rate) - load.sent, IN_FLIGHT - (load.sent - back // 4) * qos)
        if due > 0:
            link.sendall(load.packets(due))
        back += arrived(link)
        time.sleep(max(SLICE_SECONDS, 1 / rate if rate < 1000 else 0))
    deadline = time.monotonic() + 20
    while qos and back // 4 < load.sent and time.monotonic() < deadline:
        back += arrived(link)
        time.sleep(SLICE_SECONDS)
    link.sendall(b"\xe0\x00")
    link.close()
    return {"sent": load.sent, "acknowledged": back // 4, "steps": load.steps}


if __name__ == "__main__":
    print(json.dumps(run(int(sys.argv[1]), float(sys.argv[2]), float(sys.argv[3]), *map(int, sys.argv[4:]))))
