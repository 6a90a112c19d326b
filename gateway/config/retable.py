"""On reload tags keep their index in the tag table, so that what did not change need not be touched."""

from __future__ import annotations

from dataclasses import replace

from gateway.config.settings import Settings
from gateway.contract import Tag


def keep_indices(new: Settings, old: Settings) -> Settings:
    """`new` with the indices of `old`; new tags come behind, removed ones leave their row unused."""
    index = {tag.path: tag.index for tag in old.tags}
    table = list(old.tags)
    for tag in new.tags:
        if tag.path in index:
            table[index[tag.path]] = replace(tag, index=index[tag.path])
        else:
            index[tag.path] = len(table)
            table.append(replace(tag, index=len(table)))

    def moved(tags: tuple[Tag, ...]) -> tuple[Tag, ...]:
        return tuple(table[index[tag.path]] for tag in tags)

    return replace(
        new,
        tags=tuple(table),
        sources=tuple(replace(source, tags=moved(source.tags)) for source in new.sources),
        watches=tuple(replace(watch, tags=moved(watch.tags)) for watch in new.watches),
    )
