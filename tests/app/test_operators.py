"""Life with the alarms: shelves, learning anew and watches on trial, by the commands beside a running gateway."""

from __future__ import annotations

import asyncio
import json
import logging
import socket
import sqlite3
import threading
from collections.abc import Callable, Coroutine
from contextlib import closing
from dataclasses import replace
from typing import Any, ClassVar

import pytest
from click.testing import CliRunner, Result

from gateway.app import App
from gateway.cli import main
from gateway.commands import renew
from gateway.config import Settings
from gateway.config.settings import WatchSettings
from gateway.contract import Batch, DetectorPlugin, Finding, Learning, Severity, State, StateError, WatchOptions
from gateway.operators import desk, progress
from gateway.outbox import requests
from gateway.outbox.database import FILE_NAME
from gateway.outbox.requests import Request

Command = Callable[..., Coroutine[Any, Any, Result]]
WARM_UP = 5


class Counting:
    """Knows a tag after five readings; what is above the limit it has learnt (100) is odd."""

    takes: ClassVar[frozenset[type]] = frozenset({Batch})

    def __init__(self, options: Any, context: Any) -> None:
        self._tags = {tag.index: tag for tag in context.tags}
        self.seen = {tag.name: 0 for tag in context.tags}
        self.limit = {tag.name: 100.0 for tag in context.tags}
        self._last: dict[str, float] = {}
        self.threads: set[str] = set()

    def process(self, item: Any) -> list[Finding]:
        return [self._look(self._tags[tag], int(t), float(v)) for tag, t, v in zip(item.tag.tolist(), item.t_ns, item.value, strict=True)]

    def _look(self, tag: Any, t_ns: int, value: float) -> Finding:
        self.seen[tag.name] += 1
        self._last[tag.name] = value
        state = State.ACTIVE if self.seen[tag.name] > WARM_UP and value > self.limit[tag.name] else State.OVER
        about: dict[str, Any] = {"severity": Severity.WARNING, "title": f"{tag.name} {value:g}", "tags": (tag.name,)}
        return Finding(machine=tag.machine, condition=f"{tag.name}_odd", state=state, t_ns=t_ns, since_ns=t_ns, **about)

    def learning(self) -> list[Learning]:
        self.threads.add(threading.current_thread().name.split("_")[0])
        return [Learning(machine=t.machine, tag=t.name, share=min(1.0, self.seen[t.name] / WARM_UP), alarms=2) for t in self._tags.values()]

    def forget(self, machine: str, tags: frozenset[str]) -> None:
        self.threads.add(threading.current_thread().name.split("_")[0])
        for name in tags or self.seen:
            self.seen[name], self.limit[name] = -1_000_000, 100.0

    def adopt(self, machine: str, tags: frozenset[str]) -> None:
        for name in tags or self.seen:
            self.limit[name] = self._last[name] + 1

    def dump(self) -> bytes:
        return json.dumps([self.seen, self.limit]).encode()

    def load(self, state: bytes) -> None:
        try:
            self.seen, self.limit = json.loads(state)
        except ValueError as exc:
            raise StateError("state is damaged") from exc


def counting(*, slow: bool = False, **options: Any) -> Callable[[Settings], Settings]:
    """A watch `oil` of all tags beside the configured ones."""
    plugin = DetectorPlugin(name="counting", domain="anomaly", options=WatchOptions, build=Counting, slow=slow)
    given = WatchOptions.model_validate({"on": "press-07", "name": "oil", **options})

    def change(settings: Settings) -> Settings:
        watch = WatchSettings(name="oil", plugin=plugin, options=given, tags=settings.tags, records=())
        return replace(settings, watches=(*settings.watches, watch))

    return change


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk, "POLL_SECONDS", 0.02)
    monkeypatch.setattr(progress, "ASK_SECONDS", 0.02)
    monkeypatch.setattr(renew, "_LOOK_SECONDS", 0.02)


@pytest.fixture
def command(site: Any) -> Command:
    """Typed beside the running gateway."""

    async def run(*arguments: str) -> Result:
        return await asyncio.to_thread(CliRunner().invoke, main, [*arguments, "--state-dir", str(site.state)])

    return run


async def status(site: Any, app: App, path: str = "/api/status") -> Any:
    return json.loads((await site.get(app, path))[1])


async def metric(site: Any, app: App, name: str) -> float:
    lines = (await site.get(app, "/metrics"))[1].splitlines()
    return float(next(line for line in lines if line.startswith(name)).rsplit(" ", 1)[1])


def audit(site: Any) -> list[tuple[str, ...]]:
    """Without what each run of a gateway writes."""
    runs = "('gateway started', 'gateway stopped', 'configuration loaded')"
    with closing(sqlite3.connect(site.state / FILE_NAME)) as connection:
        return connection.execute(f"SELECT who, what, name FROM audit WHERE what NOT IN {runs} ORDER BY number").fetchall()


def answers(site: Any) -> list[str]:
    with closing(sqlite3.connect(site.state / FILE_NAME)) as connection:
        return [text for (text,) in connection.execute("SELECT answer FROM request ORDER BY number")]


class TestShelve:
    async def test_an_alarm_is_shelved_over_a_restart_and_told_when_the_shelf_ends(self, site: Any, command: Command) -> None:
        site.oil(20)
        async with site.run() as app:
            made = await command("shelve", "press-07/oil_*", "--for", "8h", "--by", "Eva", "--why", "pump is replaced")
            assert made.exit_code == 0, made.output
            await site.until(lambda: bool(app.desk.shelving.shelves))
            site.oil(90)
            await site.until(lambda: bool(app.incidents.waiting))
            told = await status(site, app)
            assert [(each["condition"], each["state"]) for each in told["withheld"]] == [("oil_temperature_high", "pending")]
            assert told["withheld"][0]["why"].endswith("by Eva: pump is replaced")
            assert [(each["machine"], each["condition"], each["by"]) for each in told["shelves"]] == [("press-07", "oil_*", "Eva")]
            assert await metric(site, app, "lineside_shelves") == 1
        async with site.run() as app:
            await site.until(lambda: bool(app.incidents.waiting))
            assert site.told() == []
            (number,) = [shelf.number for shelf in app.desk.shelving.shelves]
            assert (await command("unshelve", str(number), "--by", "Jane")).exit_code == 0
            await site.until(lambda: site.told() == ["raised"])
        assert audit(site) == [
            ("Eva (command)", "shelved: pump is replaced", "press-07/oil_*"),
            ("Jane (command)", "unshelved", "press-07/oil_*"),
        ]

    async def test_it_ends_by_itself_and_that_stands_in_the_audit(self, site: Any, command: Command) -> None:
        site.oil(90)
        async with site.run() as app:
            await site.until(lambda: site.told() == ["raised"])
            site.oil(20)
            await site.until(lambda: site.told() == ["raised", "cleared"])
            await command("shelve", "press-07/*", "--for", "1500ms", "--by", "Eva", "--why", "test")
            await site.until(lambda: bool(app.desk.shelving.shelves))
            site.oil(90)
            await site.until(lambda: bool(app.incidents.waiting))
            await site.until(lambda: site.told() == ["raised", "cleared", "raised"])
            await site.until(lambda: len(audit(site)) == 2)
        assert audit(site)[1] == ("the gateway", "shelf expired", "press-07/*")


class TestTry:
    """The receiver refuses our login, which somebody mends there: nothing here changes."""

    @pytest.fixture(autouse=True)
    def refused(self, site: Any) -> None:
        site.secret("crm", "ours-4711")
        site.receiver._token = "another-4711"
        site.configure(lambda text: text.replace("mode: batch", "token: {secret: crm}, mode: batch"))
        site.oil(75.0)

    async def test_what_was_mended_at_the_receiver_is_tried_at_once(self, site: Any, command: Command) -> None:
        async with site.run() as app:
            await site.until(lambda: app.edges.senders["crm"][3].breaker.holding)
            done = await command("outbox", "try", "crm", "--by", "Eva")
            assert (done.exit_code, done.output[:24]) == (1, "takes nothing yet: crm: ")
            assert app.edges.senders["crm"][3].breaker.holding, "one attempt, and it waits again"
            site.receiver._token = "ours-4711"
            done = await command("outbox", "try", "crm", "--by", "Eva", "--why", "password was reset")
            assert (done.exit_code, done.output) == (0, "crm answers\n")
            await site.until(lambda: site.told() == ["raised"])
            done = await command("outbox", "try", "crm")
            assert (done.exit_code, done.output) == (0, "nothing holds crm back: it was not refused, and it answers\n")
            done = await command("outbox", "try", "plant")
            assert (done.exit_code, "there is no destination 'plant'; there are crm" in done.output) == (1, True)
        assert audit(site)[:2] == [("Eva (command)", "try", "crm"), ("Eva (command)", "try: password was reset", "crm")]

    async def test_asked_for_while_the_gateway_is_down_the_next_start_does_it(self, site: Any, command: Command) -> None:
        async with site.run() as app:
            await site.until(lambda: app.edges.senders["crm"][3].breaker.holding)
        site.receiver._token = "ours-4711"
        async with site.run() as app:
            await site.until(lambda: app.edges.senders["crm"][3].breaker.holding)
            await asyncio.sleep(0.2)
            assert site.told() == [], "a restart alone is no reason to log in again: it may be one of many"
        with closing(sqlite3.connect(site.state / FILE_NAME)) as connection, connection:
            connection.execute("INSERT INTO request (what, watch, machine, tags, who, why, at_ns) VALUES ('try', '', 'crm', '', '', '', 1)")
        async with site.run():
            await site.until(lambda: site.told() == ["raised"])

    async def test_what_waits_for_a_file_of_ours_is_tried_too(self, site: Any, command: Command) -> None:
        """It said that nothing held it back, and that it answered."""
        async with site.run() as app:
            (site.folder / "secrets" / "crm").rename(site.folder / "elsewhere")
            site.receiver._token = "ours-4711"
            await app.edges.stop_senders(["crm"])
            app.edges._start_sender(app.settings.destinations[0], app.settings, anew=True)
            await site.until(lambda: app.edges.senders["crm"][2].state == "down")
            assert not app.edges.senders["crm"][3].held_back
            done = await command("outbox", "try", "crm", "--by", "Eva")
            assert (done.exit_code, done.output[:24]) == (1, "takes nothing yet: crm: ")
            (site.folder / "elsewhere").rename(site.folder / "secrets" / "crm")
            done = await command("outbox", "try", "crm", "--by", "Eva")
            assert (done.exit_code, done.output) == (0, "crm answers\n")

    async def test_what_the_budget_holds_back_is_told_as_that(self, site: Any, command: Command) -> None:
        site.receiver._token = "ours-4711"
        site.configure(lambda text: text.replace("mode: batch", "token: {secret: crm}, budget: {per_hour: 1, reserve: 0}, mode: batch"))
        async with site.run() as app:
            await site.until(lambda: site.told() == ["raised"])
            site.oil(20)
            await site.until(lambda: bool(app.edges.senders["crm"][3].throttle.why))
            done = await command("outbox", "try", "crm")
            assert (done.exit_code, done.output) == (0, "nothing holds crm back but budget per_hour: it was not refused, and it answers\n")


class TestLearning:
    async def test_its_progress_is_told_and_in_the_log_once_when_it_knows(self, site: Any, caplog: pytest.LogCaptureFixture) -> None:
        with caplog.at_level(logging.INFO, "lineside"):
            async with site.run(counting()) as app:
                await site.until(lambda: (known := app.desk.progress.of("oil")) is not None and known.still == 0)
                (watch,) = [each for each in (await status(site, app))["watches"] if each["name"] == "oil"]
                assert watch["learning"] == {"share": 1.0, "still": 0, "of": 1, "alarms_last_week": 2}
                told = await status(site, app, "/api/watches/oil")
                assert told["tags"] == [{"machine": "press-07", "tag": "oil_temperature", "state": "", "share": 1.0, "alarms": 2}]
                assert await metric(site, app, 'lineside_learning_share{watch="oil"}') == 1
                assert (await site.get(app, "/api/watches/none"))[0] == 404
        said = [record.fields for record in caplog.records if record.message == "learnt"]  # type: ignore[attr-defined]
        assert said == [{"watch": "oil", "knows": "press-07/oil_temperature", "still_learning": 0}]

    async def test_forget_is_answered_undone_and_survives_a_restart(self, site: Any, command: Command) -> None:
        async with site.run(counting()) as app:
            await site.until(lambda: (known := app.desk.progress.of("oil")) is not None and known.still == 0)
            done = await command("forget", "press-07/oil_*", "--by", "Eva", "--why", "new pump")
            assert (done.exit_code, done.output) == (0, "forgotten: press-07/oil_temperature by oil\n")
            await site.until(lambda: (known := app.desk.progress.of("oil")) is not None and known.share <= 0)
        async with site.run(counting()) as app:
            await site.until(lambda: (known := app.desk.progress.of("oil")) is not None and known.share <= 0)
            done = await command("forget", "--undo", "oil", "--by", "Eva", "--why", "it was the old one")
            assert (done.exit_code, done.output) == (0, "as before again: oil\n")
            await site.until(lambda: (known := app.desk.progress.of("oil")) is not None and known.share == 1)
        assert audit(site) == [
            ("Eva (command)", "forget: new pump", "press-07/oil_*"),
            ("Eva (command)", "undo: it was the old one", "oil"),
        ]

    async def test_what_is_adopted_is_over(self, site: Any, command: Command) -> None:
        site.configure(high=1000.0)
        site.oil(150)
        async with site.run(counting()):
            await site.until(lambda: site.told() == ["raised"])
            done = await command("adopt", "press-07", "--watch", "oil", "--by", "Eva", "--why", "new recipe")
            assert (done.exit_code, done.output) == (0, "adopted as normal: press-07 by oil\n")
            await site.until(lambda: site.told() == ["raised", "cleared"])

    async def test_a_slow_detector_is_asked_and_told_on_its_own_thread(self, site: Any, command: Command) -> None:
        async with site.run(counting(slow=True)) as app:
            await site.until(lambda: (known := app.desk.progress.of("oil")) is not None and known.still == 0)
            assert (await command("forget", "press-07", "--by", "Eva", "--why", "test")).exit_code == 0
            watch: Any = next(each for each in app.pipeline.line.watches if each.name == "oil")
            assert watch.detector.threads == {"analysis"}

    @pytest.mark.parametrize(
        ("arguments", "why"),
        [
            (("press-09",), "not done: no watch looks at press-09; watched machines are press-07\n"),
            (("press-07", "--watch", "coil"), "not done: there is no watch 'coil'; there are limit-1, oil\n"),
            (("press-07", "--watch", "limit-1"), "not done: limit-1 does not learn\n"),
            (("--undo", "oil"), "not done: oil has no state of before: it was not told to forget or to adopt anything\n"),
        ],
    )
    async def test_what_cannot_be_done_is_told(self, site: Any, command: Command, arguments: tuple[str, ...], why: str) -> None:
        async with site.run(counting()):
            done = await command("forget", *arguments, "--by", "Eva", "--why", "test")
        assert (done.exit_code, done.output) == (1, why)

    async def test_asked_of_a_gateway_that_does_not_run_the_next_start_does_it(self, site: Any, command: Command) -> None:
        async with site.run(counting()) as app:
            await site.until(lambda: (known := app.desk.progress.of("oil")) is not None and known.still == 0)
        with closing(sqlite3.connect(site.state / FILE_NAME)) as connection:
            connection.execute("UPDATE note SET value='0' WHERE name='alive_ns'")
            connection.commit()
        done = await command("forget", "press-07", "--by", "Eva", "--why", "new pump")
        assert done.exit_code == 0
        assert "the next start does" in done.output
        async with site.run(counting()) as app:
            await site.until(lambda: (known := app.desk.progress.of("oil")) is not None and known.share <= 0)

    async def test_what_ended_the_gateway_is_not_done_again(self, site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
        called = threading.Event()

        def bug(*_: Any, **__: Any) -> None:
            called.set()
            raise ZeroDivisionError("a bug in a detector")

        def ask() -> None:
            with closing(sqlite3.connect(site.state / FILE_NAME, timeout=5)) as connection:
                requests.add(connection, Request(0, "forget", "", "press-07", "", "Eva", "test", 1))
                connection.commit()

        ports = []

        async def until_it_ends() -> None:
            async with site.run(counting()) as app:
                ports.append(app.page_port)
                await asyncio.to_thread(ask)
                await site.until(called.is_set)

        monkeypatch.setattr(Counting, "forget", bug)
        with pytest.raises(ExceptionGroup):
            await until_it_ends()
        socket.create_server(("127.0.0.1", ports[0])).close()  # the page has ended, too
        async with site.run(counting()):
            await site.until(lambda: len(audit(site)) == 1)
        assert audit(site) == [("Eva", "forget: test", "press-07")]
        assert answers(site)[0].startswith("not done: the gateway ended")


class TestShadow:
    async def test_would_be_alarms_of_the_last_week_are_told_also_after_a_restart(self, site: Any) -> None:
        site.configure(high=1000.0)
        site.oil(150)
        async with site.run(counting(shadow=True)) as app:
            await site.until(lambda: app.counts.total("alarms_shadow") == 1)
            assert await metric(site, app, 'lineside_findings_shadow_total{state="active",watch="oil"}') >= 1
        site.oil(20)
        async with site.run(counting(shadow=True)) as app:
            told = await status(site, app, "/api/watches/oil")
            assert (told["shadow"], [each["title"] for each in told["would_be"]]) == (
                {"last_week": 1, "active": 0},
                ["oil_temperature 150"],
            )
        assert site.told() == []
