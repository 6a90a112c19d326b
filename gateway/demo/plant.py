"""``python -m gateway.demo.plant``: a plant in a process of its own, behind the servers its machines would have.

Says ``{"ready": {...}}`` with its ports, then obeys the lines of `Plant.obey`, and ends when its stdin does.
"""

from __future__ import annotations

import asyncio
import json
import struct
import time
from collections.abc import Awaitable, Callable

from gateway.demo.control import commands, run_child, say
from gateway.demo.machines import BLOCK_SECONDS, VIBRATION_HZ, Cnc, Mes, Press, Pump
from gateway.demo.wire import Wire
from gateway.testkit.servers.modbus import Plc
from gateway.testkit.servers.mqtt import Publisher
from gateway.testkit.servers.opcua import OpcuaServer
from gateway.testkit.servers.ports import free_port

TICK_SECONDS = 0.1
ORDER_SECONDS = 3.0


class Plant:
    """The machines, their servers, and the clock that drives them."""

    def __init__(self) -> None:
        self._press, self._cnc, self._pump, self._mes = Press(), Cnc(), Pump(), Mes()
        self._plc = Plc()
        self._opcua = OpcuaServer(self._cnc.step(0.0), encrypted=True)
        self._mqtt_port = free_port()
        self._publisher = Publisher(f"mqtt://127.0.0.1:{self._mqtt_port}")

    async def run(self) -> None:
        """Until stdin ends."""
        await self._plc.start()
        await _start_broker(self._mqtt_port)
        await self._publisher.connect()
        await self._opcua.start()
        self._wire = Wire([self._plc.port, self._opcua.port, self._mqtt_port])
        say({"ready": {"modbus": self._plc.port, "opcua": self._opcua.port, "mqtt": self._mqtt_port}})
        async with asyncio.TaskGroup() as tasks:
            running = [
                tasks.create_task(_every(TICK_SECONDS, self._move_press)),
                tasks.create_task(_every(2 * TICK_SECONDS, self._move_cnc)),
                tasks.create_task(_every(BLOCK_SECONDS, self._move_pump)),
                tasks.create_task(_every(ORDER_SECONDS, self._move_order)),
                tasks.create_task(_every(1.0, self._tell_bytes)),
            ]
            async for words in commands():
                self.obey(words)
            for task in running:
                task.cancel()

    def obey(self, words: list[str]) -> None:
        """``fault outer_race SEVERITY SECONDS``, ``drift on SECONDS``, ``repair``; raises ValueError for anything else."""
        match words:
            case ["fault", "outer_race", severity, seconds]:
                self._pump.outer_race(float(severity), float(seconds))
            case ["drift", "on", seconds]:
                self._press.drift(float(seconds))
            case ["repair"]:
                self._pump.repair()
                self._press.repair()
            case _:
                raise ValueError(f"the plant does not know: {' '.join(words)}")

    async def _move_press(self, dt: float) -> None:
        state = self._press.step(dt)
        self._plc.set("discrete", 2, [1])
        self._plc.set_float("holding", 10, state["oil_temperature"])
        self._plc.set_float("holding", 12, state["oil_pressure"])
        self._plc.set_float("holding", 14, state["ram_position"])
        self._plc.set("input", 19, list(struct.unpack(">HH", struct.pack(">I", int(state["strokes"])))))

    async def _move_cnc(self, dt: float) -> None:
        for name, value in self._cnc.step(dt).items():
            await self._opcua.set(name, value)

    async def _move_pump(self, dt: float) -> None:
        """A sensor sends a block when it is full: the time of its first sample lies one block back."""
        speed_rpm, flow, *ends = self._pump.step()
        now_ns = time.time_ns()
        state = {"rpm": round(speed_rpm, 2), "flow": round(flow, 3), "ts": now_ns // 1_000_000}
        await self._publisher.publish("pumps/3/state", json.dumps(state).encode())
        first_ns = now_ns - round(len(ends[0]) / VIBRATION_HZ * 1e9)
        for name, samples in zip(("drive_end", "free_end"), ends, strict=True):
            await self._publisher.publish(f"pumps/3/vib/{name}", struct.pack("<q", first_ns) + samples.astype("<f4").tobytes())

    async def _move_order(self, dt: float) -> None:
        order, step = self._mes.next()
        body = {"order": order, "step": step, "at": time.time_ns() // 1_000_000}
        await self._publisher.publish(f"mes/orders/{order}/step", json.dumps(body).encode(), qos=1)

    async def _tell_bytes(self, dt: float) -> None:
        say({"bytes": self._wire.count()})


async def _every(seconds: float, move: Callable[[float], Awaitable[None]]) -> None:
    """Call `move(dt)` for ever at this pace; a late call gets the time that really passed."""
    loop = asyncio.get_running_loop()
    last = due = loop.time()
    while True:
        now = loop.time()
        await move(now - last)
        last = now
        due = max(due + seconds, loop.time())
        await asyncio.sleep(due - loop.time())


async def _start_broker(port: int) -> None:
    from amqtt.broker import Broker

    listeners = {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}}
    plugins = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}
    await Broker({"listeners": listeners, "plugins": plugins}).start()


if __name__ == "__main__":
    run_child(Plant().run())
