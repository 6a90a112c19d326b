"""Files as they really come: half written, in other encodings, with a bad row, twice by one name, and a restart in the middle."""

from __future__ import annotations

import asyncio
import os
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from drivers.files.config import FilesOptions
from drivers.files.folder import DAY_NS, Folder
from drivers.files.spool import ROWS
from gateway.contract import Batch, Health, Item, NotConnected, Record, Source
from gateway.testkit.clock import FakeClock
from gateway.testkit.rigs.files import Rig

HEAD = "at;n\n"
AT = 1_800_000_000


@pytest.fixture
async def rig() -> AsyncIterator[Rig]:
    rig = Rig()
    await rig.start()
    yield rig
    await rig.stop()


def source(rig: Rig, **more: Any) -> Source:
    return rig.source(**{"tags": {}, "records": {"row": {}}} | more)


@asynccontextmanager
async def reading(source: Source) -> AsyncIterator[list[Item]]:
    """What the source returned until now, read as the pump does."""
    items: list[Item] = []

    async def run() -> None:
        while True:
            got = await source.read()
            items.extend(got if isinstance(got, list) else [got])

    await source.connect()
    task = asyncio.create_task(run())
    try:
        yield items
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await source.close()


async def until(holds: Any) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.002)


def names(folder: Path) -> list[str]:
    return sorted(entry.name for entry in folder.iterdir() if entry.is_file())


def rows(count: int, first: int = 0) -> str:
    return HEAD + "".join(f"{AT + n};{n}\n" for n in range(first, first + count))


def numbers(items: list[Item]) -> list[int]:
    return [int(item.fields["n"]) for item in items if isinstance(item, Record)]


async def test_files_come_in_order_whole_and_go_to_done(rig: Rig) -> None:
    rig.drop("b.csv", rows(3, 10))
    rig.drop("a.csv", rows(ROWS + 5))
    async with reading(source(rig)) as items:
        await until(lambda: names(rig.folder / "done") == ["a.csv", "b.csv"])
    assert numbers(items) == [*range(ROWS + 5), 10, 11, 12]
    assert names(rig.folder) == []


async def test_a_file_of_ten_megabytes_is_read_in_portions_whole_and_without_room_for_it(rig: Rig) -> None:
    cell, count = "x" * 1000, 10_000
    rig.drop("a.csv", "at;n;text\n" + "".join(f"{AT + n};{n};{cell}\n" for n in range(count)))
    assert (rig.folder / "a.csv").stat().st_size > 10_000_000
    got: list[int] = []
    most = 0
    reader = source(rig)
    await reader.connect()
    try:
        while len(got) < count:
            async with asyncio.timeout(20):
                items = await reader.read()
            portion = numbers(items if isinstance(items, list) else [items])
            most = max(most, len(portion))
            got += portion
    finally:
        await reader.close()
    assert got == list(range(count))
    assert most <= ROWS


async def test_a_file_stays_until_what_was_read_of_it_is_on_disk(rig: Rig) -> None:
    rig.drop("a.csv", rows(1))
    one = source(rig)
    await one.connect()
    await one.read()
    assert names(rig.folder) == ["a.csv"]
    again = asyncio.create_task(one.read())
    await until(lambda: names(rig.folder / "done") == ["a.csv"])
    again.cancel()
    await asyncio.gather(again, return_exceptions=True)
    await one.close()


@pytest.mark.parametrize("acknowledged", [1, 2])
async def test_a_restart_in_the_middle_begins_behind_what_is_on_disk(rig: Rig, tmp_path: Path, acknowledged: int) -> None:
    """The portion whose acknowledgement was not seen comes twice; none comes not at all."""
    rig.drop("a.csv", rows(3 * ROWS))
    first = source(rig, state_dir=tmp_path)
    await first.connect()
    for _ in range(acknowledged + 1):
        await first.read()
    await first.close()
    async with reading(source(rig, state_dir=tmp_path)) as items:
        await until(lambda: names(rig.folder / "done") == ["a.csv"])
    assert numbers(items) == list(range(acknowledged * ROWS, 3 * ROWS))


async def test_a_name_that_is_no_utf8_is_a_name_like_others_and_remembered(rig: Rig, tmp_path: Path) -> None:
    name = os.fsdecode(b"Pr\xfcfung.csv")  # as a share of another system has it
    (rig.folder / name).write_text(rows(ROWS + 100))
    first = source(rig, state_dir=tmp_path)
    await first.connect()
    for _ in range(2):
        await first.read()
    await first.close()
    async with reading(source(rig, state_dir=tmp_path)) as items:
        await until(lambda: (rig.folder / "done" / name).exists())
    assert numbers(items) == list(range(ROWS, ROWS + 100))


@pytest.mark.parametrize("letters", ["x" * 246, "ß" * 123, "x" * 251], ids=["ascii", "umlauts", "longest"])
@pytest.mark.parametrize(
    ("content", "where", "taken"),
    [(rows(2), "done", [0, 1]), (f"at;n\n{AT};1\n;2\n", "failed", [1])],
    ids=["done", "failed"],
)
async def test_a_name_as_long_as_names_may_be_is_read_once_and_moved_also_beside_its_like(
    rig: Rig, letters: str, content: str, where: str, taken: list[int]
) -> None:
    name = f"{letters}.csv"
    async with reading(source(rig)) as items:
        for count in (1, 2):
            rig.drop(name, content)
            await until(lambda count=count: sum(n.endswith(".csv") for n in names(rig.folder / where)) == count)
    assert numbers(items) == [*taken, *taken]
    if where == "failed":
        told = [path.read_text() for path in (rig.folder / where).glob("*.why")]
        assert sum(f"Its name was {name}" in text for text in told) == (2 if len(os.fsencode(name)) > 251 else 1)


async def test_a_long_name_whose_dot_comes_early_keeps_its_beginning(rig: Rig) -> None:
    name = "a." + "x" * 253
    rig.drop(name, rows(1))
    async with reading(source(rig, format="csv")) as items:
        await until(lambda: names(rig.folder / "done"))
    assert names(rig.folder / "done")[0].startswith("a.xxx")
    assert numbers(items) == [0]


async def test_another_file_of_the_same_name_is_read_from_its_first_row(rig: Rig, tmp_path: Path) -> None:
    rig.drop("a.csv", rows(ROWS + 1))
    first = source(rig, state_dir=tmp_path)
    await first.connect()
    for _ in range(2):
        await first.read()
    await first.close()
    rig.drop("a.csv", rows(3, 7))
    async with reading(source(rig, state_dir=tmp_path)) as items:
        await until(lambda: names(rig.folder / "done") == ["a.csv"])
    assert numbers(items) == [7, 8, 9]


async def test_the_same_name_again_is_read_again_and_nothing_in_done_is_overwritten(rig: Rig) -> None:
    async with reading(source(rig)) as items:
        for count in (1, 2):
            rig.drop("order.csv", rows(1))
            await until(lambda count=count: len(names(rig.folder / "done")) == count)
    assert numbers(items) == [0, 0]
    first, second = names(rig.folder / "done")
    assert (first.startswith("order-"), second) == (True, "order.csv")


async def test_a_file_that_is_being_written_is_left_alone_until_it_settles(rig: Rig) -> None:
    clock = FakeClock()
    path = rig.folder / "a.csv"
    path.write_text(HEAD + f"{AT};1")
    folder = Folder(FilesOptions(files=str(rig.folder), settle="5s"))  # type: ignore[arg-type]
    folder.prepare()
    assert folder.complete(clock.monotonic()) == []
    await clock.advance(4)
    path.write_text(HEAD + f"{AT};12\n")
    assert folder.complete(clock.monotonic()) == []
    await clock.advance(4.9)
    assert folder.complete(clock.monotonic()) == []
    await clock.advance(0.1)
    assert folder.complete(clock.monotonic()) == ["a.csv"]


async def test_a_file_that_grows_while_it_is_read_is_gone_on_with(rig: Rig) -> None:
    path = rig.drop("a.csv", rows(2))
    one = source(rig)
    await one.connect()
    first = await one.read()
    with path.open("a") as file:
        file.write(f"{AT};2\n{AT};3\n")
    os.utime(path, ns=(1, path.stat().st_mtime_ns + 1_000_000))
    second = await one.read()
    await one.close()
    assert numbers([*first, *second]) == [0, 1, 2, 3]  # type: ignore[misc]


async def test_a_marker_says_when_a_file_is_complete_and_goes_with_it(rig: Rig) -> None:
    async with reading(source(rig, marker=".done", pattern="*.csv")) as items:
        (rig.folder / "a.csv").write_text(rows(1))
        (rig.folder / "b.csv").write_text(rows(1, 5))
        (rig.folder / "b.csv.done").touch()
        await until(lambda: names(rig.folder / "done") == ["b.csv"])
        assert names(rig.folder) == ["a.csv"]
    assert numbers(items) == [5]


async def test_a_bad_row_stays_alone_and_its_file_is_put_where_somebody_sees_it(rig: Rig) -> None:
    lost, told = Counter[str](), list[Health]()
    rig.drop("a.csv", f"at;n\n{AT};1\n;2\n{AT};3;3\n{AT};4\n")
    async with reading(source(rig, lost=lost, told=told)) as items:
        await until(lambda: told and told[-1].active)
        assert names(rig.folder / "failed") == ["a.csv", "a.csv.why"]
        assert (rig.folder / "failed" / "a.csv.why").read_text().splitlines() == [
            "2 rows were taken, 2 were not.",
            "line 3: no time in at",
            "line 4: 3 cells, the header has 2",
        ]
        assert told[-1].why == "1 files in failed/, each with its reason beside it"
        for name in names(rig.folder / "failed"):
            (rig.folder / "failed" / name).unlink()
        await until(lambda: not told[-1].active)
    assert numbers(items) == [1, 4]
    assert lost == {"bad_row": 2}


@pytest.mark.parametrize(
    ("name", "content", "taken", "why"),
    [
        ("empty.csv", "", [], "line 1: is empty"),
        ("a.csv", "when;n\n1;2\n", [], "line 1: no column 'at'; there are when, n"),
        ("a.csv", f"at;n\n{AT};1\n{AT};ä\n".encode("cp1252"), [], "byte 0xe4 is not utf-8; say encoding: cp1252"),
        ("a.csv", f'at;n\n{AT};1\n{AT};"2\n', [1], "Nothing was read from here on: line 3: no CSV: unexpected end of data"),
        ("empty.ndjson", "", [], "The file is empty"),
        ("a.json", "[{]", [], "no JSON"),
        ("a.ndjson", f'{{"at":{AT},"n":1}}\n{"x" * 1_100_000}\n', [1], "line 2: longer than 1000000 characters"),
        ("a.csv", rows(2).encode("utf-16-le"), [], "from here on: by its first bytes it is UTF-16; say encoding: utf-16"),
        ("a.csv", "ä;n\n".encode("cp1252"), [], "from here on: byte 0xe4 is not utf-8"),
        ("a.csv", f"at;n\n{AT};1\0\n{AT};2\n", [2], "1 rows were taken, 1 were not.\nline 2: NUL bytes"),
        ("a.xlsx", b"PK\x03\x04", [], "what is in it is not known: say format: csv, json or ndjson"),
    ],
)
async def test_what_cannot_be_read_goes_to_failed_with_its_reason(
    rig: Rig, name: str, content: str | bytes, taken: list[int], why: str
) -> None:
    rig.drop(name, content)
    rig.drop("good.csv", rows(1, 50))
    async with reading(source(rig)) as items:
        await until(lambda: (rig.folder / "done" / "good.csv").exists() and len(names(rig.folder / "failed")) == 2)
    assert numbers(items) == [*taken, 50]
    assert why in (rig.folder / "failed" / f"{name}.why").read_text()


@pytest.mark.parametrize(
    ("said", "written"),
    [("utf-8", "utf-16"), ("cp1252", "utf-16"), ("cp1252", "utf-8-sig"), ("utf-16", "utf-8-sig"), ("utf-16", "utf-16-le")],
)
async def test_a_bom_knows_better_than_the_configuration_and_utf16_needs_none(rig: Rig, said: str, written: str) -> None:
    rig.drop("a.csv", rows(2).encode(written))
    async with reading(source(rig, encoding=said)) as items:
        await until(lambda: names(rig.folder / "done"))
    assert numbers(items) == [0, 1]


async def test_what_is_not_in_utf16_as_it_was_said_goes_to_failed_and_keeps_nothing_up(rig: Rig) -> None:
    rig.drop("a.csv", rows(2))
    rig.drop("b.csv", rows(1).encode("utf-16"))
    async with reading(source(rig, encoding="utf-16")) as items:
        await until(lambda: names(rig.folder / "done"))
    assert "is not UTF-16; leave out encoding" in (rig.folder / "failed" / "a.csv.why").read_text()
    assert numbers(items) == [0]


async def test_excel_in_german(rig: Rig) -> None:
    text = "sep=;\r\nDatum;Uhrzeit;Temp. °C;Auftrag;Menge\r\n15.01.2027;09:00:00;21,5;004711;12\r\n;;;;\r\n"
    tags, records = {"temperature": {"value": "Temp. °C"}}, {"charge": {"numbers": ["Menge"]}}
    more = {"time": ["Datum", "Uhrzeit"], "time_format": "%d.%m.%Y %H:%M:%S", "timezone": "Europe/Berlin", "decimal": ","}
    for name, encoding, content in (
        ("a.csv", "utf-8", text.encode("utf-8-sig")),
        ("b.csv", "cp1252", text.encode("cp1252")),
        ("c.txt", "utf-16", text.encode("utf-16")),
    ):
        rig.drop(name, content)
        async with reading(rig.source(tags=tags, records=records, encoding=encoding, **more)) as items:
            await until(lambda name=name: (rig.folder / "done" / name).exists())
        batch, record = items
        assert isinstance(batch, Batch)
        assert isinstance(record, Record)
        assert (batch.t_ns.tolist(), batch.value.tolist()) == ([1_800_000_000_000_000_000], [21.5])
        assert (record.fields["Auftrag"], record.fields["Menge"]) == ("004711", 12)


async def test_json_and_ndjson(rig: Rig) -> None:
    rig.drop("a.json", f'{{"items": [{{"at": {AT}, "n": 1}}, {{"at": {AT}, "n": 2}}]}}')
    rig.drop("b.jsonl", f'{{"at": {AT}, "n": 3}}\n\n{{"at": {AT}, "n": 4}}')
    async with reading(source(rig, rows="$.items")) as items:
        await until(lambda: names(rig.folder / "done") == ["a.json", "b.jsonl"])
    assert numbers(items) == [1, 2, 3, 4]


async def test_without_a_time_of_its_own_a_row_has_that_of_its_file(rig: Rig) -> None:
    path = rig.drop("a.csv", "n;m\n1;2\n")
    os.utime(path, ns=(AT * 10**9, AT * 10**9))
    async with reading(source(rig, time=None)) as items:
        await until(lambda: items)
    assert items[0].t_ns == AT * 10**9


async def test_order_by_time_and_nothing_that_is_not_ours(rig: Rig, tmp_path: Path) -> None:
    for name, n, t in (("a.csv", 1, 30), ("b.csv", 2, 20), ("c.csv", 3, 10)):
        os.utime(rig.drop(name, rows(1, n)), (t, t))
    (tmp_path / "elsewhere.csv").write_text(rows(1, 8))
    (rig.folder / "link.csv").symlink_to(tmp_path / "elsewhere.csv")
    (rig.folder / ".hidden.csv").write_text(rows(1, 9))
    (rig.folder / "folder.csv").mkdir()
    async with reading(source(rig, order="mtime", pattern="*.csv")) as items:
        await until(lambda: len(names(rig.folder / "done")) == 3)
    assert numbers(items) == [3, 2, 1]
    assert (tmp_path / "elsewhere.csv").exists()


def test_done_is_tidied_by_when_a_file_came_there(rig: Rig) -> None:
    folder = Folder(FilesOptions(files=str(rig.folder), keep_days=2))
    folder.prepare()
    old = rig.drop("old.csv", "x")
    os.utime(old, (1, 1))  # written in 1970, taken today
    now_ns = old.stat().st_ctime_ns
    folder.done("old.csv", now_ns)
    folder.tidy(now_ns + DAY_NS)
    assert names(rig.folder / "done") == ["old.csv"]
    folder.tidy(now_ns + 3 * DAY_NS)
    assert names(rig.folder / "done") == []


def test_a_clock_that_leapt_tidies_nothing_away(rig: Rig) -> None:
    """A month ahead: what was done an hour ago is not a month old. It begins anew, and goes in its time."""
    folder = Folder(FilesOptions(files=str(rig.folder), keep_days=2))
    folder.prepare()
    now_ns = rig.drop("done.csv", "x").stat().st_ctime_ns
    folder.done("done.csv", now_ns)
    before_ns = (rig.folder / "done" / "done.csv").stat().st_ctime_ns
    folder.tidy(now_ns + 30 * DAY_NS, leapt=True)
    assert names(rig.folder / "done") == ["done.csv"]
    assert (rig.folder / "done" / "done.csv").stat().st_ctime_ns > before_ns
    folder.tidy(now_ns + 3 * DAY_NS)
    assert names(rig.folder / "done") == []


async def test_a_folder_that_cannot_be_used_is_said_in_words(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(NotConnected, match="never-mounted: no such folder"):
        await rig.dead_source().connect()
    monkeypatch.setattr(os, "access", lambda *_: False)  # root may write everywhere
    with pytest.raises(NotConnected, match="not writable"):
        await source(rig).connect()


async def test_a_file_that_cannot_be_moved_is_not_connected_and_not_read_over_and_over(rig: Rig, tmp_path: Path) -> None:
    rig.drop("a.csv", rows(2))
    one = source(rig, state_dir=tmp_path)
    await one.connect()
    await one.read()
    done = rig.folder / "done"
    done.rmdir()
    with pytest.raises(NotConnected, match="no such file or directory"):
        await one.read()
    await one.close()
    async with reading(one) as items:
        await until(lambda: names(done) == ["a.csv"])
    assert items == []
