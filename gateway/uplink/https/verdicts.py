"""Verdicts from the same receiver, over a session of their own with the same login."""

from __future__ import annotations

from gateway.contract import UplinkContext, Verdict
from gateway.uplink.https.config import FeedbackOptions, HttpsOptions
from gateway.uplink.https.link import Link
from gateway.uplink.https.soql import SoqlFeedback


class LinkedFeedback:
    """The `Feedback` of the contract."""

    def __init__(self, options: HttpsOptions, feedback: FeedbackOptions, context: UplinkContext) -> None:
        self._link = Link(options, context)
        self._asking = SoqlFeedback(
            self._link.get_json,
            gateway=context.source.rsplit(":", 1)[-1],
            clock=context.clock,
            state_dir=context.state_dir,
            poll_seconds=feedback.every,
            base=feedback.soql,
        )

    async def connect(self) -> None:
        await self._link.open()
        await self._asking.connect()

    async def read(self) -> list[Verdict]:
        return await self._asking.read()

    async def close(self) -> None:
        await self._asking.close()
        await self._link.close()
