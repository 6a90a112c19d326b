"""Which column of a recording is which tag of a configuration."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from gateway.backtest.recording import VALUE, File
from gateway.config.problems import did_you_mean
from gateway.config.settings import Settings
from gateway.contract import ConfigError, Tag


def assign(files: Sequence[File], settings: Settings, given: Mapping[str, str]) -> dict[str, Tag]:
    """Tags by column. `given` (column to ``machine/tag``) goes first; then a column named like a tag, as ``machine/tag``,
    ``machine.tag`` or by its name alone if only one machine has it; then the only column of a recording, for the only tag that is
    watched. Raises ConfigError.
    """
    known = _names(settings)
    columns = list(dict.fromkeys(name for file in files for name in file.columns))
    found = {column: _given(column, path, files, columns, settings) for column, path in given.items()}
    paths = {tag.path for tag in found.values()}
    candidates = [*columns, *(known if any(file.long for file in files) else ())]
    for column in dict.fromkeys(candidates):
        tag = known.get(column)
        if column not in found and tag is not None and (tag.path not in paths or column not in columns):
            found[column] = tag
    if not found:
        found = _only(columns, settings)
    _check_twice(found, columns)
    return found


def _names(settings: Settings) -> dict[str, Tag]:
    """What a column may be called. A name that two machines have says nothing."""
    usable = [tag for tag in settings.tags if tag.options.kind != "waveform"]
    plain = [tag.name for tag in usable]
    names = {tag.name: tag for tag in usable if plain.count(tag.name) == 1}
    return names | {f"{tag.machine}.{tag.name}": tag for tag in usable} | {tag.path: tag for tag in usable}


def _given(column: str, path: str, files: Sequence[File], columns: Sequence[str], settings: Settings) -> Tag:
    if column not in columns and not any(file.long for file in files):
        raise ConfigError(f"--map {column}={path}: no column {column!r}; {did_you_mean(column, columns)}")
    tags = {tag.path: tag for tag in settings.tags}
    if path not in tags:
        raise ConfigError(f"--map {column}={path}: {settings.path} has no tag {path!r}; {did_you_mean(path, tags)}")
    return tags[path]


def _only(columns: Sequence[str], settings: Settings) -> dict[str, Tag]:
    watched = {tag.path: tag for watch in settings.watches for tag in watch.tags}
    if len(columns) == 1 and len(watched) == 1:
        return {columns[0]: next(iter(watched.values()))}
    example = next(iter(watched), "machine/tag")
    shown = ", ".join(columns[:8]) or VALUE
    raise ConfigError(
        f"no column is named like a tag of {settings.path} (columns: {shown}; watched: {', '.join(list(watched)[:8]) or 'nothing'}); "
        f"say which is which, for example --map {columns[0] if columns else VALUE}={example}"
    )


def _check_twice(found: Mapping[str, Tag], columns: Sequence[str]) -> None:
    by_path: dict[str, str] = {}
    for column, tag in found.items():
        if column not in columns:
            continue
        if tag.path in by_path:
            raise ConfigError(f"the columns {by_path[tag.path]!r} and {column!r} are both {tag.path}; leave one out, or --map it elsewhere")
        by_path[tag.path] = column
