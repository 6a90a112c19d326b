"""Where a line is and how it is framed: what stands behind ``modbus:``."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, TypeAlias
from urllib.parse import parse_qsl, urlsplit

Framing: TypeAlias = Literal["mbap", "rtu", "ascii"]
FORMS = "tcp://host[:502], rtu+tcp://host:port, ascii+tcp://host:port, tls://host[:802], rtu:///dev/ttyUSB0?baud=19200 or ascii:///dev/…"
_NETWORK: dict[str, tuple[Framing, int | None]] = {
    "tcp": ("mbap", 502),
    "modbus": ("mbap", 502),
    "tls": ("mbap", 802),
    "rtu+tcp": ("rtu", None),
    "ascii+tcp": ("ascii", None),
}
_SERIAL: dict[str, Framing] = {"rtu": "rtu", "ascii": "ascii"}
_BAUDS = (300, 600, 1200, 2400, 4800, 9600, 14400, 19200, 28800, 38400, 57600, 76800, 115200, 230400, 460800, 921600)


@dataclass(frozen=True, slots=True)
class Serial:
    """How characters are sent. The defaults are the specification's: 19200 baud, even parity, one stop bit.

    bits   of data: 8 for RTU, 7 for ASCII
    """

    device: str
    baud: int = 19200
    parity: Literal["E", "O", "N"] = "E"
    stop: int = 1
    bits: int = 8

    @property
    def character_seconds(self) -> float:
        """Start, data, parity and stop bits of one character."""
        return (1 + self.bits + (self.parity != "N") + self.stop) / self.baud

    @property
    def gap_seconds(self) -> float:
        """Silence between two frames: 3.5 characters, above 19200 baud 1.75 ms (Modbus over Serial Line V1.02, 2.5.1.1)."""
        return 3.5 * self.character_seconds if self.baud <= 19200 else 0.00175


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`serial` or `host` and `port`. `peer` names it to people; `bus` is the same for all addresses of one line."""

    framing: Framing
    host: str = ""
    port: int = 0
    tls: bool = False
    serial: Serial | None = None

    @property
    def peer(self) -> str:
        return self.serial.device if self.serial else f"{self.host}:{self.port}"

    @property
    def bus(self) -> str:
        return self.peer


def endpoint(text: str) -> Endpoint:
    """Raises ValueError in the engineer's words.

    >>> endpoint("rtu:///dev/ttyUSB0?baud=9600&parity=N").serial
    Serial(device='/dev/ttyUSB0', baud=9600, parity='N', stop=2, bits=8)
    >>> endpoint("tcp://10.1.4.7").peer
    '10.1.4.7:502'
    """
    parts = urlsplit(text)
    if parts.scheme in _SERIAL:
        if parts.netloc or not parts.path.startswith("/") or len(parts.path) < 2:
            raise ValueError(f"{text!r} names no device; write {parts.scheme}:///dev/ttyUSB0 with three slashes")
        return Endpoint(_SERIAL[parts.scheme], serial=_serial(text, parts.path, parts.query, _SERIAL[parts.scheme]))
    if parts.scheme not in _NETWORK or not parts.hostname or parts.path not in ("", "/") or parts.query or "@" in parts.netloc:
        raise ValueError(f"{text!r} is not supported; write {FORMS}")
    framing, usual = _NETWORK[parts.scheme]
    try:
        port = parts.port if parts.port is not None else usual
    except ValueError as exc:
        raise ValueError(f"{text!r} has no valid port") from exc
    if port is None:
        raise ValueError(f"{text!r} needs a port; there is none that everybody uses for {parts.scheme}")
    if port == 0:
        raise ValueError(f"{text!r} has no valid port")
    return Endpoint(framing, parts.hostname, port, parts.scheme == "tls")


def _serial(text: str, device: str, query: str, framing: Framing) -> Serial:
    given = dict(parse_qsl(query, keep_blank_values=True))
    if unknown := given.keys() - {"baud", "parity", "stop", "bits"}:
        raise ValueError(f"{text!r}: unknown {', '.join(sorted(unknown))}; known are baud, parity, stop, bits")
    parity = given.get("parity", "E").upper()[:1]
    # Eleven bits a character: without a parity bit there are two stop bits, says the specification.
    numbers = {"baud": "19200", "stop": "2" if parity == "N" else "1", "bits": "7" if framing == "ascii" else "8"} | given
    try:
        baud, stop, bits = (int(numbers[name]) for name in ("baud", "stop", "bits"))
    except ValueError as exc:
        raise ValueError(f"{text!r}: baud, stop and bits are whole numbers") from exc
    if baud not in _BAUDS:
        raise ValueError(f"{text!r}: no baud rate; usual are 9600, 19200, 38400, 115200")
    if parity not in ("E", "O", "N"):
        raise ValueError(f"{text!r}: parity is E, O or N")
    if stop not in (1, 2) or bits not in ((7, 8) if framing == "ascii" else (8,)):
        raise ValueError(f"{text!r}: stop is 1 or 2; bits is 8, for ASCII also 7")
    return Serial(device, baud, "E" if parity == "E" else "O" if parity == "O" else "N", stop, bits)
