"""Sources: what they are given, what they do, and how a driver introduces itself."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, TypeAlias, runtime_checkable

from gateway.contract.device import Health, Load
from gateway.contract.items import Item, Json
from gateway.contract.options import RecordOptions, SecretRef, SourceOptions, TagOptions
from gateway.contract.plant import Clock, RecordSpec, Tag


@dataclass(frozen=True, slots=True, kw_only=True)
class Posted:
    """What somebody posted to ``/ingest/<source>``.

    token    of ``Authorization: Bearer``, or the password of Basic, empty if none; the source compares it, in constant time
    key      of ``Idempotency-Key``, empty if none
    body     decompressed, at most 10 MB
    """

    content_type: str
    body: bytes
    token: str = ""
    key: str = ""


@dataclass(frozen=True, slots=True)
class Answer:
    """For the one who posted: an HTTP status and a JSON body."""

    status: int
    body: Json


Receiver: TypeAlias = Callable[[Posted], Awaitable[Answer]]


@dataclass(frozen=True, kw_only=True)
class SourceContext:
    """What a source is given beside its options.

    name        the machine it belongs to
    tags        the tags to read; the source fills `Batch.tag` with their `index`
    records     the business messages to take
    state_dir   a folder of its own that survives restarts (learnt facts, aliases)
    pki         certificates of the whole gateway: ``own/``, ``trusted/``, ``rejected/``; `lineside trust` shows and moves them
    secret      resolves a `SecretRef` to text; raises ConfigError when it is not there
    dropped     count what was lost before `read` could return it: `dropped("buffer_full", 12)`
    filled      tell that readings of a stretch of time came after all (a server's history): `filled(from_ns, to_ns, count)`
    skipped     count polls that were not made because an earlier one took too long; nothing was read, so nothing is lost
    health      tell how a device is, as a level: saying the same again changes nothing; one incident per device and trouble.
                What `connect` and `read` raise need not be told: a source that is lost is seen
    serve       from now on this takes what is posted to ``/ingest/<name>``; None: nobody does
    """

    name: str
    tags: tuple[Tag, ...]
    records: tuple[RecordSpec, ...]
    clock: Clock
    state_dir: Path
    pki: Path
    secret: Callable[[SecretRef], str]
    dropped: Callable[[str, int], None]
    skipped: Callable[[int], None]
    filled: Callable[[int, int, int], None] = lambda _from_ns, _to_ns, _count: None
    health: Callable[[Health], None] = lambda _health: None
    serve: Callable[[Receiver | None], None] = lambda _receiver: None


class Source(Protocol):
    """Reads one machine. One task calls it, so it needs no locks: connect, read, read, ..., close; then perhaps again."""

    async def connect(self) -> None:
        """Open the connection. Called again after NotConnected, always after a `close`.

        raises NotConnected   within ten seconds when the peer is not there or refuses
        raises ConfigError    when the peer's answer shows that the configuration can never work
        """

    async def read(self) -> Item | list[Item]:
        """Wait for the next values and return them; may be cancelled at any await.

        Paces itself by its `poll_seconds`; a poll that is late is skipped, not queued. Calling `read` again is the
        acknowledgement: everything returned before is accepted, and what its records caused is on disk. A source
        whose peer waits for an acknowledgement (MQTT QoS 1) gives it at the start of `read`, never earlier.

        raises NotConnected   when the peer is lost; what was not yet acknowledged stays with the peer
        raises EndOfSource    when a recording is at its end
        """

    async def close(self) -> None:
        """Release everything; leaves no task behind. Never raises; twice is fine, before connect is fine."""


@runtime_checkable
class Writer(Protocol):
    """What a source may have beside `Source`. Called by `lineside write` only, on a source of its own, after `connect`."""

    async def write(self, tag: Tag, value: float) -> None:
        """Set one tag to a value in engineering units. The caller has checked `tag.options.writable` and writes the audit line.

        raises NotConnected   the peer is lost; whether it took the value is not known
        raises ConfigError    the peer refuses it, in its words
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """Something a peer offers.

    name      a name for it as a tag: lower case, digits, ``_`` and ``-``
    options   of the driver's tag, as an engineer writes them: columns of a `tags_from` file
    value     what it reads now, for people; empty if it was not read
    note      type, path, description: for people
    """

    name: str
    options: Mapping[str, str]
    value: str = ""
    note: str = ""


Browse: TypeAlias = Callable[[Any, SourceContext, str], AsyncIterator[Found]]
"""(options, context without tags, path globs as the peer's own paths are written; empty: everything).

Reads only, gently, within the peer's limits. Raises NotConnected.
"""

Probe: TypeAlias = Callable[[Any, SourceContext], AsyncIterator[str]]
"""(options, context without tags): lines that together are YAML; what was seen stands in comments.

For peers that cannot tell what they have: reads only, one request at a time. Raises NotConnected.
"""

Plan: TypeAlias = Callable[[Any, Sequence[Tag]], Load]
"""What reading these tags costs; pure, nothing is connected."""


@dataclass(frozen=True, kw_only=True)
class SourcePlugin:
    """How a driver introduces itself (entry point group ``gateway.sources``, same name).

    `build` imports the protocol library; importing the plugin does not, and `browse` and `probe` do it when they run.

    schemes   of the addresses it is for: `lineside browse opc.tcp://…` finds it by them; the option that takes an address has
              the plugin's name
    writes    its sources are `Writer`s; without, a tag with `writable` is a configuration error
    profiles  folder of profiles that come with it: ``<name>.yaml`` holds ``profiles: <name>: …`` as a configuration would; a machine
              names one as its own, and the configuration's own go first
    receives  its sources `serve` what is posted, so the gateway's page must be on
    claim     (option, what it names in words) of a thing that only one source can have, a folder or a client id: two sources with the
              same words are a configuration error; None: there is none
    shares    (what it shares with other sources, a serial line, in words; by option what these must agree on): two sources that do
              not are a configuration error, unless they are isolated; None: nothing
    doubts    what of the options is allowed but probably not meant, with the remedy, one clause each: `lineside check` warns of it
    """

    name: str
    options: type[SourceOptions]
    tag: type[TagOptions]
    build: Callable[[Any, SourceContext], Source]
    record: type[RecordOptions] | None = None
    schemes: tuple[str, ...] = ()
    writes: bool = False
    receives: bool = False
    browse: Browse | None = None
    probe: Probe | None = None
    plan: Plan | None = None
    profiles: Path | None = None
    claim: Callable[[Any], tuple[str, str] | None] = lambda _options: None
    shares: Callable[[Any], tuple[str, Mapping[str, object]] | None] = lambda _options: None
    doubts: Callable[[Any], Sequence[str]] = lambda _options: ()
