"""Tells a gateway what an incident turned out to be.

    python verdict.py nats://localhost:4222 SITE GATEWAY ID INCIDENT true_positive|false_alarm|known_issue|maintenance

Needs nats-py. ID is of this verdict: sent twice, it counts once.
"""

from __future__ import annotations

import asyncio
import json
import sys
from datetime import UTC, datetime

import nats
from cases import tell


async def say(url: str, site: str, gateway: str, id_: str, incident: str, verdict: str) -> None:
    message = {"id": id_, "incident": incident, "verdict": verdict, "at": datetime.now(UTC).isoformat(), "by": "service desk"}
    client = await nats.connect(url)
    await client.publish(f"fb.v1.{site}.{gateway}", json.dumps(message).encode())
    await client.drain()
    tell("sent", verdict=message)


if __name__ == "__main__":
    asyncio.run(say(*sys.argv[1:]))
