"""The typed mapper: ``{{ dotted.path | filter(argument) }}`` inside any JSON. No code, no loops, no Python objects.

A text that is one template and nothing else keeps the type of what it finds; in the middle of other text it becomes text.
What an event does not have is left out of objects and arrays, and is nothing in the middle of text.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any, TypeAlias

from gateway.contract import Json
from gateway.uplink.https.filters import Apply, Cuts, TemplateError, Unfit, make, text
from gateway.uplink.https.paths import MISSING, Keys, PathError, literal, parse, walk
from gateway.uplink.https.view import VARIABLES, Look, View

MOST_CHARACTERS = 4000
_MOST_FILTERS = 10
_MOST_DEPTH = 32
_BLOCK = re.compile(r"""\{\{((?:[^"'{}]|"[^"]*"|'[^']*'|\{(?!\{)|\}(?!\}))*)\}\}""")
_PIPE = re.compile(r"""((?:[^"'|]|"[^"]*"|'[^']*')*)(?:\||$)""")
_FILTER = re.compile(r"^\s*([a-z_0-9]+)\s*(?:\((.*)\))?\s*$", re.DOTALL)
_ARGUMENT = re.compile(r"""\s*(?:("[^"]*"|'[^']*'|[A-Za-z_]\w*)\s*=(?!=))?\s*("[^"]*"|'[^']*'|[^\s,"'=]+)\s*(?:,|$)""", re.ASCII)


@dataclass(frozen=True, slots=True)
class Scope:
    """What templates have beside the event.

    vars   constants of the options; None: not known yet, any name will do
    cuts   counts what did not fit, by template
    """

    vars: Mapping[str, Json] | None = None
    cuts: Cuts = field(default_factory=Counter)


Render: TypeAlias = Callable[[View], Any]
_Step: TypeAlias = Callable[[Any, View], Any]


def compiled(value: Json, scope: Scope | None = None) -> Render:
    """For any JSON with templates in its texts; raises TemplateError, which names the template.

    What it returns raises Unfit for an event that does not fit.
    """
    return _compiled(value, scope or Scope(), 0)


def is_template(value: str) -> bool:
    return "{{" in value


def as_text(value: str, scope: Scope | None = None, quote: Callable[[str], str] = str) -> Callable[[View], str]:
    """For a text, with every value that is put into it quoted; what is missing is nothing."""
    parts = _parts(value, scope or Scope())

    def render(view: View) -> str:
        return "".join(part if isinstance(part, str) else quote(_word(part(view))) for part in parts)

    return render


def filled(value: str, constants: Mapping[str, Json]) -> str:
    """A text without an event: only ``{{ vars.name }}`` may stand in it, without filters. Raises TemplateError."""

    def constant(found: re.Match[str]) -> str:
        name, *keys = parse(found[1].strip())
        if name != "vars":
            raise TemplateError(f"{found[0][:80]}: there is no event here, only vars")
        return text(_var(tuple(keys), constants))

    return _BLOCK.sub(constant, value)


def _compiled(value: Json, scope: Scope, depth: int) -> Render:
    if depth > _MOST_DEPTH:
        raise TemplateError(f"is nested more than {_MOST_DEPTH} deep")
    if isinstance(value, str):
        return _text(value, scope)
    if isinstance(value, Mapping):
        return _object({str(key): _compiled(each, scope, depth + 1) for key, each in value.items()})
    if isinstance(value, list):
        return _array([_compiled(each, scope, depth + 1) for each in value])
    return lambda _view: value


def _object(members: Mapping[str, Render]) -> Render:
    pairs = tuple(members.items())

    def render(view: View) -> dict[str, Any]:
        made = {}
        for key, member in pairs:
            if (value := member(view)) is not MISSING:
                made[key] = value
        return made

    return render


def _array(members: list[Render]) -> Render:
    return lambda view: [value for member in members if (value := member(view)) is not MISSING]


def _text(value: str, scope: Scope) -> Render:
    if not is_template(value):
        return lambda _view: value
    parts = _parts(value, scope)
    if len(parts) == 1 and not isinstance(parts[0], str):
        return parts[0]
    return lambda view: "".join(part if isinstance(part, str) else _word(part(view)) for part in parts)


def _word(value: Any) -> str:
    return "" if value is MISSING or value is None else text(value)


def _parts(value: str, scope: Scope) -> list[str | Render]:
    """Constant texts and templates as they follow each other."""
    if len(value) > MOST_CHARACTERS and is_template(value):
        raise TemplateError(f"{value[:60]!r}... is longer than {MOST_CHARACTERS} characters")
    parts: list[str | Render] = []
    at = 0
    for block in _BLOCK.finditer(value):
        parts += [value[at : block.start()], _expression(block[0], block[1], scope)]
        at = block.end()
    parts.append(value[at:])
    if any(isinstance(part, str) and ("{{" in part or "}}" in part) for part in parts) and is_template(value):
        raise TemplateError(f"{value[:80]!r}: {{{{ and }}}} do not belong together")
    return [part for part in parts if part != ""]


def _expression(whole: str, inner: str, scope: Scope) -> Render:
    try:
        head, *filters = _split(inner)
        if len(filters) > _MOST_FILTERS:
            raise TemplateError(f"has more than {_MOST_FILTERS} filters")
        return _chained(_value(head.strip(), scope), [_filter(each, scope, whole) for each in filters], whole)
    except (PathError, TemplateError) as exc:
        raise TemplateError(f"{whole[:80]}: {exc}") from exc


def _split(inner: str) -> list[str]:
    found, at = [], 0
    while at <= len(inner):
        piece = _PIPE.match(inner, at)
        if piece is None:
            raise TemplateError("a quote is not closed")
        found.append(piece[1])
        if piece.end() == len(inner) and not piece[0].endswith("|"):
            break
        at = piece.end()
    return found


def _chained(head: Look, steps: list[_Step], whole: str) -> Render:
    if not steps:
        return head

    def render(view: View) -> Any:
        value = head(view)
        try:
            for step in steps:
                value = step(value, view)
        except Unfit as exc:
            raise Unfit(f"{whole[:80]}: {exc}") from exc
        return value

    return render


def _value(written: str, scope: Scope) -> Look:
    """A variable, a path into one, a constant of the options, or a literal."""
    if not written:
        raise TemplateError("names nothing; write for example {{ data.score }}")
    if not (written[0].isalpha() or written[0] == "_") or written in ("true", "false", "null"):
        constant = literal(written)
        return lambda _view: constant
    name, *keys = parse(written)
    if name == "vars":
        return _constant(tuple(keys), scope)
    look = VARIABLES.get(str(name))
    if look is None:
        close = get_close_matches(str(name), VARIABLES, n=1)
        raise TemplateError(f"there is no {name!r}" + (f"; did you mean {close[0]!r}?" if close else f"; there are {', '.join(VARIABLES)}"))
    if not keys:
        return look
    if name != "data":
        raise TemplateError(f"{name} has no parts; only data has")
    path = tuple(keys)
    return lambda view: walk(view.data, path)


def _constant(keys: Keys, scope: Scope) -> Look:
    found = MISSING if scope.vars is None else _var(keys, scope.vars)
    return lambda _view: found


def _var(keys: Keys, constants: Mapping[str, Json]) -> Json:
    found = walk(dict(constants), keys)
    if found is MISSING or not keys:
        known = ", ".join(constants) or "none"
        raise TemplateError(f"vars has no {'.'.join(map(str, keys)) or 'name'}; there are: {known}")
    return found


def _filter(written: str, scope: Scope, label: str) -> _Step:
    found = _FILTER.match(written)
    if found is None:
        raise TemplateError(f"{written.strip()[:40]!r} is no filter")
    args, named = _arguments(found[2] or "")
    if found[1] == "default":
        return _default(args, named, scope)
    apply = make(found[1], [literal(each) for each in args], {key: literal(each) for key, each in named.items()}, scope.cuts, label)
    return _through(apply, skips_null=found[1] != "json")


def _through(apply: Apply, *, skips_null: bool) -> _Step:
    return lambda value, _view: value if value is MISSING or (value is None and skips_null) else apply(value)


def _default(args: list[str], named: Mapping[str, str], scope: Scope) -> _Step:
    if len(args) != 1 or named:
        raise TemplateError("filter default needs one value or variable, for example default(id)")
    other = _value(args[0], scope)
    return lambda value, view: other(view) if value is MISSING or value is None else value


def _arguments(written: str) -> tuple[list[str], dict[str, str]]:
    args: list[str] = []
    named: dict[str, str] = {}
    at, written = 0, written.strip()
    while at < len(written):
        found = _ARGUMENT.match(written, at)
        if found is None:
            raise TemplateError(f"the arguments ({written[:40]}) cannot be read")
        if found[1] is None:
            args.append(found[2])
        else:
            named[found[1].strip("\"'")] = found[2]
        at = found.end()
    return args, named
