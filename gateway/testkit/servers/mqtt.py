"""MQTT brokers on loopback, and a publisher: mosquitto (3.1.1 and 5, the reference); amqtt and nats-server (3.1.1, by pip)."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import urlsplit

from paho.mqtt.client import Client, MQTTv5, MQTTv311
from paho.mqtt.enums import CallbackAPIVersion
from paho.mqtt.packettypes import PacketTypes
from paho.mqtt.properties import Properties

from gateway.testkit.servers.mosquitto import Mosquitto, require_mosquitto
from gateway.testkit.servers.nats import NatsServer
from gateway.testkit.servers.ports import free_port

__all__ = ["Amqtt", "Mosquitto", "NatsMqtt", "Publisher", "require_mosquitto"]


class Amqtt:
    """The amqtt broker in a process of its own; the port stays the same over restarts, sessions do not survive them."""

    def __init__(self) -> None:
        self.port = free_port()
        self._process: asyncio.subprocess.Process | None = None

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self.port}"

    async def start(self) -> None:
        """Returns when it listens; raises RuntimeError when it does not within 15 s."""
        pipe = asyncio.subprocess.PIPE
        command = (sys.executable, "-W", "ignore", "-m", "gateway.testkit.servers.amqtt_child", str(self.port))
        self._process = await asyncio.create_subprocess_exec(*command, stdin=pipe, stdout=pipe)
        assert self._process.stdout is not None
        try:
            line = await asyncio.wait_for(self._process.stdout.readline(), 15)
        except TimeoutError:
            line = b""
        if line != b"ready\n":
            await self.stop()
            raise RuntimeError(f"amqtt did not start on port {self.port}; is the extra installed? pip install 'lineside[demo]'")

    async def stop(self) -> None:
        """As a power cut would."""
        process, self._process = self._process, None
        if process is not None:
            if process.returncode is None:
                process.kill()
            await process.communicate()

    async def __aenter__(self) -> Amqtt:
        await self.start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.stop()


class NatsMqtt(NatsServer):
    """nats-server as a broker; port and sessions stay the same over restarts.

    rights   its authorization block
    """

    def __init__(self, *, rights: str = "") -> None:
        self._listener = free_port()
        super().__init__(extra=f'mqtt {{ listen: "127.0.0.1:{self._listener}" }}\n{rights}')

    @property
    def url(self) -> str:
        return f"mqtt://127.0.0.1:{self._listener}"


class Publisher:
    """Publishes to one broker; comes back by itself when the broker does.

    version       "3.1.1" or "5"; user properties need 5
    ca            certificate file (PEM) to trust, for ``mqtts://``
    certificate   its own, with its key (PEM)
    """

    def __init__(
        self,
        url: str,
        *,
        version: str = "3.1.1",
        user: str | None = None,
        password: str | None = None,
        ca: Path | None = None,
        certificate: Path | None = None,
    ) -> None:
        self._url, self._version, self._user, self._password = urlsplit(url), version, user, password
        self._ca, self._certificate = ca, certificate
        self._client: Client | None = None
        self._waiting: dict[int, asyncio.Future[None]] = {}

    async def connect(self) -> None:
        """Raises ConnectionError when the broker refuses us, OSError when there is none."""
        self._loop = asyncio.get_running_loop()
        self._connected: asyncio.Future[None] = self._loop.create_future()
        client = self._client = self._make()
        try:
            await asyncio.to_thread(client.connect, self._url.hostname, self._url.port or 1883, 30)
            client.loop_start()
            await asyncio.wait_for(self._connected, 10)
        except BaseException:
            await self.close()
            raise

    async def publish(
        self, topic: str, payload: bytes, qos: int = 0, *, retain: bool = False, properties: Mapping[str, str] | None = None
    ) -> None:
        """Returns when it is on its way (QoS 0) or when the broker has it (QoS 1, 2). `properties`: user properties of MQTT 5."""
        assert self._client is not None, "not connected"
        given = None
        if properties:
            given = Properties(PacketTypes.PUBLISH)
            given.UserProperty = list(properties.items())
        info = self._client.publish(topic, payload, qos, retain, given)
        if qos:
            done = self._waiting[info.mid] = self._loop.create_future()
            await done

    async def close(self) -> None:
        client, self._client = self._client, None
        if client is not None:
            client.disconnect()
            await asyncio.to_thread(client.loop_stop)

    async def __aenter__(self) -> Publisher:
        await self.connect()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    def _make(self) -> Client:
        client = Client(CallbackAPIVersion.VERSION2, protocol=MQTTv5 if self._version == "5" else MQTTv311)
        if self._user is not None:
            client.username_pw_set(self._user, self._password)
        if self._url.scheme == "mqtts":
            client.tls_set(*(None if path is None else str(path) for path in (self._ca, self._certificate)))
        client.reconnect_delay_set(0.1, 1)
        client.on_connect, client.on_publish = self._on_connect, self._on_publish
        return client

    # Called by the library's thread; what they start runs on the loop, so after `publish` has noted its message.

    def _on_connect(self, client: object, userdata: object, flags: object, code: object, properties: object) -> None:
        self._loop.call_soon_threadsafe(self._told, code)

    def _on_publish(self, client: object, userdata: object, mid: int, code: object, properties: object) -> None:
        self._loop.call_soon_threadsafe(self._acknowledged, mid)

    def _told(self, code: object) -> None:
        if not self._connected.done():
            if getattr(code, "is_failure", True):
                self._connected.set_exception(ConnectionError(str(code)))
            else:
                self._connected.set_result(None)

    def _acknowledged(self, mid: int) -> None:
        done = self._waiting.pop(mid, None)
        if done is not None and not done.done():
            done.set_result(None)
