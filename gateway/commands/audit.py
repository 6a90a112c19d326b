"""`lineside audit`."""

from __future__ import annotations

import errno
import os
import time
from pathlib import Path
from typing import NamedTuple

import click

from gateway.commands.database import Refused, outbox_file, reading, writing
from gateway.commands.printing import counted, document, printable, when
from gateway.commands.shelve import check_text
from gateway.commands.who import typed
from gateway.durable import replacing
from gateway.outbox import audit_head
from gateway.outbox.audit import ACCEPTED, Bad, Line, audit, hash_of, last, lines, newest
from gateway.outbox.audit import verify as verify_chain


def print_list(state_dir: Path, limit: int, *, as_json: bool) -> int:
    """The latest first."""
    with reading(outbox_file(state_dir)) as connection:
        found = newest(connection, limit)
        total = int(connection.execute("SELECT count(*) FROM audit").fetchone()[0])
    for line in found:
        if as_json:
            click.echo(document({"number": line.number, "at": when(line.at_ns), **_texts(line)}))
        else:
            click.echo(_words(line))
    if not as_json and total > limit:
        click.echo(f"and {total - limit:,} more; --limit shows more")
    return 0


def _texts(line: Line) -> dict[str, str]:
    return {"who": line.who, "what": line.what, "name": line.name, "before": line.before, "after": line.after}


def _words(line: Line) -> str:
    who, what, name, before, after = map(printable, line[2:])
    change = f"  {before or '-'} -> {after or '-'}" if before else f"  {after}" if after else ""
    return f"{line.number:>6}  {when(line.at_ns)}  {who}  {what}{f'  {name}' if name else ''}{change}"


class Verdict(NamedTuple):
    """Of the whole chain. `accepted`: the line with which somebody accepted what was before it."""

    lines: int
    last: int
    head: str
    bad: Bad | None
    accepted: Line | None


def judge(state_dir: Path) -> Verdict:
    """What `verify` finds; also for other commands. Raises Refused."""
    # The head first: what is written meanwhile only makes the chain longer.
    try:
        head = audit_head.read(state_dir)
    except OSError as exc:
        remedy = "run the command as root or as the gateway's user"
        raise Refused(f"{state_dir / audit_head.NAME} cannot be read: {exc.strerror}; {remedy}") from exc
    with reading(outbox_file(state_dir)) as connection:
        connection.text_factory = lambda raw: raw.decode("utf-8", "surrogateescape")  # a changed byte stays a change
        bad = verify_chain(connection, head.accepted if head is not None else 0) or audit_head.compare(connection, head)
        number, found = last(connection)
        count = int(connection.execute("SELECT count(*) FROM audit").fetchone()[0])
        accepted = next((line for line, _ in lines(connection) if head and line.number == head.accepted), None)
    return Verdict(count, number, found.hex(), bad, accepted)


def verify(state_dir: Path, contains: str | None, *, as_json: bool) -> int:
    """Exit code 1: something is not as it was written."""
    verdict = judge(state_dir)
    bad = verdict.bad
    missing = contains is not None and not _contains(state_dir, contains)
    if as_json:
        problem = str(bad) if bad else "the hash that was kept is not in the chain" if missing else None
        first = bad.number if bad else None
        click.echo(document({"lines": verdict.lines, "last": verdict.last, "hash": verdict.head, "bad": first, "problem": problem}))
        return int(bad is not None or missing)
    if verdict.accepted is not None:
        line = verdict.accepted
        click.echo(f"note: {printable(line.who)} accepted on {when(line.at_ns)} what was before line {line.number}: {printable(line.what)}")
    if bad is not None:
        click.echo(f"not as it was written: {bad}")
    if missing:
        click.echo("not as it was written: the hash that was kept is not in the chain")
    if bad is None and not missing:
        click.echo(f"sound: {counted(verdict.lines, 'line')}, the last is {verdict.last} with hash {verdict.head}")
    return int(bad is not None or missing)


def _contains(state_dir: Path, wanted: str) -> bool:
    with reading(outbox_file(state_dir)) as connection:
        return any(found.hex() == wanted.lower() for _, found in lines(connection))


def export(state_dir: Path, target: Path) -> int:
    """Exit code 1: the file is there already, or cannot be written."""
    count = 0
    with reading(outbox_file(state_dir)) as connection:
        try:
            if os.path.lexists(target):
                raise FileExistsError(errno.EEXIST, "File exists")
            with replacing(target) as file:
                for line, found in lines(connection):
                    file.write(document({**line._asdict(), "hash": found.hex()}).encode() + b"\n")
                    count += 1
        except OSError as exc:
            raise Refused(f"{target} cannot be written: {exc.strerror}") from exc
    click.echo(f"{counted(count, 'line')} in {target}")
    return 0


def accept(state_dir: Path, why: str) -> int:
    """Exit code 1: nothing is wrong."""
    check_text("--why", why)
    verdict = judge(state_dir)
    if verdict.bad is None:
        raise Refused("nothing is wrong with the chain")
    with writing(outbox_file(state_dir), head=False) as connection:
        number, found = last(connection)
        before = f"{verdict.bad}: {why}"
        audit(connection, who=typed(), what=ACCEPTED, name=str(number), before=before, after=found.hex(), now_ns=time.time_ns())
        mine, _ = last(connection)
        audit_head.remember(connection)
        here = hash_of(connection, mine) or b""
    try:
        audit_head.keep(state_dir, audit_head.Head(mine, here.hex(), mine))
    except OSError as exc:
        raise Refused(f"{state_dir} cannot be written: {exc.strerror}; run it again as root or as the gateway's user") from exc
    click.echo(f"from line {mine} on the chain counts again; what was wrong stands in that line")
    return 0
