"""docs/reliability.md and the sentence in README.md, from what rows found."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from statistics import median

from rig.catalogue import NAMES
from rig.result import Result
from rig.table import Row

ROOT = Path(__file__).parents[3]
DOCUMENT, README = ROOT / "docs" / "reliability.md", ROOT / "README.md"
BEGIN, END = "<!-- faults -->\n", "<!-- /faults -->"
HEAD = (Path(__file__).with_name("reliability.md")).read_text(encoding="utf-8")
_FIGURES = re.compile(r"```json\n(.*?)```", re.DOTALL)
_TABLE = """\
| | fault | times | read | stored | delivered | lost, told | lost silently | doubled | recovered after (median, worst) | result |
|---|---|---|---|---|---|---|---|---|---|---|
"""


def line(result: Result) -> str:
    """One row as it ends."""
    if result.skipped:
        return f"{result.key:>4} not run   {result.fault}: {result.skipped}"
    verdict = "passed" if result.passed else "FAILED"
    counts = f"x{result.count} seed {result.seed}, {result.seconds:.0f} s: stored {result.stored:,}, delivered {result.delivered:,}"
    ending = "".join(f"\n       - {problem[:600]}" for problem in result.problems)
    return f"{result.key:>4} {verdict}  {result.fault} {counts}, lost silently {result.silently}, doubled {result.doubled}{ending}"


def summary(found: Sequence[Result]) -> str:
    failed = [each.key for each in found if each.problems]
    skipped = [each.key for each in found if each.skipped]
    parts = [f"{sum(each.passed for each in found)} of {len(found)} passed"]
    parts += [f"failed: {', '.join(failed)}"] * bool(failed) + [f"not run: {', '.join(skipped)}"] * bool(skipped)
    return "; ".join(parts)


def write(found: Sequence[Result], rows: Sequence[Row]) -> None:
    """Rows that did not run now keep what they had; those that are no more are left out."""
    known = {each.key: each for each in (*read(), *found) if not (each.skipped and each.key in {old.key for old in read()})}
    kept = [known[row.key] for row in rows if row.key in known]
    DOCUMENT.write_text(document(kept, rows), encoding="utf-8")
    head, _, rest = README.read_text(encoding="utf-8").partition(BEGIN)
    README.write_text(f"{head}{BEGIN}{sentence(kept)}{END}{rest.partition(END)[2]}", encoding="utf-8")


def read() -> list[Result]:
    """What docs/reliability.md holds now."""
    found = _FIGURES.search(DOCUMENT.read_text(encoding="utf-8")) if DOCUMENT.exists() else None
    return [Result.of(json.loads(each)) for each in found[1].splitlines()] if found else []


def document(results: Sequence[Result], rows: Sequence[Row]) -> str:
    ran = [each for each in results if not each.skipped]
    parts = [HEAD, sentence(results), "\n", _TABLE, *(_row(each) for each in ran)]
    parts += ["\n## What failed\n\n", *_failures(ran)]
    parts += ["\n## What did not run\n\n", *_not_run(results, rows)]
    parts += ["\n## What has to hold\n\n", *(f"- **{each.key}** {each.fault}: {each.expected}\n" for each in rows)]
    parts += ["\n## Every figure\n\n```json\n", *(f"{_figures(each)}\n" for each in results), "```\n"]
    return "".join(parts)


def sentence(results: Sequence[Result]) -> str:
    """The counts of the last run; README.md says the same."""
    ran = [each for each in results if not each.skipped]
    failed = [each.key for each in ran if each.problems]
    times = {each.key: each.count for each in ran}
    tried = [f"{times[key]:,} {what}" for key, what in _COUNTED if key in times]
    which = f" ({', '.join(failed)})" if failed else ""
    return (
        f"{len(ran)} faults tried ({', '.join(tried)}): {sum(each.read for each in ran):,} readings and records read, "
        f"{sum(each.stored for each in ran):,} events stored, {sum(each.delivered for each in ran):,} delivered, "
        f"**{sum(each.silently for each in ran):,} lost silently, {sum(each.doubled for each in ran):,} doubled**. "
        f"{len(ran) - len(failed)} passed, {len(failed)} failed{which}.\n"
    )


_COUNTED = (
    ("1", "times `kill -9`"),
    ("2", "power cuts"),
    ("7b", "writes without room"),
    ("9", "writes with an I/O error"),
    ("12", "flipped bits"),
)


def _row(result: Result) -> str:
    took = result.recovered
    recovered = f"{median(took):.1f} s, {max(took):.1f} s" if took else ""
    told = result.lost - result.silently
    cells = (result.read, result.stored, result.delivered, told, result.silently, result.doubled)
    numbers = " | ".join(f"{each:,}" for each in cells)
    verdict = "passed" if result.passed else "**failed**"
    return f"| {result.key} | {result.fault} | {result.count:,} | {numbers} | {recovered} | {verdict} |\n"


def _failures(ran: Sequence[Result]) -> list[str]:
    return [f"- **{each.key}** {each.fault}: {'; '.join(map(_told, each.problems))}\n" for each in ran if each.problems] or ["Nothing.\n"]


def _told(problem: str) -> str:
    """In one line, without paths of the run and without the end of its log, which lies in build/faults."""
    plain = re.sub(r"/(?:tmp|root|home|work|opt|var|usr)/[\w./+-]*", "…", " ".join(problem.split()).replace(f"{ROOT}/", ""))
    said = re.split(r'\{"time"|","', plain)[0].rstrip(": ")
    return said if len(said) <= 240 else f"{said[:240]}…"


def _not_run(results: Sequence[Result], rows: Sequence[Row]) -> list[str]:
    by_key, numbers = {each.key: each for each in results}, {row.number for row in rows}
    found = [f"- **{row.key}** {row.fault}: {_why_not(by_key.get(row.key), row)}\n" for row in rows if _did_not_run(by_key.get(row.key))]
    found += [f"- **{number}** {name}: there is no row for it yet\n" for number, name in NAMES.items() if number not in numbers]
    return found or ["Every row ran.\n"]


def _did_not_run(result: Result | None) -> bool:
    return result is None or bool(result.skipped)


def _why_not(result: Result | None, row: Row) -> str:
    if result is not None:
        return result.skipped
    return "only with `make faults-night`, which was not run" if row.kind == "N" else "not run yet"


def _figures(result: Result) -> str:
    found = asdict(result)
    found["problems"] = [_told(each) for each in result.problems]
    found["facts"] = {name: value for name, value in result.facts.items() if not isinstance(value, dict)}
    return json.dumps(found)
