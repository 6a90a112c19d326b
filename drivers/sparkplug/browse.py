"""What the edge nodes of a group have, as rows of a `tags_from` file: their births, which they are asked for once."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator, Iterator
from fnmatch import fnmatchcase
from typing import Any

from drivers.broker.broker import Broker, connecting
from drivers.broker.framing import Publish
from drivers.broker.session import Session
from drivers.sparkplug.config import SparkplugOptions
from drivers.sparkplug.datatypes import NAMES, signed
from drivers.sparkplug.host import NAMESPACE, rebirth
from drivers.sparkplug.pick import value
from drivers.sparkplug.schema import decode
from gateway.contract import Found, NotConnected, SourceContext

LISTEN_SECONDS, ANSWER_SECONDS = 5.0, 3.0
MOST_ASKED, MOST_VALUE, TEMPLATE, DATA_SET = 500, 60, 19, 16


async def browse(options: SparkplugOptions, context: SourceContext, globs: str) -> AsyncIterator[Found]:
    """Metrics whose ``group/node/device/metric`` fits one of `globs` (several with commas; empty: all).

    Listens for five seconds; each edge node that is heard meanwhile, and the one the options name, is asked for its births, and
    has three to answer. One that says nothing cannot be found. Nothing is said of a primary host. Raises NotConnected.
    """
    broker, session = Broker(options, context, persistent=False), None
    wanted, seen = [glob.strip() for glob in globs.split(",") if glob.strip()], set[tuple[str, ...]]()
    try:
        async with connecting(broker.peer):
            session = await broker.connect()
            if refused := await session.subscribe([(f"{NAMESPACE}/{options.group or '+'}/+/{options.node or '+'}/#", options.qos, False)]):
                raise NotConnected(broker.peer, f"it refuses our subscription to {refused[0]}")
        async for levels, payload in _births(session, options):
            for found in _found(levels, payload, wanted, seen):
                yield found
    finally:
        if session is not None:
            await session.close()


async def _births(session: Session, options: SparkplugOptions) -> AsyncIterator[tuple[list[str], Any]]:
    loop, asked = asyncio.get_running_loop(), set[tuple[str, str]]()
    until = loop.time() + LISTEN_SECONDS
    if options.group and options.node:
        await _ask(session, asked, options.group, options.node)
    while loop.time() < until:
        session.accept()
        for levels, raw in map(_levels, session.take()):
            if len(levels) < 4 or raw is None:
                continue
            if levels[2] in ("NBIRTH", "DBIRTH") and (payload := decode(raw, options.max_message_kilobytes * 1024)) is not None:
                yield levels, payload
            if levels[2] in ("NBIRTH", "NDATA", "DDATA", "DBIRTH") and await _ask(session, asked, levels[1], levels[3]):
                until = max(until, loop.time() + ANSWER_SECONDS)
        try:
            async with asyncio.timeout_at(until):
                await session.wait()
        except TimeoutError:
            return


async def _ask(session: Session, asked: set[tuple[str, str]], group: str, node: str) -> bool:
    """Once each."""
    if (group, node) in asked or len(asked) >= MOST_ASKED:
        return False
    asked.add((group, node))
    await session.publish(f"{NAMESPACE}/{group}/NCMD/{node}", rebirth())
    return True


def _levels(message: Publish) -> tuple[list[str], bytes | None]:
    return message[0].decode(errors="replace").split("/"), message[1]


def _found(levels: list[str], payload: Any, globs: list[str], seen: set[tuple[str, ...]]) -> Iterator[Found]:
    group, node, device = levels[1], levels[3], levels[4] if len(levels) > 4 else ""
    for metric in payload.metrics:
        key = (group, node, device, metric.name)
        path = "/".join(key)
        if key in seen or not isinstance(metric.name, str) or metric.name == "bdSeq" or metric.name.startswith("Node Control/"):
            continue
        seen.add(key)
        if globs and not any(fnmatchcase(path, glob) for glob in globs):
            continue
        kind = NAMES[metric.datatype] if metric.datatype < len(NAMES) else str(metric.datatype)
        options = {"group": group, "node": node, "device": device, "metric": metric.name}
        yield Found(name=_name(metric.name), options=options, value=_shown(metric), note=f"{kind}{_parts(metric)}")


def _name(metric: str) -> str:
    return re.sub("[^a-z0-9]+", "_", metric.lower()).strip("_")[:60] or "metric"


def _shown(metric: Any) -> str:
    if metric.is_null:
        return "null"
    raw = value(metric)
    if isinstance(raw, int) and not isinstance(raw, bool):
        return str(signed(raw, metric.datatype))
    return f"{raw:g}" if isinstance(raw, float) else str(raw)[:MOST_VALUE] if isinstance(raw, bool | str) else ""


def _parts(metric: Any) -> str:
    """Members of a template and columns of a data set, which a tag names."""
    if metric.datatype == TEMPLATE:
        return ": " + ", ".join(str(one.name) for one in metric.template_value.metrics)
    return ": " + ", ".join(map(str, metric.dataset_value.columns)) if metric.datatype == DATA_SET else ""
