"""Modbus against servers that others wrote: pymodbus (TCP, RTU over TCP, TLS, serial) and libmodbus (TCP, serial)."""

from __future__ import annotations

from typing import Any, ClassVar

from pymodbus import FramerType
from pymodbus.server import ModbusSerialServer, ModbusTcpServer, ModbusTlsServer
from pymodbus.simulator import DataType, SimData, SimDevice

from gateway import registry
from gateway.contract import Source
from gateway.testkit import temporary
from gateway.testkit.contexts import source_context
from gateway.testkit.servers.modbus_libmodbus import Child, SerialPair, compiled
from gateway.testkit.servers.pki import Pki
from gateway.testkit.servers.ports import free_port

_TAGS: dict[str, dict[str, Any]] = {
    "oil_temperature": {"at": 40011, "as": "float32"},
    "oil_pressure": {"at": 40013, "as": "float32"},
    "strokes": {"at": 40101, "kind": "counter"},
    "state": {"at": 30001},
    "guard_closed": {"at": 1},
    "emergency_stop": {"at": 10003},
    "refused": {"at": 49001},
}
_UNIT = 7


def device() -> SimDevice:
    """pymodbus' device with the tags' addresses, and a hole at the refused one."""
    holding = [
        SimData(10, values=51.5, datatype=DataType.FLOAT32),
        SimData(12, values=148.0, datatype=DataType.FLOAT32),
        SimData(14, count=100, values=0, datatype=DataType.REGISTERS),
    ]
    return SimDevice(
        id=_UNIT,
        simdata=(
            [SimData(0, values=[True] * 16, datatype=DataType.BITS)],
            [SimData(0, values=[False] * 16, datatype=DataType.BITS)],
            holding,
            [SimData(0, values=[3], datatype=DataType.REGISTERS)],
        ),
    )


class _Peer:
    """What all of them share: the tags, and that a stimulus counts a stroke."""

    can_be_dead = True
    tags = len(_TAGS)
    exempt: ClassVar[dict[str, str]] = {}
    url = dead = ""
    more: ClassVar[dict[str, Any]] = {}

    def __init__(self) -> None:
        self._strokes = 0

    def source(self) -> Source:
        return self._build(self.url)

    def dead_source(self) -> Source:
        return self._build(self.dead)

    def _build(self, url: str) -> Source:
        plugin = registry.source("modbus")
        options = {"modbus": url, "unit_id": _UNIT, "poll_seconds": 0.02, "timeout": "500ms"} | self.more
        return plugin.build(plugin.options.model_validate(options), source_context(plugin, _TAGS))


class Pymodbus(_Peer):
    """`kind`: tcp, rtu+tcp or tls."""

    def __init__(self, kind: str = "tcp") -> None:
        super().__init__()
        self._kind, self._port = kind, free_port()
        self._server: Any = None
        self.url, self.dead = f"{kind}://127.0.0.1:{self._port}", f"{kind}://127.0.0.1:{free_port()}"
        if kind == "tls":
            self._pki = Pki(temporary.folder("modbus"))
            self.more = {"ca": self._pki.ca}  # type: ignore[misc]

    async def start(self) -> None:
        address = ("127.0.0.1", self._port)
        if self._kind == "tls":
            self._server = ModbusTlsServer([device()], framer=FramerType.SOCKET, address=address, sslctx=self._pki.server())
        else:
            framer = FramerType.RTU if self._kind == "rtu+tcp" else FramerType.SOCKET
            self._server = ModbusTcpServer([device()], framer=framer, address=address)
        await self._server.serve_forever(background=True)

    async def stop(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            await server.shutdown()

    async def stimulate(self) -> None:
        self._strokes += 1
        await self._server.async_setValues(_UNIT, 3, 100, [self._strokes])


class _Serial(_Peer):
    def __init__(self) -> None:
        super().__init__()
        self.pair = SerialPair(temporary.folder("modbus"))
        self.url = f"rtu://{self.pair.ours}?baud=19200&parity=N&stop=1"
        self.dead = f"rtu://{self.pair.ours.with_name('nobody')}?parity=N"


class PymodbusSerial(_Serial):
    """Over a pair of pseudo terminals."""

    def __init__(self) -> None:
        super().__init__()
        self._server: Any = None

    async def start(self) -> None:
        await self.pair.start()
        self._server = ModbusSerialServer([device()], framer=FramerType.RTU, port=str(self.pair.theirs), baudrate=19200)
        await self._server.serve_forever(background=True)

    async def stop(self) -> None:
        server, self._server = self._server, None
        if server is not None:
            await server.shutdown()
        await self.pair.stop()

    async def stimulate(self) -> None:
        self._strokes += 1
        await self._server.async_setValues(_UNIT, 3, 100, [self._strokes])


class Libmodbus(_Peer):
    """Over TCP; serves one client at a time. Raises Missing when it is built."""

    def __init__(self) -> None:
        super().__init__()
        port = free_port()
        self.url, self.dead = f"tcp://127.0.0.1:{port}", f"tcp://127.0.0.1:{free_port()}"
        self._child = Child(str(compiled()), "tcp", str(port))

    async def start(self) -> None:
        await self._child.start()

    async def stop(self) -> None:
        await self._child.stop()

    async def stimulate(self) -> None:
        self._strokes += 1
        await self._child.say(f"h 100 {self._strokes}")


class LibmodbusSerial(_Serial):
    """Over a pair of pseudo terminals. A stop kills the slave; the line stays. Raises Missing when it is built."""

    def __init__(self) -> None:
        super().__init__()
        self._child = Child(str(compiled()), "rtu", str(self.pair.theirs), str(_UNIT))

    async def start(self) -> None:
        await self.pair.start()
        await self._child.start()

    async def stop(self) -> None:
        await self._child.stop()
        await self.pair.stop()

    async def stimulate(self) -> None:
        self._strokes += 1
        await self._child.say(f"h 100 {self._strokes}")
