"""What of a backup is put into a folder that other gateways use, too."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from gateway.config.signature import FOLDER as TRUSTED_KEYS
from gateway.life.archive import Manifest
from gateway.life.contents import CONFIG
from gateway.life.neighbours import SHIPPED, Belongings, Configuration, Whose, belongings


@dataclass(frozen=True, kw_only=True)
class Share:
    """Names of files in the backup.

    others   configurations of other gateways where the backup goes
    theirs   another gateway's, so not put in place
    stays    not this gateway's alone and there already, or what would change what another gateway takes: left as it is
    """

    others: str
    theirs: list[str]
    stays: list[str]

    @property
    def left(self) -> set[str]:
        return {*self.theirs, *self.stays}


def share(manifest: Manifest, content: Callable[[str], bytes], state_dir: Path, config_dir: Path) -> Share:
    """content   of a file in the backup, by its name

    raises ConfigError, OSError   what is there cannot be read, so nobody knows what is another gateway's
    """
    text = content(f"{CONFIG}/{manifest.config}").decode("utf-8", "replace")
    there = belongings(config_dir / manifest.config, text=text, state=state_dir, strict=True)
    found = replace(there, others=(*there.others, *_others_in(manifest, content, there)))
    theirs, stays = list[str](), list[str]()
    for name in [*manifest.files, *manifest.sealed, *manifest.left_out]:
        top, _, file = name.partition("/")
        whose = found.whose(file) if top == CONFIG else Whose.OURS
        if whose is Whose.THEIRS:
            theirs.append(name)
        elif whose is not Whose.OURS and there.others and (os.path.lexists(config_dir / file) or file.startswith(f"{TRUSTED_KEYS}/")):
            stays.append(name)
    return Share(others=there.names_of_others, theirs=theirs, stays=stays)


def _others_in(manifest: Manifest, content: Callable[[str], bytes], there: Belongings) -> list[Configuration]:
    """An older backup holds all of a folder that was shared."""
    ours = {each.state for each in there.of}
    names = [name.removeprefix(f"{CONFIG}/") for name in manifest.files if name.startswith(f"{CONFIG}/") and name.count("/") == 1]
    texts = {name: content(f"{CONFIG}/{name}").decode("utf-8", "replace") for name in names if name.endswith((".yaml", ".yml"))}
    found = [Configuration.read(name, text, there.folder) for name, text in texts.items() if name not in (manifest.config, SHIPPED)]
    return [each for each in found if each is not None and each.state not in ours]
