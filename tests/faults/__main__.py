"""`make faults`, `make faults-night` or ``python tests/faults``: faults on the shipped daemon as a process, and docs/reliability.md.

python tests/faults --list
python tests/faults --row 7 --count 20 --seed 1
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE), str(HERE.parents[1])]  # rig and rows; the gateway of this checkout

from rig import report  # noqa: E402
from rig.machine import describe, version  # noqa: E402
from rig.result import Result  # noqa: E402
from rig.run import Run  # noqa: E402
from rig.table import Row, load  # noqa: E402

OUT = HERE.parents[1] / "build" / "faults"


def main() -> int:
    parser = argparse.ArgumentParser(prog="python tests/faults", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--row", action="append", default=[], metavar="KEY", help="only this one; may be given more than once")
    parser.add_argument("--count", type=int, metavar="N", help="how often; default: as the row says")
    parser.add_argument("--seed", type=int, metavar="N", help="of the dice; default: a new one")
    parser.add_argument("--night", action="store_true", help="every row, as often as at night")
    parser.add_argument("--ci", action="store_true", help="the part CI runs; what docs/reliability.md lists as failing may fail")
    parser.add_argument("--write", action="store_true", help="put what was found into docs/reliability.md and README.md")
    parser.add_argument("--collect", action="store_true", help="run nothing: --write with what earlier runs left in build/faults")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="so many rows at once; times are longer then")
    parser.add_argument("--list", action="store_true", help="say which rows there are")
    given = parser.parse_args()
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # ended either way, it ends what it has started
    signal.signal(signal.SIGINT, signal.default_int_handler)
    rows = load()
    if given.list:
        for each in rows:
            print(f"{each.key:>4} {each.kind:<2} {'ci' if each.ci else '  '} x{each.count:<5}{each.missing() or each.fault}")
        return 0
    if unknown := set(given.row) - {each.key for each in rows}:
        parser.error(f"no such row: {', '.join(sorted(unknown))}")
    failing = {each.key for each in report.read() if each.problems}
    found = collected() if given.collect else played(chosen(rows, given), given)
    if given.ci:
        found = [again(each, rows, given) if each.problems and each.key not in failing else each for each in found]
    print(report.summary(found))
    if given.write and not given.ci:
        report.write(found, rows)
    # What is known to fail stands in the document and holds nobody up; what begins to fail does.
    return 1 if any(each.problems and not (given.ci and each.key in failing) for each in found) else 0


def played(rows: list[Row], given: argparse.Namespace) -> list[Result]:
    if given.jobs == 1:
        return [play(each, given) for each in rows]
    with ThreadPoolExecutor(given.jobs) as pool:
        return list(pool.map(lambda row: apart(row, given), rows))


def again(failed: Result, rows: list[Row], given: argparse.Namespace) -> Result:
    """Once more, and alone: beside others on a small machine a time may be missed that is kept otherwise. Failed twice it has failed."""
    print(f"{failed.key:>4} again, alone", flush=True)
    (row,) = (each for each in rows if each.key == failed.key)
    return apart(row, given)


def apart(row: Row, given: argparse.Namespace) -> Result:
    """A row in a process of its own."""
    words = [sys.executable, str(HERE), "--row", row.key, "--count", str(given.count or (row.night if given.night else row.count))]
    words += ["--seed", str(given.seed)] if given.seed is not None else []
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    print("\n".join(done.stdout.splitlines()[:-1]), done.stderr, sep="", flush=True)
    return Result.of(json.loads((OUT / f"row-{row.key}.json").read_text(encoding="utf-8")))


def collected() -> list[Result]:
    return [Result.of(json.loads(path.read_text(encoding="utf-8"))) for path in sorted(OUT.glob("row-*.json"))]


def chosen(rows: list[Row], given: argparse.Namespace) -> list[Row]:
    if given.row:
        return [each for each in rows if each.key in given.row]
    return [each for each in rows if given.night or (each.ci if given.ci else each.kind == "C")]


def play(row: Row, given: argparse.Namespace) -> Result:
    """One row, from nothing to its JSON file."""
    seed = random.SystemRandom().randrange(10_000) if given.seed is None else given.seed
    count = given.count or (row.night if given.night else row.count)
    with tempfile.TemporaryDirectory(prefix=f"lineside-row-{row.key}-", ignore_cleanup_errors=True) as folder:
        run = Run(row, count=count, seed=seed, folder=Path(folder))
        result, began = run.result, time.monotonic()
        result.date, result.version, result.machine = f"{datetime.now(UTC):%Y-%m-%d}", version(), describe()
        result.skipped = row.missing()
        if not result.skipped:
            asyncio.run(tried(run, row.limit * max(1.0, count / row.count)))
        result.seconds = round(time.monotonic() - began, 1)
        result.write(OUT)
        keep(run)
    print(report.line(result), flush=True)
    return result


def keep(run: Run) -> None:
    """Of a row that failed: log, configuration, state."""
    kept = OUT / f"row-{run.row.key}"
    shutil.rmtree(kept, ignore_errors=True)
    if run.result.problems:
        with suppress(shutil.Error):  # what is neither file nor folder is not kept
            shutil.copytree(run.folder, kept, ignore=shutil.ignore_patterns("notify", "nbd", "*.img", "mnt", "fuse"))


async def tried(run: Run, limit: float) -> None:
    """What a row could not even do is a problem of it, as what did not hold is."""
    try:
        async with asyncio.timeout(limit):
            await run.row.body(run)
    except* TimeoutError as group:
        run.check(False, f"did not end within {limit:g} s: {_first(group)}")
    except* AssertionError as group:
        run.check(False, str(_first(group)))
    except* Exception as group:
        exc = _first(group)
        run.check(False, f"{type(exc).__name__}: {exc}")
    (run.folder / "found.json").write_text(json.dumps(run.result.facts, indent=1, default=str), encoding="utf-8")


def _first(group: BaseException) -> BaseException:
    while isinstance(group, BaseExceptionGroup):
        group = group.exceptions[0]
    return group


if __name__ == "__main__":
    sys.exit(main())
