"""What a stream must be for us, asked once at connect; each complaint names the command that ends it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import msgspec

from gateway.contract import NotConnected, UplinkContext
from gateway.uplink.nats.config import NatsOptions
from gateway.uplink.nats.link import Link, Refused, Unheard
from gateway.uplink.nats.subjects import coverage, our_pattern, overlap, probe_subject, site_subjects

WINDOW_SECONDS = 30 * 60
SMALLEST_LIMIT = 256 * 1024
"""An event with its evidence must fit; 200 kB of data and its headers."""
_NOT_FOUND, _NAME_IN_USE = 10059, 10058
_OTHER_STREAM, _OTHER_LAST_ID = 10060, 10070
_NO_JETSTREAM = (10039, 10076)  # not enabled for the account, not enabled at all
_NANOSECONDS = 1_000_000_000


class ApiError(msgspec.Struct):
    """How JetStream says no."""

    code: int = 0
    err_code: int = 0
    description: str = ""


class StreamConfig(msgspec.Struct):
    """The part of a stream's configuration that matters here; times in nanoseconds, -1 is no limit."""

    name: str = ""
    subjects: list[str] = []
    retention: str = "limits"
    storage: str = "file"
    discard: str = "old"
    max_msgs: int = -1
    max_bytes: int = -1
    max_msg_size: int = -1
    duplicate_window: int = 0
    sealed: bool = False
    no_ack: bool = False


class Answer(msgspec.Struct):
    """What every answer of JetStream may be."""

    error: ApiError | None = None


class _Info(Answer):
    config: StreamConfig | None = None


@dataclass(frozen=True, slots=True)
class Complaint:
    """What is wrong and the command or setting that ends it; fatal: nothing can be delivered as it is."""

    said: str
    remedy: str
    fatal: bool = False

    def __str__(self) -> str:
        return f"{self.said}; {self.remedy}"


async def look(link: Link, options: NatsOptions, context: UplinkContext) -> list[Complaint]:
    """Ask for the stream, create it if that is wanted and it is missing; the fatal complaints come first. Raises NotConnected."""
    subject = f"{options.api}.STREAM.INFO.{options.stream}"
    try:
        info = decoded(await link.ask(subject), _Info, options)
        if options.create_stream and info.error and info.error.err_code == _NOT_FOUND:
            subject = f"{options.api}.STREAM.CREATE.{options.stream}"
            info = decoded(await link.ask(subject, _wanted(options)), _Info, options)
            if info.error and info.error.err_code == _NAME_IN_USE:  # another gateway was faster, with other settings
                info = decoded(await link.ask(f"{options.api}.STREAM.INFO.{options.stream}"), _Info, options)
    except Refused:
        said = f"the user may not ask about stream {options.stream}, so it is not checked"
        return [Complaint(said, f'allow publish on "{subject}"')]
    except Unheard:
        return [await _behind_a_leaf(link, options, context)]
    except TimeoutError as exc:
        raise NotConnected(options.nats, f"JetStream does not answer {subject} in time") from exc
    if info.error:
        return [_refusal(info.error, options)]
    ours = our_pattern(context.source, options.subject_prefix, own=options.exactly_once)
    found = complaints(info.config or StreamConfig(), ours, options)
    return sorted(found, key=lambda complaint: not complaint.fatal)


async def _behind_a_leaf(link: Link, options: NatsOptions, context: UplinkContext) -> Complaint:
    """The API of a hub with a domain does not answer without it; publishing works all the same."""
    silent = Complaint("JetStream does not answer", _jetstream_remedy(options), fatal=True)
    if options.domain or await probe(link, options, context):
        return silent
    said = f"JetStream's API does not answer here, so stream {options.stream} is not checked"
    return Complaint(said, "set domain: to that of the hub behind the leaf node (`nats server info` on the hub)")


async def probe(link: Link, options: NatsOptions, context: UplinkContext) -> Complaint | None:
    """Publish what the stream must refuse: it shows the permission and the way there, and nothing is stored.

    None: our stream was asked. Raises NotConnected.
    """
    subject, ours = probe_subject(context.source, options.subject_prefix, own=options.exactly_once), options.stream
    header = f"NATS/1.0\r\nNats-Expected-Stream: {ours}\r\nNats-Expected-Last-Msg-Id: none-has-this\r\n\r\n".encode()
    try:
        answer = decoded(await link.ask(subject, b"", header), Answer, options)
    except Refused:
        allow = site_subjects(context.source, options.subject_prefix)
        return Complaint(f"the user may not publish to {subject}", f'allow publish on "{allow}"', fatal=True)
    except Unheard:
        return Complaint(f"no stream takes {subject}", add_command(options, ours), fatal=True)
    except TimeoutError:
        return Complaint(f"nobody answers a publish to {subject} in time", "is the server of the stream up?", fatal=True)
    if answer.error and answer.error.err_code == _OTHER_STREAM:
        said = f"another stream than {ours} takes {subject}"
        return Complaint(said, f"name the one that `nats stream ls --subject {subject}` lists", fatal=True)
    if answer.error and answer.error.err_code != _OTHER_LAST_ID:
        return Complaint(f"stream {ours}: {answer.error.description} ({answer.error.err_code})", f"nats stream info {ours}", fatal=True)
    return None


def complaints(stream: StreamConfig, ours: str, options: NatsOptions) -> list[Complaint]:
    """Everything that is wrong with a stream for subjects like `ours`. Pure."""
    found = []
    if stream.sealed:
        said = f"stream {stream.name} is sealed and takes nothing any more"
        found.append(Complaint(said, f"create another and name it here: {add_command(options, 'NEW_NAME')}", fatal=True))
    taken = coverage(stream.subjects, ours)
    if taken != "all":
        how = "only some" if taken == "some" else "none"
        said = f"stream {stream.name} takes {', '.join(stream.subjects) or 'no subjects'}: {how} of ours ({ours})"
        wide = f"{options.subject_prefix}.>"
        flags = " ".join(f"--subjects '{subject}'" for subject in [*(s for s in stream.subjects if not overlap(s, wide)), wide])
        found.append(Complaint(said, f"nats stream edit {stream.name} {flags}", fatal=taken == "none"))
    if stream.no_ack:
        said = f"stream {stream.name} acknowledges nothing, so nothing ever counts as sent"
        found.append(Complaint(said, f"nats stream edit {stream.name} --ack", fatal=True))
    return [*found, *_risks(stream, options)]


def _risks(stream: StreamConfig, options: NatsOptions) -> list[Complaint]:
    """Nothing is refused because of these; events may be doubled or lost behind us."""
    name, edit = stream.name, f"nats stream edit {stream.name}"
    anew = f"it cannot be edited, create another: {add_command(options, 'NEW_NAME')}"
    window = stream.duplicate_window / _NANOSECONDS
    limited = stream.max_msgs > 0 or stream.max_bytes > 0
    cases = [
        (
            window < WINDOW_SECONDS and not options.exactly_once,
            f"stream {name} knows a repeated event for {window:g} s only; one sent again later is stored twice",
            f"{edit} --dupe-window 30m, or exactly_once: true here",
        ),
        (stream.storage == "memory", f"stream {name} is in memory: what we count as sent is gone when its server stops", anew),
        (
            stream.retention == "interest",
            f"stream {name} keeps events only while somebody is subscribed: without a consumer they vanish",
            f"{edit} --retention limits",
        ),
        (
            stream.retention == "workqueue",
            f"stream {name} is a work queue: one consumer takes an event away from all others",
            f"{edit} --retention limits, unless there is to be one consumer only",
        ),
        (
            limited and stream.discard == "old" and stream.retention == "limits",
            f"stream {name} drops its oldest events when it is full, read or not",
            f"{edit} --discard new (events wait at the gateways then), or lift --max-msgs and --max-bytes",
        ),
        (
            0 < stream.max_msg_size < SMALLEST_LIMIT,
            f"stream {name} takes {stream.max_msg_size} bytes an event; one with its evidence may be larger and is parked then",
            f"{edit} --max-msg-size {SMALLEST_LIMIT}",
        ),
    ]
    return [Complaint(said, remedy) for wrong, said, remedy in cases if wrong]


def add_command(options: NatsOptions, name: str) -> str:
    """The stream as we would have it, for the `nats` command."""
    return f"nats stream add {name} --subjects '{options.subject_prefix}.>' --storage file --discard new --dupe-window 30m --defaults"


def _wanted(options: NatsOptions) -> bytes:
    return msgspec.json.encode(
        {
            "name": options.stream,
            "subjects": [f"{options.subject_prefix}.>"],
            "storage": "file",
            "retention": "limits",
            "discard": "new",
            "max_msgs": -1,
            "max_bytes": -1,
            "max_age": 0,
            "max_msg_size": -1,
            "max_consumers": -1,
            "num_replicas": 1,
            "duplicate_window": WINDOW_SECONDS * _NANOSECONDS,
        }
    )


def _refusal(error: ApiError, options: NatsOptions) -> Complaint:
    said = f"{error.description} ({error.err_code})"
    if error.err_code == _NOT_FOUND:
        command = add_command(options, options.stream)
        return Complaint(f"there is no stream {options.stream!r}", f"create it ({command}), or set create_stream: true", fatal=True)
    if error.err_code in _NO_JETSTREAM:
        return Complaint(said, _jetstream_remedy(options), fatal=True)
    return Complaint(f"stream {options.stream}: {said}", f"nats stream info {options.stream} says more", fatal=True)


def _jetstream_remedy(options: NatsOptions) -> str:
    if options.domain:
        return f"is {options.domain!r} the domain of the server that keeps the stream (`nats server info`), and is its link up?"
    return "enable it for this account; if the stream is behind a leaf node, is the link up, and does the hub need domain: here?"


T = TypeVar("T")


def decoded(payload: bytes, kind: type[T], options: NatsOptions) -> T:
    """An answer of the API; raises NotConnected when it is none."""
    try:
        return msgspec.json.decode(payload, type=kind)
    except msgspec.MsgspecError as exc:
        raise NotConnected(options.nats, f"unreadable answer of JetStream: {exc}") from exc


def as_fields(complaint: Complaint, destination: str) -> dict[str, Any]:
    """For the log."""
    return {"destination": destination, "why": complaint.said, "remedy": complaint.remedy}
