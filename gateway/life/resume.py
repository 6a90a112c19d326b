"""Before a start: a restore that was killed half way, but after it was decided, is finished first."""

from __future__ import annotations

from pathlib import Path

from gateway.config.glance import glance
from gateway.contract import ConfigError
from gateway.life import swap
from gateway.outbox.lock import state_lock


def finish_restore(config: Path) -> bool:
    """True: there was one, and it is finished; the configuration may be another one now. Raises ConfigError: somebody else has to."""
    prepared = swap.staging(config.absolute().parent, config.name)
    if not prepared.exists():  # it is the last thing to go; a look at it costs nothing
        return False
    try:
        # Between two renames the old one is gone, and the new one not there yet.
        state_dir = glance(config if config.exists() else prepared / config.name).state_dir
    except (ConfigError, OSError):
        return False  # the start says what is wrong
    try:
        if swap.decided(state_dir) is None:
            return False
    except OSError:
        return False
    return finish_in(state_dir)


def finish_in(state_dir: Path) -> bool:
    """The same for a known folder."""
    with state_lock(state_dir):
        try:
            return swap.finish(state_dir)
        except OSError as exc:
            remedy = f"run: sudo lineside restore --finish --state-dir {state_dir}"
            raise ConfigError(f"a restore was interrupted and cannot be finished: {exc.filename}: {exc.strerror}; {remedy}") from exc
