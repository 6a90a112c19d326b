"""The amqtt broker as a child process: ``python -m gateway.testkit.servers.amqtt_child PORT``; ends when its stdin does."""

from __future__ import annotations

import asyncio
import logging
import os
import sys


async def serve(port: int) -> None:
    """Anyone may come; says ``ready`` on stdout when it listens."""
    from amqtt.broker import Broker

    logging.disable(logging.CRITICAL)
    broker = Broker(
        {
            "listeners": {"default": {"type": "tcp", "bind": f"127.0.0.1:{port}"}},
            "plugins": {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}},
        }
    )
    await broker.start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await asyncio.to_thread(sys.stdin.buffer.read)


if __name__ == "__main__":
    try:
        asyncio.run(serve(int(sys.argv[1])))
    finally:
        os._exit(0)  # its clients are to see a power cut; the broker's own end would wait for them
