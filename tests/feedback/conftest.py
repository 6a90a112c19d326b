"""An outbox with incidents in it, and watches whose detectors write down what they are told."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar
from zoneinfo import ZoneInfo

import pytest

from gateway.config.settings import IncidentSettings, WatchSettings
from gateway.contract import Batch, DetectorContext, DetectorPlugin, Finding, Judgement, Label, Tag, TagOptions, Verdict, WatchOptions
from gateway.engine.watch import Watch, build_watch
from gateway.incidents import Incident
from gateway.outbox.append import IncidentRow
from gateway.outbox.store import Outbox
from gateway.testkit.clock import FakeClock


class Deaf:
    """A detector that cannot be told anything."""

    takes: ClassVar[frozenset[type]] = frozenset({Batch})

    def __init__(self, options: Any, context: Any) -> None:
        self.heard: list[Any] = []
        self.threads: set[str] = set()

    def process(self, item: Any) -> list[Finding]:
        self.heard.append("item")
        return []

    def dump(self) -> bytes:
        self.heard.append("dump")
        return b""

    def load(self, state: bytes) -> None:
        pass


class Pupil(Deaf):
    """Tunable and teachable."""

    def tune(self, machine: str, condition: str, factor: float) -> None:
        self.heard.append((machine, condition, factor))
        self.threads.add(threading.current_thread().name)

    def teach(self, label: Label) -> None:
        self.heard.append(label)
        self.threads.add(threading.current_thread().name)


class Made:
    """What the tests are made of. Incidents begin at T0; those that are over ended five nanoseconds later."""

    T0 = 1_800_000_000_000_000_000
    CONDITION = "t0_anomaly"

    @staticmethod
    def watch(name: str = "anomaly-1", *, deaf: bool = False, slow: bool = False, built: bool = True, **bounds: float) -> Watch:
        """Without bounds it has no `feedback`."""
        kind = Deaf if deaf else Pupil
        plugin = DetectorPlugin(name=kind.__name__.lower(), domain="anomaly", options=WatchOptions, build=kind, slow=slow)
        options = WatchOptions.model_validate({"on": "m1/*", "feedback": bounds or None})
        tags = (Tag(0, "m1", "t0", TagOptions()),)
        settings = WatchSettings(name=name, plugin=plugin, options=options, tags=tags, records=())
        context = DetectorContext(name=name, tags=tags, timezone=ZoneInfo("UTC"))
        made = build_watch(settings, tags={"m1": {"t0": tags[0]}}, incidents=IncidentSettings(), table_size=1, context=context)
        if built:
            made.ready(kind(options, context))
        return made

    @staticmethod
    def incident(identity: str = "inc-1", *, detector: str = "anomaly-1", over: bool = False) -> IncidentRow:
        state, t0, condition = "closed" if over else "open", Made.T0, Made.CONDITION
        body = Incident(
            id=identity,
            machine="m1",
            condition=condition,
            detector=detector,
            domain="anomaly",
            state=state,
            active=not over,
            title="",
            severity=13,
            peak=13,
            score=1.0,
            since_ns=t0,
            changed_ns=t0,
            raised_ns=t0,
            cleared_ns=t0 + 5 if over else 0,
        )
        return IncidentRow(identity, "m1", condition, state, t0, t0, t0, body.dump())

    @staticmethod
    def verdict(identity: str, judgement: Judgement = Judgement.FALSE_ALARM, of: str = "inc-1", **changed: Any) -> Verdict:
        given: dict[str, Any] = {"id": identity, "incident": of, "judgement": judgement, "t_ns": Made.T0, "by": "Eva"}
        return Verdict(**(given | changed))

    @staticmethod
    def label(judgement: Judgement, *, over: bool = False) -> Label:
        """What a detector is told of a verdict on such an incident."""
        until_ns = Made.T0 + 5 if over else 0
        return Label(machine="m1", condition=Made.CONDITION, judgement=judgement, since_ns=Made.T0, until_ns=until_ns)

    @staticmethod
    def heard(watch: Watch) -> list[Any]:
        """What its detector was told; forgotten then."""
        assert isinstance(watch.detector, Deaf)
        found, watch.detector.heard = watch.detector.heard, []
        return found

    @staticmethod
    def threads(watch: Watch) -> set[str]:
        assert isinstance(watch.detector, Deaf)
        return watch.detector.threads


@pytest.fixture
def made() -> type[Made]:
    return Made


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(Made.T0)


@pytest.fixture
async def outbox(tmp_path: Path, clock: FakeClock) -> AsyncIterator[Outbox]:
    """With the incidents inc-1 to inc-5 of anomaly-1; those with an even number are over."""
    box = Outbox(tmp_path, clock)
    assert box.open() is None
    await box.append([Made.incident(f"inc-{n}", over=n % 2 == 0) for n in range(1, 6)], [])
    yield box
    await box.close()


@pytest.fixture
def analysis() -> Iterator[Executor]:
    with ThreadPoolExecutor(1, thread_name_prefix="analysis") as executor:
        yield executor


Wait = Callable[[Callable[[], bool]], Any]


@pytest.fixture
def until() -> Wait:
    """``await until(lambda: ...)``: as soon as it holds, within five seconds."""
    import asyncio

    async def wait(condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not condition():  # noqa: ASYNC110  what is waited for has no event
                await asyncio.sleep(0.005)

    return wait
