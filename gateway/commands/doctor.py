"""`lineside doctor`."""

from __future__ import annotations

from pathlib import Path

import click

from gateway.commands.check import warnings
from gateway.commands.failing import answered
from gateway.commands.printing import counted, document, printable
from gateway.doctor.examine import Patient, examine
from gateway.doctor.finding import Finding, Weight

_FOUND = 1


def doctor(config: Path, *, network: bool, as_json: bool) -> int:
    """Exit code: 0 no errors (warnings at most), 1 errors, 2 wrong input."""
    return answered(lambda: _doctor(config, network, as_json))


def _doctor(config: Path, network: bool, as_json: bool) -> int:
    found = list(examine(Patient(config, warnings, network=network)))
    if as_json:
        click.echo(
            document({"errors": _count(found, Weight.ERROR), "checks": {name: [_told(each) for each in each_] for name, each_ in found}})
        )
    else:
        _print(found)
    return _FOUND if _count(found, Weight.ERROR) else 0


def _told(finding: Finding) -> dict[str, str]:
    return {"weight": finding.weight.value, "what": finding.what, "remedy": finding.remedy}


def _print(found: list[tuple[str, list[Finding]]]) -> None:
    for name, findings in found:
        if not findings:
            click.echo(f"ok       {name}")
        for finding in findings:
            click.echo(f"{finding.weight.value:<8} {name}: {printable(finding.what)}\n         -> {printable(finding.remedy)}")
    click.echo(f"{counted(_count(found, Weight.ERROR), 'errors')}, {counted(_count(found, Weight.WARNING), 'warnings')}")


def _count(found: list[tuple[str, list[Finding]]], weight: Weight) -> int:
    return sum(finding.weight is weight for _, findings in found for finding in findings)
