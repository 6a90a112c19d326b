"""How the story talks to the processes it started: commands as lines on their stdin, answers as JSON lines on their stdout."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import traceback
from collections.abc import AsyncIterator, Coroutine

from gateway.contract import Json


async def commands() -> AsyncIterator[list[str]]:
    """The words of each line; ends when whoever started us is gone."""
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        if words := line.decode().split():
            yield words


def say(fact: Json) -> None:
    """One JSON line."""
    sys.stdout.write(json.dumps(fact) + "\n")
    sys.stdout.flush()


def run_child(work: Coroutine[None, None, None]) -> None:
    """Run until stdin ends, then leave without goodbye: servers of libraries wait long for their clients."""
    # They also log every lost client as an error, and here clients are lost on purpose.
    for name in ("amqtt", "asyncua", "transitions", "aiohttp", "asyncio"):
        logging.getLogger(name).setLevel(logging.CRITICAL)
    code = 1
    try:
        asyncio.run(work)
        code = 0
    except BaseException:
        traceback.print_exc()
        raise
    finally:
        sys.stderr.flush()
        os._exit(code)
