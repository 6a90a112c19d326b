"""`lineside feedback ...`."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from gateway.cli import main, state_option
from gateway.cli.outbox import limit_option

JUDGEMENTS = ("true_positive", "false_alarm", "known_issue", "maintenance")


@main.group()
def feedback() -> None:
    """What the service team said of incidents, and what it changed.

    A verdict moves a threshold only where the watch has `feedback:`, only within the bounds that stand there, and revert takes it back.
    """


@feedback.command("add")
@click.argument("incident", metavar="INCIDENT")
@click.argument("judgement", type=click.Choice(JUDGEMENTS), metavar="VERDICT")
@click.option("--by", metavar="NAME", help="who says so; default: your user name")
@click.option("--comment", default="", metavar="TEXT", help="why")
@click.option("--case", default="", metavar="NUMBER", help="of the case in the CRM")
@state_option
def feedback_add(incident: str, judgement: str, by: str | None, comment: str, case: str, state_dir: Path) -> None:
    """Say what an incident turned out to be.

    INCIDENT is its id, as the case has it, or the beginning of it, if only one begins with it. VERDICT is one of true_positive
    (there was a fault), false_alarm (there was none), known_issue (it is dealt with elsewhere), maintenance (somebody worked
    on the machine). The gateway may run.
    """
    from gateway.commands.feedback import add

    sys.exit(add(state_dir, incident, judgement, by=by, comment=comment, case=case))


@feedback.command("list")
@state_option
@limit_option
@click.option("--json", "as_json", is_flag=True, help="one JSON object per line")
def feedback_list(state_dir: Path, limit: int, as_json: bool) -> None:
    """Verdicts, the latest first."""
    from gateway.commands.feedback import print_list

    sys.exit(print_list(state_dir, limit, as_json=as_json))


@feedback.command("precision")
@state_option
@click.option("--json", "as_json", is_flag=True, help="as one JSON object")
def feedback_precision(state_dir: Path, as_json: bool) -> None:
    """How often each watch was right, and which thresholds are moved.

    Precision is the share of real faults among the incidents that were judged a fault or a false alarm. The last verdict on
    an incident counts, so each has one vote.
    """
    from gateway.commands.feedback import print_precision

    sys.exit(print_precision(state_dir, as_json=as_json))


@feedback.command("audit")
@state_option
@limit_option
@click.option("--json", "as_json", is_flag=True, help="one JSON object per line")
def feedback_audit(state_dir: Path, limit: int, as_json: bool) -> None:
    """Who changed what, the latest first.

    Thresholds, dead letters, shelves, what watches were told to forget or to adopt; the same lines as `lineside audit list`.
    """
    from gateway.commands.feedback import print_audit

    sys.exit(print_audit(state_dir, limit, as_json=as_json))


@feedback.command("revert")
@click.option("--watch", metavar="NAME", help="only of this watch")
@click.option("--machine", metavar="NAME", help="only of this machine")
@click.option("--condition", metavar="NAME", help="only of this condition")
@state_option
def feedback_revert(watch: str | None, machine: str | None, condition: str | None, state_dir: Path) -> None:
    """Set thresholds back to what is configured.

    All that verdicts have moved, or those you name. The verdicts are kept. A running gateway notices within seconds.
    """
    from gateway.commands.feedback import revert

    sys.exit(revert(state_dir, watch=watch, machine=machine, condition=condition))
