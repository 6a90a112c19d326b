"""The errors a plugin may raise; everything else is a bug and ends the task that met it.

LinesideError
├── ConfigError     the configuration cannot be used; carries no position, the loader adds it
├── NotConnected    the peer is not there (any more); the supervisor calls connect() again
├── EndOfSource     a recording is at its end; the supervisor stops the source and is content
└── StateError      a detector's saved state does not fit this version; it starts fresh

A bad sample is not an error: it is a quality. A bad record is not an error: it is an outcome.
"""

from __future__ import annotations


class LinesideError(Exception):
    """Root of the tree."""


class ConfigError(LinesideError):
    """The configuration is well formed but cannot be used, for example a missing secret."""


class NotConnected(LinesideError):
    """The peer does not answer, refused us, or was lost.

    peer   as the engineer wrote it, without credentials: ``10.1.4.7:502``
    why    one clause in the peer's words: ``connection refused``
    login  it answers and refuses our user or password, or another has our place: asking again soon would get the account locked, or
           throw the other one out; only somebody who changes a file can end it
    """

    def __init__(self, peer: str, why: str, *, login: bool = False) -> None:
        super().__init__(f"{peer}: {why}")
        self.peer = peer
        self.why = why
        self.login = login


class EndOfSource(LinesideError):
    """A finite source (a recording) has delivered everything."""


class StateError(LinesideError):
    """Saved state is of another version, of other tags, or damaged."""
