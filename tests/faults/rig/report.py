"""docs/reliability.md and the table in README.md, from what rows found."""

from __future__ import annotations

from collections.abc import Sequence

from rig.result import Result
from rig.table import Row


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
    raise NotImplementedError
