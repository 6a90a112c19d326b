"""Verdicts over NATS: from a stream with a durable consumer, or, where no stream holds them, as they are published."""

from __future__ import annotations

import logging
import time

import msgspec
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError

from gateway.contract import NotConnected, UplinkContext, Verdict
from gateway.uplink.nats.config import NatsOptions, VerdictsOptions
from gateway.uplink.nats.link import Link, Refused, Unheard, reason
from gateway.uplink.nats.stream import Answer, decoded
from gateway.uplink.nats.subjects import consumer_name, feedback_subject, overlap
from gateway.uplink.nats.verdicts import verdict

log = logging.getLogger("lineside")

_BATCH, _PULL_SECONDS = 100, 30.0
_NO_CONSUMER = 10014
_NANOSECONDS = 1_000_000_000
_OVER = ("404", "408")  # a pull that ended without more messages


class _Names(Answer):
    streams: list[str] | None = None


class _ConsumerConfig(msgspec.Struct):
    filter_subject: str = ""
    filter_subjects: list[str] | None = None

    @property
    def subjects(self) -> list[str]:
        """Empty: all that the stream holds."""
        return self.filter_subjects or [subject for subject in [self.filter_subject] if subject]


class _Consumer(Answer):
    config: _ConsumerConfig | None = None


class NatsFeedback:
    """A connection of its own. What was read is acknowledged by the next `read`."""

    def __init__(self, options: NatsOptions, context: UplinkContext) -> None:
        asked = options.feedback if isinstance(options.feedback, VerdictsOptions) else VerdictsOptions()
        self._options, self._context = options, context
        self.subject = asked.subject or feedback_subject(context.source)
        self._asked, self._consumer = asked.stream or "", asked.consumer or consumer_name(context.source)
        self._stream = self._asked
        self._link = Link(options, context, refused=self._refused)
        self._subscription: Subscription | None = None
        self._read: list[Msg] = []
        self._pulled, self._pull_ends = 0, 0.0
        self._denied = ""

    @property
    def how(self) -> str:
        """Known when connected."""
        if self._stream:
            return f"kept by stream {self._stream} for consumer {self._consumer}"
        return "kept by no stream: what is published while the gateway is away is lost"

    async def connect(self) -> None:
        """Whatever was found out on an earlier connection may be otherwise by now."""
        await self._link.close()
        self._link, self._denied = Link(self._options, self._context, refused=self._refused), ""
        self._pulled, self._pull_ends = 0, 0.0
        await self._link.open()
        self._stream = self._asked or await self._find_stream()
        if self._stream:
            await self._make_consumer()
            self._subscription = await self._link.subscribe(self._link.client.new_inbox())
        else:
            self._subscription = await self._link.subscribe(self.subject)

    async def read(self) -> list[Verdict]:
        """See the contract."""
        if self._subscription is None:
            raise NotConnected(self._options.nats, "not connected")
        try:
            await self._acknowledge()
            while True:
                if found := [told for message in await self._next(self._subscription) if (told := await self._understood(message))]:
                    return found
        except (NatsError, OSError) as exc:
            raise NotConnected(self._options.nats, reason(exc) if not self._link.lost else self._link.why) from exc

    async def close(self) -> None:
        self._subscription, self._read = None, []
        await self._link.close()

    async def _next(self, subscription: Subscription) -> list[Msg]:
        """At least one message, or none after a while."""
        if self._denied:
            raise NotConnected(self._options.nats, self._denied)
        if self._stream:
            await self._pull(subscription)
        try:
            messages = [await subscription.next_msg(_PULL_SECONDS)]
        except TimeoutError:
            _ = self._link.client
            return []
        while subscription.pending_msgs:
            messages.append(await subscription.next_msg(_PULL_SECONDS))
        return [message for message in messages if not self._is_status(message)]

    async def _pull(self, subscription: Subscription) -> None:
        """Ask for more when the last pull is used up or over; one whose end was lost with a restarted hub runs out by the clock."""
        if self._pulled > 0 and time.monotonic() < self._pull_ends:
            return
        request = msgspec.json.encode({"batch": _BATCH, "expires": int(_PULL_SECONDS * _NANOSECONDS)})
        self._pulled, self._pull_ends = _BATCH, time.monotonic() + _PULL_SECONDS + 5
        subject = f"{self._options.api}.CONSUMER.MSG.NEXT.{self._stream}.{self._consumer}"
        await self._link.client.publish(subject, request, reply=subscription.subject)

    def _is_status(self, message: Msg) -> bool:
        status = (message.headers or {}).get("Status")
        if status is None or message.data:
            self._pulled -= 1
            return False
        self._pulled = 0
        if status not in _OVER:
            words = (message.headers or {}).get("Description", "").lower() or "nobody answers"
            raise NotConnected(self._options.nats, f"consumer {self._consumer} of stream {self._stream}: {words} ({status})")
        return True

    async def _understood(self, message: Msg) -> Verdict | None:
        try:
            found = verdict(message.data)
        except ValueError as exc:
            log.warning("verdict not understood", extra={"fields": {"destination": self._context.name, "why": str(exc)[:300]}})
            await self._answer(message, b"+TERM")
            return None
        self._read.append(message)
        return found

    async def _acknowledge(self) -> None:
        read, self._read = self._read, []
        for message in read:
            await self._answer(message, b"+ACK")

    async def _answer(self, message: Msg, word: bytes) -> None:
        if self._stream and message.reply:
            await self._link.client.publish(message.reply, word)

    async def _find_stream(self) -> str:
        """Empty: no stream holds the subject, or we may not know."""
        names = f"{self._options.api}.STREAM.NAMES"
        remedy = f"a stream that holds {self.subject} keeps them"
        try:
            answer = decoded(await self._link.ask(names, msgspec.json.encode({"subject": self.subject})), _Names, self._options)
        except Refused:
            answer, remedy = _Names(), f'allow publish on "{names}", or name the stream: feedback: {{stream: ...}}'
        except Unheard:
            answer = _Names()
        except TimeoutError as exc:
            raise NotConnected(self._options.nats, f"JetStream does not answer {names} in time") from exc
        if answer.streams:
            return answer.streams[0]
        said = "verdicts published while the gateway is away are lost"
        log.warning("feedback", extra={"fields": {"destination": self._context.name, "why": said, "remedy": remedy}})
        return ""

    async def _make_consumer(self) -> None:
        """One that is there already is taken as it is, unless it can bring nothing of ours: it is another site's, or of before a move."""
        api, path = self._options.api, f"{self._stream}.{self._consumer}"
        answer = await self._ask(f"{api}.CONSUMER.INFO.{path}", b"")
        if answer.error and answer.error.err_code == _NO_CONSUMER:
            config = {
                "name": self._consumer,
                "durable_name": self._consumer,
                "filter_subject": self.subject,
                "ack_policy": "explicit",
                "ack_wait": 60 * _NANOSECONDS,
                "deliver_policy": "all",
                "max_deliver": -1,
            }
            request = msgspec.json.encode({"stream_name": self._stream, "config": config})
            answer = await self._ask(f"{api}.CONSUMER.CREATE.{path}.{self.subject}", request)
        which = f"consumer {self._consumer} of stream {self._stream}"
        if answer.error:
            raise NotConnected(self._options.nats, f"{which}: {answer.error.description} ({answer.error.err_code})")
        theirs = answer.config.subjects if answer.config else []
        if theirs and not any(overlap(each, self.subject) for each in theirs):
            remedy = "set feedback: {consumer: NAME} to a name of its own, or delete it if nobody reads from it"
            raise NotConnected(self._options.nats, f"{which} is for {', '.join(theirs)[:100]}, not for {self.subject}; {remedy}")

    async def _ask(self, subject: str, payload: bytes) -> _Consumer:
        try:
            return decoded(await self._link.ask(subject, payload), _Consumer, self._options)
        except Refused as exc:
            raise NotConnected(self._options.nats, self._may_not(subject)) from exc
        except (Unheard, TimeoutError) as exc:
            raise NotConnected(self._options.nats, f"JetStream does not answer {subject}") from exc

    def _refused(self, subject: str) -> None:
        self._denied = self._may_not(subject)

    def _may_not(self, subject: str) -> str:
        api, path = self._options.api, f"{self._stream}.{self._consumer}"
        allow = f'"{api}.CONSUMER.*.{path}.>", "{api}.CONSUMER.*.{path}", "{api}.CONSUMER.MSG.NEXT.{path}", "$JS.ACK.{path}.>"'
        return f"the user may not publish to {subject}; allow publish on {allow}"
