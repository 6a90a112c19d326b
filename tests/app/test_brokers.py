"""What a broker does to us is one case that says what to do, and no retry that nobody hears of."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from drivers.broker import packets
from gateway.testkit.servers.mqtt import Mosquitto, Publisher, require_mosquitto

SAW = """\
  saw:
    source: {{mqtt: "{url}", lost_after: {lost_after}{more}}}
    tags: {{load: {{topic: saw/load}}}}
watch:
"""


@pytest.fixture
async def broker() -> AsyncIterator[Mosquitto]:
    require_mosquitto()
    async with Mosquitto(password="s3cret") as server:
        yield server


def with_saw(site: Any, broker: Mosquitto, more: str, password: str, lost_after: str = "1.5s") -> Any:
    (site.folder / "secrets").mkdir()
    (site.folder / "secrets" / "saw").write_text(password)
    (site.folder / "secrets" / "saw").chmod(0o600)
    given = f", user: edge, password: {{secret: saw}}{more}"
    site.configure(lambda text: text.replace("watch:\n", SAW.format(url=broker.url, more=given, lost_after=lost_after)))
    return site


def cases(site: Any) -> list[tuple[str, str]]:
    """(happening, what it is about) of the saw, as they came to the receiver."""
    events = [site.receiver.events[identity] for identity in site.receiver.order]
    return [
        (event["type"].split(".")[-2], event["data"]["title"])
        for event in events
        if "/saw" in event["subject"] or event["subject"] == "saw"
    ]


async def test_a_refused_password_is_one_incident_in_the_brokers_words(site: Any, broker: Mosquitto) -> None:
    with_saw(site, broker, "", "guess")
    async with site.run():
        await site.until(lambda: bool(cases(site)))
        assert cases(site) == [("raised", "saw: no connection, refused: Not authorized (as user 'edge')")]
    log = (broker.folder / "mosquitto.log").read_text()
    assert log.count("not authorised") == 1, "it would get the account locked"


async def test_a_message_the_broker_delivers_twice_is_one_event(site: Any, broker: Mosquitto) -> None:
    with_saw(site, broker, "", "s3cret")
    watch = "watch:\n  - order: {on: saw/step}\n"
    config = site.file.read_text().replace("watch:\n", watch)
    config = config.replace("tags: {load: {topic: saw/load}}", "records: {step: {topic: saw/step, time: $.at}}")
    site.file.write_text(config)
    async with site.run() as app, Publisher(broker.url, user="edge", password="s3cret") as publisher:
        await site.until(lambda: app.edges.sources["saw"][2].state == "up")
        for order in ("4711", "4711", "4712"):
            message = {"order": order, "step": "sawing", "at": "2026-11-01T08:00:00Z"}
            await publisher.publish("saw/step", json.dumps(message).encode(), qos=1)
        await site.until(lambda: len(cases(site)) >= 2)
        assert app.counts.total("records") == 3
    assert cases(site) == [("milestone_reached", f"order {order} reached sawing") for order in ("4711", "4712")]


async def test_a_client_with_our_id_on_another_gateway_is_one_incident(site: Any, broker: Mosquitto) -> None:
    with_saw(site, broker, ", client_id: saws", "s3cret", "3s")
    hello = packets.connect(
        "saws", version5=False, clean=True, keepalive=30, session_expiry=0, receive_maximum=9, user="edge", password="s3cret"
    )

    async def other() -> None:
        """Comes back at once whenever it was thrown out."""
        while True:
            reader, writer = await asyncio.open_connection("127.0.0.1", broker.port)
            writer.write(hello)
            try:
                while await reader.read(100):
                    pass
            except ConnectionError:
                pass
            finally:
                writer.close()
            await asyncio.sleep(0.05)

    async with site.run() as app:
        await site.until(lambda: app.edges.sources["saw"][2].state == "up")
        rival = asyncio.create_task(other())
        try:
            await site.until(lambda: any("client id 'saws'" in title for _, title in cases(site)), 20)
        finally:
            rival.cancel()
            await asyncio.gather(rival, return_exceptions=True)
        assert [happening for happening, _ in cases(site)].count("raised") == 1
        assert "cleared" not in [happening for happening, _ in cases(site)]
        link = app.edges.sources["saw"][2]
        assert (link.state, "client id 'saws'" in link.why) == ("down", True)
