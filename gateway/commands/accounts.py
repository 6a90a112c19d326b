"""`lineside user` and `lineside token`."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click
import msgspec

from gateway.accounts.passwords import hashed, weakness
from gateway.accounts.store import MOST, NAME, Accounts, Token, User, changing, digest_of, new_token, read
from gateway.clock import gateway_now_ns
from gateway.commands.database import Refused
from gateway.commands.printing import document, when
from gateway.commands.record import record
from gateway.contract import ConfigError

_DAY_SECONDS = 86_400


def add_user(state_dir: Path, name: str, role: str) -> int:
    """Exit code 1: there is one of this name, or the password is too weak."""
    _check_name(name)
    _check_new(_known(state_dir), name)
    password = _asked(name)
    with _changing(state_dir) as accounts:
        _check_new(accounts, name)  # the password took its time
        _room(accounts.users, "users")
        first = not accounts.exist
        accounts.users[name] = User(role=role, password=hashed(password), since=time.time())
    record(state_dir, "account added", name, after=role)
    click.echo(f"{name} may log in as {role}")
    if first:
        click.echo("the page needs a login from now on; a running gateway notices within seconds")
    return 0


def change_password(state_dir: Path, name: str) -> int:
    _one(_known(state_dir), name)
    password = _asked(name)
    with _changing(state_dir) as accounts:
        accounts.users[name] = msgspec.structs.replace(_one(accounts, name), password=hashed(password))
    record(state_dir, "password changed", name)
    click.echo(f"{name} has a new password; sessions of before end")
    return 0


def change_user(state_dir: Path, name: str, *, role: str | None = None, locked: bool | None = None) -> int:
    with _changing(state_dir) as accounts:
        before = _one(accounts, name)
        accounts.users[name] = after = msgspec.structs.replace(
            before, role=before.role if role is None else role, locked=before.locked if locked is None else locked
        )
        _warn_without_admin(accounts)
    what = "role changed" if role is not None else "account locked" if locked else "account unlocked"
    record(state_dir, what, name, before=_words(before), after=_words(after))
    click.echo(f"{name}: {_words(after)}")
    return 0


def remove_user(state_dir: Path, name: str) -> int:
    with _changing(state_dir) as accounts:
        before = _one(accounts, name)
        del accounts.users[name]
        _warn_without_admin(accounts)
        last = not accounts.exist
    record(state_dir, "account removed", name, before=_words(before))
    click.echo(f"{name} is no user any more")
    if last:
        click.echo("that was the last account: the page needs no login, and listens on this machine only")
    return 0


def add_token(state_dir: Path, name: str, role: str, days: int | None) -> int:
    _check_name(name)
    token, now = new_token(), gateway_now_ns(state_dir) / 1e9
    until = now + days * _DAY_SECONDS if days else 0.0
    with _changing(state_dir) as accounts:
        if name in accounts.tokens:
            raise Refused(f"there is a token {name} already; lineside token revoke {name} ends it")
        _room(accounts.tokens, "tokens")
        accounts.tokens[name] = Token(role=role, digest=digest_of(token), since=now, until=until)
    record(state_dir, "token added", name, after=role)
    click.echo("keep it now, it is not shown again:", err=True)
    click.echo(token)
    return 0


def revoke_token(state_dir: Path, name: str) -> int:
    with _changing(state_dir) as accounts:
        if name not in accounts.tokens:
            raise Refused(f"there is no token {name}; there are {', '.join(accounts.tokens) or 'none'}")
        before = accounts.tokens.pop(name)
    record(state_dir, "token revoked", name, before=before.role)
    click.echo(f"the token {name} lets nobody in any more")
    return 0


def print_users(state_dir: Path, *, as_json: bool) -> int:
    users = _known(state_dir).users
    for name, each in users.items():
        if as_json:
            click.echo(document({"name": name, "role": each.role, "locked": each.locked, "since": _moment(each.since)}))
        else:
            click.echo(f"{name}  {_words(each)}  since {_moment(each.since)}")
    if not users and not as_json:
        click.echo("there are no users; lineside user add NAME --role admin makes the first")
    return 0


def print_tokens(state_dir: Path, *, as_json: bool) -> int:
    tokens, now = _known(state_dir).tokens, gateway_now_ns(state_dir) / 1e9
    for name, each in tokens.items():
        until = _moment(each.until) if each.until else None
        over = bool(each.until) and each.until <= now
        if as_json:
            click.echo(document({"name": name, "role": each.role, "since": _moment(each.since), "until": until, "over": over}))
        else:
            click.echo(f"{name}  {each.role}  {f'until {until}' if until else 'without end'}{', which is over' if over else ''}")
    if not tokens and not as_json:
        click.echo("there are no tokens")
    return 0


def _words(user: User) -> str:
    return f"{user.role}, locked" if user.locked else user.role


def _moment(seconds: float) -> str:
    return when(int(seconds * 1e9))


@contextmanager
def _changing(state_dir: Path) -> Iterator[Accounts]:
    try:
        with changing(state_dir) as accounts:
            yield accounts
    except FileNotFoundError as exc:
        raise Refused(f"there is no folder {state_dir}; name the gateway's state folder with --state-dir") from exc
    except (ConfigError, OSError) as exc:
        raise Refused(f"{exc}; run the command as root or as the gateway's user") from exc


def _known(state_dir: Path) -> Accounts:
    if not state_dir.is_dir():
        raise Refused(f"there is no folder {state_dir}; name the gateway's state folder with --state-dir")
    try:
        return read(state_dir)
    except ConfigError as exc:
        raise Refused(str(exc)) from exc


def _one(accounts: Accounts, name: str) -> User:
    if name not in accounts.users:
        raise Refused(f"there is no user {name}; there are {', '.join(accounts.users) or 'none'}")
    return accounts.users[name]


def _room(known: dict[str, User] | dict[str, Token], what: str) -> None:
    if len(known) >= MOST:
        raise Refused(f"{MOST} {what} are as many as there may be")


def _check_name(name: str) -> None:
    if not re.fullmatch(NAME, name):
        raise click.BadParameter("write it in small letters, digits, dots, - and _", param_hint="NAME")


def _check_new(accounts: Accounts, name: str) -> None:
    if name in accounts.users:
        raise Refused(f"there is a user {name} already; lineside user password {name} gives a new password")


def _warn_without_admin(accounts: Accounts) -> None:
    if accounts.users and not any(user.role == "admin" and not user.locked for user in accounts.users.values()):
        click.echo("warning: nobody is left who may log in as admin; on this machine these commands still do everything", err=True)


def _asked(name: str) -> str:
    """Twice on a terminal; else one line. Never an argument: those are in the shell's history and in the list of processes."""
    try:
        if sys.stdin.isatty():
            password = str(click.prompt("password", hide_input=True, confirmation_prompt=True, err=True))
        else:
            password = sys.stdin.readline().rstrip("\r\n")
        password.encode()  # half characters come in where the locale is C
    except UnicodeError:
        raise Refused("this password is not taken: it is not UTF-8 text") from None
    if (why := weakness(name, password)) is not None:
        raise Refused(f"this password is not taken: {why}")
    return password
