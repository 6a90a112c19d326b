"""Rows of brokers: MQTT on the way in, NATS on the way out."""

from __future__ import annotations

import asyncio
import time
from typing import Any, Protocol

from gateway.testkit.servers.mqtt import Mosquitto
from gateway.testkit.servers.nats import NatsServer
from gateway.testkit.servers.ports import free_port
from rig import outbox
from rig.daemon import command
from rig.ledger import balance
from rig.orders import Orders
from rig.plant import Plant
from rig.run import Run, until
from rig.stream import Stream
from rig.table import row


class Broker(Protocol):
    @property
    def url(self) -> str: ...
    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    async def kill(self) -> None: ...


class Durable(NatsServer):
    """nats-server as an MQTT broker that has on its disk what it acknowledged."""

    def __init__(self) -> None:
        self._listener = free_port()
        super().__init__(jetstream="sync_interval: always", extra=f'mqtt {{ listen: "127.0.0.1:{self._listener}" }}')

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self._listener}"


async def came(plant: Plant, orders: Orders, within: float) -> None:
    """Until one that was published after now is at the CRM."""
    known, began = len(orders.taken), time.monotonic()
    await until(
        lambda: any(order in plant.crm.keys for order in list(orders.taken)[known:]), 2 * within, "an order published and delivered"
    )
    plant.run.recovered(time.monotonic() - began, within)


@row(
    28,
    "MQTT broker on the way in restarted, and killed",
    expected="lost 0 of QoS 1 with a session that is kept; doubled 0; delivering within 20 s",
    count=2,
    night=20,
)
async def broker_in(run: Run) -> None:
    kinds: list[tuple[Broker, str]] = [(Mosquitto(), "stop"), (Durable(), "kill")]
    async with Plant(run) as plant:
        for number, (broker, _) in enumerate(kinds):
            await broker.start()
            plant.config["machines"][f"line{number}"] = _line(broker.url)
        plant.config["watch"].append({"order": {"on": ["line0/order_step", "line1/order_step"]}})
        orders = [Orders(broker.url, prefix=f"M{number}-") for number, (broker, _) in enumerate(kinds)]
        try:
            await plant.start()
            for name, each in zip(("line0", "line1"), orders, strict=True):
                await connected(plant, name)  # what is published before anybody has subscribed, a broker gives to nobody
                await each.start()
            for turn in range(run.count):
                (broker, how), published = kinds[turn % 2], orders[turn % 2]
                await came(plant, published, 20)
                await (broker.kill() if how == "kill" else broker.stop())
                await plant.flow(20)
                await asyncio.sleep(run.dice.uniform(0.1, 1))
                await broker.start()
                await came(plant, published, 20)
            for each in orders:
                await each.finish()
                plant.mes.taken |= each.taken
            await plant.settle()
        finally:
            for each, (broker, _) in zip(orders, kinds, strict=True):
                await each.close()
                await broker.kill()


async def connected(plant: Plant, source: str) -> None:
    await until(lambda: any(line.get("source") == source for line in plant.daemon.lines("connected")), 20, f"{source} connected")


def _line(url: str) -> dict[str, Any]:
    return {
        "source": {"mqtt": url, "version": "3.1.1"},
        "records": {"order_step": {"topic": "line/order", "time": "$.at"}},
    }


@row("28b", "MQTT broker killed, QoS 0 and no session", expected="what was missed stands in the ledger with its time; the rest is lost 0")
async def no_session(run: Run) -> None:
    async with Plant(run) as plant, Mosquitto() as broker:
        plant.config["machines"]["oven"] = {
            "source": {"mqtt": broker.url, "qos": 0},
            "tags": {"temperature": {"topic": "line/+/temperature"}},
        }
        await plant.start()
        await plant.arrived(5)
        await connected(plant, "oven")
        await broker.kill()
        await asyncio.sleep(2)
        await broker.start()
        await until(lambda: [line for line in plant.daemon.lines("back") if line.get("source") == "oven"], 20, "the broker is back")
        await plant.recovered(15)
        await plant.settle()
        found = await outbox.ledger(plant.state)
        lines = [line for line in found["lines"] if line.get("name") == "oven"]
        run.check(lines, f"no line of the ledger tells that oven was away: {str(found)[:300]}")


@row(
    "28c",
    "NATS on the way out killed, and restarted",
    expected="lost 0 and doubled 0 in its stream; the CRM gets everything meanwhile; delivering within 15 s",
    count=2,
    night=20,
)
async def stream_out(run: Run) -> None:
    async with Plant(run) as plant, Stream(run.folder / "nats") as stream:
        await stream.create_stream()
        plant.config["deliver"]["plant"] = stream.destination()
        await plant.start()
        for turn in range(run.count):
            await plant.arrived(20)
            await (stream.stop() if turn % 2 else stream.kill())
            await plant.recovered(5)  # the CRM does not wait for the stream
            await stream.start()
            await streaming(run, plant, 15)
        await plant.settle()
        await weigh(run, plant, stream)


async def streaming(run: Run, plant: Plant, within: float) -> None:
    """Until the stream has taken something again, by the gateway's books."""
    known, began = (await outbox.books(plant.state, "plant")).delivered, time.monotonic()
    while (await outbox.books(plant.state, "plant")).delivered <= known:
        assert time.monotonic() < began + 2 * within, f"nothing more in the stream: {plant.daemon.tail()[-700:]}"
    run.recovered(time.monotonic() - began, within)


async def weigh(run: Run, plant: Plant, stream: Stream) -> None:
    """As `Plant.weigh` does for the CRM."""
    books = await outbox.books(plant.state, "plant")
    found = balance(plant.mes.taken, await stream.arrivals(), stored=books.stored, kept=books.kept, admitted=books.given_up)
    run.note(stream={"stored": found.stored, "delivered": found.delivered, "repeats": found.repeats})
    run.check(not found.silently, f"stream: {found.silently} lost silently, for example {', '.join(found.examples)}")
    run.check(not found.doubled and not found.repeats, f"stream: {found.doubled} doubled, {found.repeats} repeated within it")
    run.check(not found.backward, f"stream: {found.backward} events overtook an earlier one of their machine")


@row(
    29,
    "NATS that does not sync what it acknowledges",
    expected="the gateway, `lineside check` or `lineside test-uplink` warns of it; lost 0 while nobody cuts the power",
)
async def unsynced(run: Run) -> None:
    async with Plant(run) as plant, Stream(run.folder / "nats", sync="2m") as stream:
        await stream.create_stream()
        plant.config["deliver"]["plant"] = stream.destination()
        await plant.start()
        await plant.arrived(10)
        said = await warnings(plant)
        run.check("sync" in said, f"nothing is said of it; said was: {said[:300]!r}")
        await plant.settle()
        await weigh(run, plant, stream)


async def warnings(plant: Plant) -> str:
    """All that the log, the page and two commands say."""
    await until(lambda: [line for line in plant.daemon.lines("connected") if line.get("destination") == "plant"], 20, "NATS connected")
    words = [str(line) for line in plant.daemon.lines() if line.get("level") in ("WARNING", "ERROR", "warning", "error")]
    words += [str(each["why"]) for each in (await plant.daemon.status())["destinations"]]
    for which in (["check", str(plant.daemon.file)], ["test-uplink", "plant", str(plant.daemon.file)]):
        words.append((await command(*which))[1])
    return "\n".join(words)
