"""`lineside user ...` and `lineside token ...`: who may use the page and the API."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from gateway.cli import main, state_option

ROLES = ("viewer", "operator", "engineer", "admin")
name_argument = click.argument("name")
role_option = click.option(
    "--role", type=click.Choice(ROLES), required=True, help="viewer reads, operator shelves, engineer reloads, admin"
)
json_option = click.option("--json", "as_json", is_flag=True, help="one JSON object per line")


@main.group()
def user() -> None:
    """People who may use the page. A running gateway notices changes within seconds.

    With the first account (or token) the page needs a login, and listens where gateway.page.host says.
    """


@user.command("add")
@name_argument
@role_option
@state_option
def user_add(name: str, role: str, state_dir: Path) -> None:
    """Add a user.

    The password is asked for, or is the first line of standard input: at least 12 characters, none that everybody tries.
    """
    from gateway.commands.accounts import add_user

    sys.exit(add_user(state_dir, name, role))


@user.command("list")
@json_option
@state_option
def user_list(as_json: bool, state_dir: Path) -> None:
    """Users and their roles."""
    from gateway.commands.accounts import print_users

    sys.exit(print_users(state_dir, as_json=as_json))


@user.command("role")
@name_argument
@click.argument("role", type=click.Choice(ROLES))
@state_option
def user_role(name: str, role: str, state_dir: Path) -> None:
    """Change what a user may do. Ends the user's sessions."""
    from gateway.commands.accounts import change_user

    sys.exit(change_user(state_dir, name, role=role))


@user.command("password")
@name_argument
@state_option
def user_password(name: str, state_dir: Path) -> None:
    """Give a user a new password, asked for or the first line of standard input. Ends the user's sessions."""
    from gateway.commands.accounts import change_password

    sys.exit(change_password(state_dir, name))


@user.command("remove")
@name_argument
@state_option
def user_remove(name: str, state_dir: Path) -> None:
    """Remove a user. Ends the user's sessions."""
    from gateway.commands.accounts import remove_user

    sys.exit(remove_user(state_dir, name))


@user.command("lock")
@name_argument
@state_option
def user_lock(name: str, state_dir: Path) -> None:
    """Let a user not in any more, until unlocked."""
    from gateway.commands.accounts import change_user

    sys.exit(change_user(state_dir, name, locked=True))


@user.command("unlock")
@name_argument
@state_option
def user_unlock(name: str, state_dir: Path) -> None:
    """Let a locked user in again."""
    from gateway.commands.accounts import change_user

    sys.exit(change_user(state_dir, name, locked=False))


@main.group()
def token() -> None:
    """Tokens for programs: Prometheus, scripts, `lineside tail`. Shown as Authorization: Bearer."""


@token.command("add")
@name_argument
@role_option
@click.option("--days", type=click.IntRange(1, 3650), help="how long it holds; default: without end")
@state_option
def token_add(name: str, role: str, days: int | None, state_dir: Path) -> None:
    """Make a token and print it, once: only its hash is kept."""
    from gateway.commands.accounts import add_token

    sys.exit(add_token(state_dir, name, role, days))


@token.command("list")
@json_option
@state_option
def token_list(as_json: bool, state_dir: Path) -> None:
    """Tokens, their roles and ends."""
    from gateway.commands.accounts import print_tokens

    sys.exit(print_tokens(state_dir, as_json=as_json))


@token.command("revoke")
@name_argument
@state_option
def token_revoke(name: str, state_dir: Path) -> None:
    """Let nobody in with this token any more."""
    from gateway.commands.accounts import revoke_token

    sys.exit(revoke_token(state_dir, name))
