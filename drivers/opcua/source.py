"""Subscribes to a server's values; a lost connection is never repaired but built anew."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Sequence
from urllib.parse import urlsplit

from asyncua import Client, ua
from asyncua.crypto.security_policies import SecurityPolicyBasic256Sha256
from asyncua.ua.uaerrors import UaError

from drivers.opcua.certificate import own_certificate
from drivers.opcua.config import OpcuaOptions, split_node
from drivers.opcua.subscription import ColumnSubscription
from gateway.contract import Batch, ConfigError, NotConnected, Quality, SourceContext, Tag

# The library logs every attempt and every lost frame with a traceback; the supervisor tells it once.
logging.getLogger("asyncua").setLevel(logging.CRITICAL)

KEEP_ALIVE_SECONDS = 3.0
SILENT_SECONDS = 10.0
ITEMS_PER_CALL = 500
CLOSE_SECONDS = 2.0


class OpcuaSource:
    """See README.md. The data watchdog is the server's keep-alive: no publish response for ten seconds is a lost server."""

    def __init__(self, options: OpcuaOptions, context: SourceContext) -> None:
        self._options, self._context = options, context
        self._peer = urlsplit(options.opcua).netloc
        self._client: Client | None = None
        self._subscription: ColumnSubscription | None = None
        self._before: set[asyncio.Task[object]] = set()
        self._lost = asyncio.Event()

    async def connect(self) -> None:
        self._before = asyncio.all_tasks()
        self._lost = asyncio.Event()
        limit = min(9.0, 2 * self._options.timeout)
        try:
            async with asyncio.timeout(limit):
                self._client = await self._make_client()
                await self._client.connect(auto_reconnect=False)
                self._subscription = await self._subscribe(self._client)
        except TimeoutError as exc:
            raise NotConnected(self._peer, f"no answer within {limit:g} s") from exc
        except (UaError, OSError, ValueError) as exc:
            raise NotConnected(self._peer, _why(exc)) from exc

    async def read(self) -> Batch:
        subscription = self._subscription
        if subscription is None:
            raise NotConnected(self._peer, "not connected")
        while not subscription.arrived.is_set():
            self._check(subscription)
            try:
                async with asyncio.timeout(1.0):
                    await subscription.arrived.wait()
            except TimeoutError:
                continue
        batches = subscription.take()
        if not batches:
            raise NotConnected(self._peer, subscription.ended or "connection lost")
        return Batch.concat(batches)

    async def close(self) -> None:
        client, self._client, self._subscription = self._client, None, None
        if client is None:
            return
        if not self._lost.is_set():
            try:
                async with asyncio.timeout(CLOSE_SECONDS):
                    await client.disconnect()
            except (UaError, OSError, TimeoutError, RuntimeError, AttributeError):
                pass
        client.disconnect_socket()
        await self._end_library_tasks()

    def _check(self, subscription: ColumnSubscription) -> None:
        if self._lost.is_set():
            raise NotConnected(self._peer, "connection lost")
        if subscription.ended:
            raise NotConnected(self._peer, subscription.ended)
        silent = time.monotonic() - subscription.last_response
        if silent > SILENT_SECONDS:
            raise NotConnected(self._peer, f"no sign of life for {silent:.0f} s")

    async def _make_client(self) -> Client:
        options = self._options
        client = Client(options.opcua, timeout=options.timeout)
        client.name = "Lineside"
        client.application_uri = f"urn:{socket.gethostname()}:lineside"
        if options.user and options.password:
            client.set_user(options.user)
            client.set_password(self._context.secret(options.password))
        if options.security != "None":
            mode = options.security.partition("/")[2]
            loop = asyncio.get_running_loop()
            folder = self._context.state_dir / "pki"
            certificate, key = await loop.run_in_executor(None, own_certificate, folder, client.application_uri)
            await client.set_security(SecurityPolicyBasic256Sha256, str(certificate), str(key), mode=getattr(ua.MessageSecurityMode, mode))
        client.connection_lost_callback = self._on_lost
        return client

    async def _on_lost(self, _: Exception) -> None:
        self._lost.set()
        if self._subscription is not None:
            self._subscription.arrived.set()

    async def _subscribe(self, client: Client) -> ColumnSubscription:
        options, clock = self._options, self._context.clock
        parameters = ua.CreateSubscriptionParameters(
            RequestedPublishingInterval=options.publishing * 1000,
            RequestedLifetimeCount=max(100, int(60 / options.publishing)),
            RequestedMaxKeepAliveCount=max(1, int(KEEP_ALIVE_SECONDS / options.publishing)),
            MaxNotificationsPerPublish=0,
            PublishingEnabled=True,
            Priority=0,
        )
        subscription = ColumnSubscription(client.uaclient.session, parameters, now_ns=clock.now_ns, dropped=self._context.dropped)
        await subscription.init()
        namespaces = await client.get_namespace_array()
        refused: list[Tag] = []
        for start in range(0, len(self._context.tags), ITEMS_PER_CALL):
            refused += await self._items(client, subscription, namespaces, self._context.tags[start : start + ITEMS_PER_CALL])
        if refused:
            now_ns = clock.now_ns()
            subscription.put(
                Batch.of(
                    [t.index for t in refused], [now_ns] * len(refused), [float("nan")] * len(refused), [Quality.BAD_DEVICE] * len(refused)
                )
            )
        return subscription

    async def _items(self, client: Client, subscription: ColumnSubscription, namespaces: list[str], tags: Sequence[Tag]) -> list[Tag]:
        """Create monitored items for some tags; those the server refuses come back."""
        requests, asked, refused = [], [], []
        for tag in tags:
            namespace, identifier = split_node(tag.options.node)
            if isinstance(namespace, str):
                if namespace not in namespaces:
                    refused.append(tag)
                    continue
                namespace = namespaces.index(namespace)
            try:
                node = client.get_node(ua.NodeId.from_string(f"ns={namespace};{identifier}"))
            except (UaError, ValueError) as exc:
                raise ConfigError(f"{tag.path}: {tag.options.node!r} is no node id: {exc}") from exc
            request = subscription._make_monitored_item_request(
                node, ua.AttributeIds.Value, None, self._options.queue, ua.MonitoringMode.Reporting, self._options.sampling * 1000
            )
            # Known before the request: the first values may come before its answer.
            subscription.index_of[request.RequestedParameters.ClientHandle] = tag.index
            requests.append(request)
            asked.append(tag)
        if not requests:
            return refused
        results = await subscription.create_monitored_items(requests)
        return refused + [tag for tag, result in zip(asked, results, strict=True) if isinstance(result, ua.StatusCode)]

    async def _end_library_tasks(self) -> None:
        """The library leaves publish, renew and watchdog tasks behind when the link is already dead."""
        left = [task for task in asyncio.all_tasks() - self._before if "asyncua" in _origin(task) and task is not asyncio.current_task()]
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=CLOSE_SECONDS)


def _origin(task: asyncio.Task[object]) -> str:
    code = getattr(task.get_coro(), "cr_code", None)
    return code.co_filename if code is not None else ""


def _why(exc: BaseException) -> str:
    text = str(exc) or type(exc).__name__
    if "BadIdentityTokenRejected" in text or "BadUserAccessDenied" in text:
        return "user or password refused"
    if "BadSecurityChecksFailed" in text or "BadCertificate" in text:
        return f"the server does not trust our certificate (pki/own.der); accept it there: {text[:120]}"
    return text.splitlines()[0][:200]
