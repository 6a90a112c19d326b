"""Posts against a real page: what is answered when, and what is never taken twice."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from drivers.http import bodies
from drivers.http.keys import Kept, Keys
from gateway.contract import Batch, Health, Item, NotConnected, Record, Source
from gateway.testkit.clock import FakeClock
from gateway.testkit.rigs.http import Rig

AT = 1_800_000_000_000
STEP = {"type": "step", "order": "4711", "at": AT}


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    rig = Rig()
    await rig.start()
    yield rig
    await rig.stop()


class Gateway:
    """Reads a source as the pump does; `hold` keeps it from coming back, as a full disk would."""

    def __init__(self, source: Source) -> None:
        self.source, self.items = source, list[Item]()
        self.free = asyncio.Event()
        self.free.set()
        self._task: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Gateway:
        await self.source.connect()
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        assert self._task is not None
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self.source.close()

    async def _run(self) -> None:
        while True:
            got = await self.source.read()
            self.items += got if isinstance(got, list) else [got]
            await self.free.wait()

    @property
    def orders(self) -> list[Any]:
        return [item.fields.get("order") for item in self.items if isinstance(item, Record)]

    async def has(self, count: int) -> None:
        async with asyncio.timeout(5):
            while len(self.items) < count:  # noqa: ASYNC110
                await asyncio.sleep(0.001)


async def test_202_comes_only_after_the_gateway_came_back_for_more(rig: Rig) -> None:
    async with Gateway(rig.source()) as gateway:
        gateway.free.clear()
        post = rig.begin(json.dumps(STEP))
        await gateway.has(1)
        assert not post.done()
        gateway.free.set()
        assert await post == (202, {"rows": 1})
    assert gateway.orders == ["4711"]


async def test_one_body_of_each_kind(rig: Rig) -> None:
    async with Gateway(rig.source(tags={"oee": {}})) as gateway:
        assert (await rig.post(json.dumps([STEP, {"oee": 80, "at": AT}])))[0] == 202
        assert (await rig.post(json.dumps(STEP) + "\n\n" + json.dumps(STEP), kind="application/x-ndjson"))[1] == {"rows": 2}
        csv = "type;order;oee;at\r\nstep;Größe;81;1800000000000\r\n".encode("cp1252")
        assert (await rig.post(csv, kind="text/csv; charset=windows-1252"))[0] == 202
    assert gateway.orders == ["4711", "4711", "4711", "Größe"]
    batch = next(item for item in gateway.items if isinstance(item, Batch))
    assert (batch.t_ns.tolist(), batch.value.tolist()) == ([AT * 1_000_000], [80.0])


@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
async def test_ten_megabytes_are_taken_whole(rig: Rig) -> None:
    count = 10_000_000 // 1100
    body = "\n".join(json.dumps(STEP | {"order": n, "text": "x" * 1000}) for n in range(count)).encode()
    assert 9_000_000 < len(body) < 10_000_000
    async with Gateway(rig.source()) as gateway:
        assert await rig.post(body, kind="application/x-ndjson") == (202, {"rows": count})
    assert gateway.orders == list(range(count))


@pytest.mark.parametrize(
    ("body", "kind", "status", "why"),
    [
        (json.dumps([STEP, {"type": "step"}]), "application/json", 400, "/1: no time in $.at"),
        (json.dumps([STEP, {"type": "other", "at": AT}]), "application/json", 400, "/1: no tag and no record takes it"),
        (json.dumps([STEP, 7]), "application/json", 400, "/1: no object"),
        ("{nonsense", "application/json", 400, "no JSON"),
        (json.dumps(STEP) + "\nnonsense", "application/x-ndjson", 400, "line 2: no JSON"),
        ("type,at\nstep,1,2,3\n", "text/csv", 400, "line 2: 4 cells, the header has 2"),
        (b"type,at\nst\xe4p,1\n", "text/csv", 400, "line 2: byte 0xe4 is not utf-8"),
        ("type,at\n", "text/csv; charset=klingon", 400, "the charset 'klingon' is not taken"),
        ("type,at\n", "text/csv; charset=punycode", 400, "the charset 'punycode' is not taken"),
        ("type,at\n", "text/csv; charset=undefined", 400, "the charset 'undefined' is not taken"),
        (json.dumps(STEP), "text/plain", 415, "text/plain; taken are application/json"),
    ],
)
async def test_a_body_with_one_bad_row_is_refused_whole(rig: Rig, body: str | bytes, kind: str, status: int, why: str) -> None:
    told: list[Health] = []
    async with Gateway(rig.source(tags={}, told=told)) as gateway:
        got, answer = await rig.post(body, kind=kind)
        assert (got, why in answer["error"]) == (status, True), answer
        assert told[-1].active
        assert (await rig.post(json.dumps(STEP)))[0] == 202
        assert not told[-1].active
    assert gateway.orders == ["4711"]


@pytest.mark.parametrize("token", ["", "wrong", "let-me-in2", "let-me-iñ"])
async def test_without_the_token_nothing_is_taken_and_nobody_is_bothered(rig: Rig, token: str) -> None:
    told: list[Health] = []
    async with Gateway(rig.source(told=told)) as gateway:
        assert (await rig.post(json.dumps(STEP), token=token.encode().decode("latin-1")))[0] == 401
    assert (gateway.items, told) == ([], [])


async def test_a_key_that_was_answered_is_answered_again_and_taken_once_also_after_a_restart(rig: Rig, tmp_path: Path) -> None:
    state = tmp_path / "state"
    body = json.dumps(STEP)
    async with Gateway(rig.source(state_dir=state)) as gateway:
        assert (await rig.post(body, Idempotency_Key="k1"))[0] == 202
        assert await rig.post(body, Idempotency_Key="k1") == (202, {"repeated": True})
        assert (await rig.post(json.dumps(STEP | {"order": "4712"}), Idempotency_Key="k1"))[0] == 422
    async with Gateway(rig.source(state_dir=state)) as after:
        assert await rig.post(body, Idempotency_Key="k1") == (202, {"repeated": True})
        assert (await rig.post(body, Idempotency_Key="k2"))[0] == 202
    assert (gateway.orders, after.orders) == (["4711"], ["4711"])


async def test_a_post_that_was_cut_off_is_dated_as_at_first_when_it_is_repeated(rig: Rig, tmp_path: Path) -> None:
    """Its records may be on disk, so it must not become another event."""
    told: list[int] = []
    for key, stopped in (("k1", True), ("k1", False), ("k2", False)):
        async with Gateway(rig.source(state_dir=tmp_path, time=None)) as gateway:
            if stopped:
                gateway.free.clear()
            post = rig.begin(json.dumps({"type": "step", "order": "4711"}), Idempotency_Key=key)
            await gateway.has(1)
            if not stopped:
                assert (await post)[0] == 202
        assert (await post)[0] == (503 if stopped else 202)
        told += [item.t_ns for item in gateway.items if isinstance(item, Record)]
    assert told[0] == told[1] < told[2]


async def test_the_same_key_in_work_waits_for_the_first_and_is_taken_once(rig: Rig) -> None:
    async with Gateway(rig.source()) as gateway:
        gateway.free.clear()
        posts = [rig.begin(json.dumps(STEP), Idempotency_Key="k") for _ in range(3)]
        await gateway.has(1)
        gateway.free.set()
        assert [status for status, _ in await asyncio.gather(*posts)] == [202, 202, 202]
    assert gateway.orders == ["4711"]


async def test_a_post_whose_page_was_closed_while_it_was_read_may_be_repeated(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    busy, free = threading.Event(), threading.Event()

    def slow(*given: Any, **more: Any) -> Any:
        busy.set()
        free.wait(10)
        return bodies.read(*given, **more)

    monkeypatch.setattr("drivers.http.source.read", slow)
    body = json.dumps([STEP] * 1_000)
    async with Gateway(rig.source(answer_within="1s")) as gateway:
        post = rig.begin(body, Idempotency_Key="k")
        await asyncio.to_thread(busy.wait, 10)
        await rig._page.stop()
        await asyncio.gather(post, return_exceptions=True)
        free.set()
        await rig.start()
        assert await rig.post(body, Idempotency_Key="k") == (202, {"rows": 1_000})
    assert len(gateway.orders) == 1_000


async def test_a_gateway_that_stops_answers_503_to_all_that_wait(rig: Rig) -> None:
    async with Gateway(rig.source()) as gateway:
        gateway.free.clear()
        given = rig.begin(json.dumps(STEP))
        await gateway.has(1)
        waiting = rig.begin(json.dumps(STEP), Idempotency_Key="k")
        async with asyncio.timeout(5):
            while not gateway.source._waiting:  # type: ignore[attr-defined]  # noqa: ASYNC110
                await asyncio.sleep(0.001)
    assert [(await post)[0] for post in (given, waiting)] == [503, 503]
    assert (await rig.post(json.dumps(STEP)))[0] == 503


async def test_a_full_disk_is_503_in_time_and_what_was_not_given_is_taken_back(rig: Rig) -> None:
    async with Gateway(rig.source(answer_within="1s", max_waiting=1)) as gateway:
        gateway.free.clear()
        given = rig.begin(json.dumps(STEP | {"order": "1"}), Idempotency_Key="k1")
        await gateway.has(1)
        waiting = rig.begin(json.dumps(STEP | {"order": "2"}), Idempotency_Key="k2")
        async with asyncio.timeout(5):
            while not gateway.source._waiting:  # type: ignore[attr-defined]  # noqa: ASYNC110
                await asyncio.sleep(0.001)
        assert (await rig.post(json.dumps(STEP)))[0] == 503  # one too many
        (first, why), (second, other) = await given, await waiting
        assert (first, "same Idempotency-Key" in why["error"]) == (503, True)
        assert (second, "nothing of it was taken" in other["error"]) == (503, True)
        gateway.free.set()
        assert (await rig.post(json.dumps(STEP | {"order": "1"}), Idempotency_Key="k1"))[0] == 202
        assert (await rig.post(json.dumps(STEP | {"order": "2"}), Idempotency_Key="k2"))[0] == 202
    assert gateway.orders == ["1", "2"]


async def test_keys_that_cannot_be_kept_take_the_source_down_and_the_post_is_not_answered_202(rig: Rig, tmp_path: Path) -> None:
    state = tmp_path / "state"
    source = rig.source(state_dir=state)
    await source.connect()
    post = rig.begin(json.dumps(STEP), Idempotency_Key="k")
    await source.read()
    (state / "posted.keys").unlink()
    (state / "posted.keys").mkdir()
    with pytest.raises(NotConnected, match="keys cannot be kept: is a directory"):
        await source.read()
    await source.close()
    assert (await post)[0] == 503


async def test_keys_are_bounded_by_count_and_age_and_survive_a_torn_line(tmp_path: Path) -> None:
    path = tmp_path / "posted.keys"
    clock = FakeClock(0)
    keys = Keys(path, clock, most=3, age_ns=100)
    keys.load()
    for number in range(5):
        clock.set_wall(number)
        keys.add([Kept(f"k{number}", "d", number)])
    path.write_bytes(path.read_bytes() + b'["k9","d"')
    again = Keys(path, clock, most=3, age_ns=100)
    again.load()
    assert [name for name in (f"k{n}" for n in range(10)) if again.get(name)] == ["k2", "k3", "k4"]
    await clock.advance(101e-9)
    assert again.get("k4") is None
    again.add([Kept("late", "d", clock.now_ns())])
    assert [again.get(name) is not None for name in ("k4", "late")] == [False, True]


@pytest.mark.parametrize("leap_seconds", [30 * 86_400, -30 * 86_400, 31_536_000 * 50])
async def test_a_clock_that_is_set_forgets_no_key_early_and_keeps_none_for_ever(tmp_path: Path, leap_seconds: int) -> None:
    """Also over a restart behind the leap, and of one that had been kept before the run in which the clock leapt."""
    path, clock, day_ns = tmp_path / "posted.keys", FakeClock(), 86_400 * 10**9
    keys = Keys(path, clock, most=10, age_ns=day_ns)
    keys.load()
    given_ns = clock.now_ns()
    keys.add([Kept("before", "d", given_ns)])
    keys.add([Kept("cut off", "d", given_ns, begun=True)])
    keys = Keys(path, clock, most=10, age_ns=day_ns)
    keys.load()
    await clock.advance(43_200)
    clock.set_wall(clock.now_ns() + leap_seconds * 10**9)
    assert keys.get("before") is not None
    keys.add([Kept("behind", "d", clock.now_ns())])
    keys = Keys(path, clock, most=10, age_ns=day_ns)
    keys.load()
    assert [keys.get(name) is not None for name in ("before", "behind")] == [True, True]
    assert keys.begun_ns("cut off", "d") == given_ns, "rows of another time would be another event"
    await clock.advance(43_201)
    assert [keys.get(name) is not None for name in ("before", "behind")] == [False, True]
    await clock.advance(43_200)
    keys.add([])
    assert keys._known == {}


async def test_a_clock_that_was_set_back_while_nobody_ran_keeps_no_key_for_ever(tmp_path: Path) -> None:
    clock = FakeClock()
    keys = Keys(tmp_path / "posted.keys", clock, most=10, age_ns=10**9)
    keys.load()
    keys.add([Kept("k", "d", clock.now_ns() + 10**18)])
    keys = Keys(tmp_path / "posted.keys", clock, most=10, age_ns=10**9)
    keys.load()
    assert keys.get("k") is not None
    await clock.advance(1.1)
    assert keys.get("k") is None


def test_keys_of_a_lineside_that_knew_no_leaps_are_read_and_written_as_before(tmp_path: Path) -> None:
    path = tmp_path / "posted.keys"
    path.write_bytes(b'["k","d",5,false]\n')
    keys = Keys(path, FakeClock(6), most=10, age_ns=100)
    keys.load()
    assert keys.get("k") == Kept("k", "d", 5)
    assert path.read_bytes() == b'["k","d",5,false]\n'


def test_the_file_of_keys_does_not_grow_for_ever(tmp_path: Path) -> None:
    keys = Keys(tmp_path / "posted.keys", FakeClock(0), most=10, age_ns=10**9)
    keys.load()
    for at in range(0, 2_000, 100):
        keys.add([Kept(f"k{number}", "d", at) for number in range(at, at + 100)])
    assert len((tmp_path / "posted.keys").read_bytes().splitlines()) <= 1_100
