"""Does what somebody asked for with what a watch has learnt: forget it, take what is now as normal, or go back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fnmatch import fnmatchcase
from functools import partial
from typing import NamedTuple

from gateway.contract import Detector, Learner, StateError
from gateway.engine.lane import Lanes
from gateway.engine.watch import Watch
from gateway.outbox.requests import Request

NOT_DONE = "not done: "
_PAST = {"forget": "forgotten", "adopt": "adopted as normal", "undo": "as before again"}


class Meant(NamedTuple):
    """A watch and what of it is meant; no tags: the machine as a whole."""

    watch: Watch
    tags: frozenset[str]

    def words(self, machine: str) -> str:
        if not self.tags:
            return machine
        return f"{machine}/{next(iter(self.tags))}" if len(self.tags) == 1 else f"{len(self.tags)} tags of {machine}"


def meant(request: Request, watches: Sequence[Watch]) -> list[Meant]:
    """Who looks at what is asked for."""
    found = []
    for watch in watches:
        if request.watch not in ("", watch.name):
            continue
        of_machine = [tag.name for tag in watch.settings.tags if tag.machine == request.machine]
        tags = frozenset(name for name in of_machine if fnmatchcase(name, request.tags)) if request.tags else frozenset[str]()
        if request.what == "undo" or tags or (of_machine and not request.tags):
            found.append(Meant(watch, tags))
    return found


def ready(request: Request, watches: Sequence[Watch]) -> bool:
    """False: a detector that is meant is not built yet."""
    return all(each.watch.detector is not None for each in meant(request, watches))


class Renewal:
    """renewed   told which watch got another detector object, which knows no factors yet"""

    def __init__(self, lanes: Lanes, renewed: Callable[[Watch], None]) -> None:
        self._lanes, self._renewed = lanes, renewed

    async def do(self, request: Request, watches: Sequence[Watch]) -> str:
        """What was done, for people; begins with `NOT_DONE` if it was nothing. Their detectors are built, see `ready`."""
        these = meant(request, watches)
        if not these:
            return f"{NOT_DONE}{_nobody(request, watches)}"
        # Who asks for a machine means those that learn it; who names a watch wants to know that it does not.
        these = [each for each in these if isinstance(each.watch.detector, Learner)] or these
        done, refused = [], []
        for each in these:
            try:
                await self._one(request, each)
            except (StateError, OSError) as exc:
                refused.append(f"{each.watch.name} {exc.strerror if isinstance(exc, OSError) else exc}")
            else:
                done.append(each.watch.name if request.what == "undo" else f"{each.words(request.machine)} by {each.watch.name}")
        if not done:
            return NOT_DONE + "; ".join(refused)
        return "; ".join([f"{_PAST[request.what]}: {', '.join(done)}", *refused])

    async def _one(self, request: Request, each: Meant) -> None:
        """raises StateError, OSError   it was not done"""
        if request.what == "undo":
            await self._lanes.go_back(each.watch)
            self._renewed(each.watch)
            return
        if not isinstance(each.watch.detector, Learner):
            raise StateError("does not learn")
        word = _adopt if request.what == "adopt" else _forget
        await self._lanes.change(each.watch, partial(word, machine=request.machine, tags=each.tags))


def _nobody(request: Request, watches: Sequence[Watch]) -> str:
    names = sorted(watch.name for watch in watches)
    if request.watch and request.watch not in names:
        return f"there is no watch {request.watch!r}; there are {', '.join(names) or 'none'}"
    machines = sorted({tag.machine for watch in watches for tag in watch.settings.tags})
    what = f"{request.machine}/{request.tags}" if request.tags else request.machine
    return f"no watch looks at {what}; watched machines are {', '.join(machines) or 'none'}"


def _forget(detector: Detector, *, machine: str, tags: frozenset[str]) -> None:
    if isinstance(detector, Learner):
        detector.forget(machine, tags)


def _adopt(detector: Detector, *, machine: str, tags: frozenset[str]) -> None:
    if isinstance(detector, Learner):
        detector.adopt(machine, tags)
