"""Pydantic's errors in words for a plant engineer."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin
from unicodedata import normalize

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from gateway.config.model import NAME, PLACE
from gateway.config.problems import close_to, did_you_mean, without_credentials
from gateway.config.yaml import Path
from gateway.contract import SecretRef

Error = Mapping[str, Any]
_MISSING = "is missing"
_BOUNDS = {
    "greater_than": ("greater than", "gt"),
    "greater_than_equal": ("at least", "ge"),
    "less_than": ("less than", "lt"),
    "less_than_equal": ("at most", "le"),
}
_KINDS = (
    ("int", "a whole number"),
    ("float", "a number"),
    ("finite_number", "a number"),
    ("bool", "true or false"),
    ("list", "a list"),
    ("tuple", "a list"),
    ("string", "text"),
    ("model_type", "a mapping of options"),
    ("dict_type", "a mapping of options"),
)


@dataclass(frozen=True)
class Explained:
    """One problem.

    at_key   the key is wrong, not its value
    secret   what stands there must not be shown
    meant    the key that was probably meant
    """

    loc: Path
    message: str
    hint: str = ""
    at_key: bool = False
    secret: bool = False
    meant: str = ""


def explain(errors: Sequence[Error], model: type[BaseModel], data: Any) -> list[Explained]:
    """The errors of validating `data` with `model`; those of a union's branches become one."""
    found: list[Explained] = []
    unions: dict[Path, list[tuple[Error, Path]]] = {}
    for error in errors:
        loc, fork = _place(error, data)
        if fork is None:
            found.append(_one(error, loc, model))
        else:
            unions.setdefault(loc[:fork], []).append((error, loc))
    for prefix, group in unions.items():
        found += _union(prefix, group, model)
    # A slip in a key is one problem, not also the one that the right key is missing.
    meant = {(*problem.loc[:-1], problem.meant) for problem in found if problem.meant}
    return [problem for problem in found if not (problem.message == _MISSING and problem.loc in meant)]


def option_names(model: type[BaseModel]) -> list[str]:
    """Names as they are written in YAML."""
    return [info.alias or name for name, info in model.model_fields.items()]


def _place(error: Error, data: Any) -> tuple[Path, int | None]:
    """The error's place in the document, and where in it a union's branches fork (pydantic names them in `loc`)."""
    place: list[str | int] = []
    fork = None
    parts = error["loc"]
    for i, part in enumerate(parts):
        absent = i == len(parts) - 1 and error["type"] == "missing"
        if isinstance(data, Mapping) and (part in data or absent):
            data = data.get(part)
        elif isinstance(data, list) and isinstance(part, int) and (part < len(data) or absent):
            data = data[part] if part < len(data) else None
        elif part == "[key]":
            continue
        else:
            fork = len(place) if fork is None else fork
            continue
        place.append(part)
    return tuple(place), fork


def _union(prefix: Path, group: list[tuple[Error, Path]], model: type[BaseModel]) -> list[Explained]:
    deeper = [_one(error, loc, model) for error, loc in group if len(loc) > len(prefix)]
    if deeper:
        return deeper
    if any(error["type"] in ("value_error", *_BOUNDS) for error, _ in group):
        return [_one(error, loc, model) for error, loc in group if error["type"] in ("value_error", *_BOUNDS)]
    words = " or ".join(dict.fromkeys(_wanted(error) for error, _ in group))
    return [Explained(prefix, f"must be {words}, got {_show(group[0][0].get('input'))}")]


def _wanted(error: Error) -> str:
    if error["type"] == "literal_error":
        return " or ".join(_expected(error))
    return next((words for start, words in _KINDS if str(error["type"]).startswith(start)), str(error["msg"]))


def _one(error: Error, loc: Path, model: type[BaseModel]) -> Explained:
    kind, owners = str(error["type"]), _owners(model, error["loc"])
    if SecretRef in owners or (error.get("ctx") or {}).get("class_name") == "SecretRef":
        return _secret(kind, loc)
    if kind == "extra_forbidden":
        return _unknown(loc, owners)
    if kind == "missing":
        return Explained(loc, _MISSING, next((d for owner in owners if (d := _description(owner, loc[-1]))), ""))
    message, hint = _words(kind, error)
    return Explained(loc, without_credentials(message), hint, at_key="[key]" in error["loc"])


def _unknown(loc: Path, owners: list[type[BaseModel]]) -> Explained:
    known = {name: info for owner in owners for name, info in zip(option_names(owner), owner.model_fields.values(), strict=True)}
    meant = close_to(str(loc[-1]), known)
    secret = meant in known and SecretRef in _branches(known[meant].annotation)
    return Explained(loc, "unknown option", did_you_mean(str(loc[-1]), known), at_key=True, secret=secret, meant=meant)


def _secret(kind: str, loc: Path) -> Explained:
    """Whatever stands there may be the secret itself, so it is not repeated."""
    if kind == "extra_forbidden":
        return Explained(loc, "unknown option", "write {secret: NAME}", at_key=True, secret=True, meant="secret")
    if kind == "missing":
        return Explained(loc, _MISSING, "write {secret: NAME}")
    if kind == "string_pattern_mismatch":
        return Explained(loc, "is no name of a secret", "use letters, digits, _ . and -; the value is stored elsewhere", secret=True)
    return Explained(loc, "a secret is named here, never written", "write {secret: NAME} and store the value elsewhere", secret=True)


def _words(kind: str, error: Error) -> tuple[str, str]:
    context, given = error.get("ctx") or {}, error.get("input")
    if kind == "value_error":
        return str(context.get("error", error["msg"])), ""
    if kind == "literal_error":
        known = _expected(error)
        many = f"one of {', '.join(known)}" if len(known) > 1 else known[0]
        close = close_to(given, known) if isinstance(given, str) else ""
        return f"must be {many}, got {_show(given)}", f"did you mean {close!r}?" if close else ""
    if kind in _BOUNDS:
        words, key = _BOUNDS[kind]
        return f"must be {words} {context[key]:g}, got {_show(given)}", ""
    if kind == "string_pattern_mismatch":
        return _pattern(str(given), str(context.get("pattern")))
    if kind.endswith(("too_short", "too_long")):
        return _size(kind, context), ""
    return _type(kind, error, given)


def _size(kind: str, context: Mapping[str, Any]) -> str:
    unit = "characters" if kind.startswith("string") else "entries"
    if kind.endswith("too_long"):
        return f"must have at most {context['max_length']} {unit}"
    return "must not be empty" if context["min_length"] == 1 else f"must have at least {context['min_length']} {unit}"


def _type(kind: str, error: Error, given: Any) -> tuple[str, str]:
    hint = "write a value or remove the key" if given is None else ""
    for start, words in _KINDS:
        if kind.startswith(start):
            if words == "text" and given is not None:
                hint = "put it in quotes"
            if words == "a list" and isinstance(given, Mapping):
                hint = "begin each entry with -"
            return f"must be {words}, got {_show(given)}", hint
    return f"{str(error['msg']).replace('Input should', 'should')}, got {_show(given)}", hint


def _pattern(given: str, pattern: str) -> tuple[str, str]:
    if pattern == NAME:
        return f"{given!r} is no name", name_like(given)
    if pattern == PLACE:
        return f"{given!r} is no place in the plant", "write area/line/cell in small letters, for example press-shop/line-2/cell-1"
    return f"{_show(given)} is not allowed here; it must match {pattern}", ""


def name_like(given: str) -> str:
    """
    >>> name_like("Öl Temperatur")
    "use a-z, 0-9, - and _, for example 'ol-temperatur'"
    """
    plain = normalize("NFKD", given).encode("ascii", "ignore").decode().lower()
    slug = re.sub(r"[^a-z0-9_-]+", "-", plain).strip("-_")[:63]
    return "use a-z, 0-9, - and _" + (f", for example {slug!r}" if slug else "")


def _expected(error: Error) -> list[str]:
    text = str((error.get("ctx") or {}).get("expected", ""))
    return [part.strip(" '") for part in text.replace(" or ", ", ").split(",")]


def _show(value: Any) -> str:
    text = "nothing" if value is None else repr(value) if isinstance(value, str) else str(value)
    return without_credentials(text if len(text) <= 60 else text[:57] + "...")


def _description(owner: type[BaseModel], name: str | int) -> str:
    info: FieldInfo | None = next((info for field, info in owner.model_fields.items() if (info.alias or field) == name), None)
    return (info.description or "") if info else ""


def _owners(model: type[BaseModel], loc: Iterable[str | int]) -> list[type[BaseModel]]:
    """The models of which the last part of `loc` may be a key."""
    here: list[Any] = [model]
    for part in list(loc)[:-1]:
        here = [inner for outer in here for inner in _inside(outer, part)]
    return [kind for kind in here if isinstance(kind, type) and issubclass(kind, BaseModel)]


def _inside(kind: Any, part: str | int) -> Iterator[Any]:
    if isinstance(kind, type) and issubclass(kind, BaseModel):
        if part == kind.__name__:
            yield kind
        for name, info in kind.model_fields.items():
            if part in (name, info.alias):
                yield from _branches(info.annotation)
    elif get_origin(kind) in (dict, list):
        yield from _branches(get_args(kind)[-1])


def _branches(annotation: Any) -> Iterator[Any]:
    origin = get_origin(annotation)
    if origin in (Union, UnionType):
        for branch in get_args(annotation):
            yield from _branches(branch)
    elif origin is Annotated:
        yield from _branches(get_args(annotation)[0])
    else:
        yield annotation
