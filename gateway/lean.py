"""Imports that cost the gateway more than it uses of them, without the rest. Before the first thread: they change the environment."""

from __future__ import annotations

import mimetypes
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType

_TZPATH = "/usr/share/zoneinfo:/usr/lib/zoneinfo:/usr/share/lib/zoneinfo:/etc/zoneinfo"
_DOCS = ("numpy._core._add_newdocs", "numpy._core._add_newdocs_scalars")


def import_lean() -> None:
    """zoneinfo, numpy and aiohttp; the certificates alone are 2 MB and a tenth of a second of start.

    zoneinfo  asks how Python was built for a path that is the same on every Linux
    numpy     the documentation of what is written in C: modules of their own, so that one can do without
    aiohttp   reads the system's certificates, for connections whose TLS nobody has chosen. All of ours are told theirs; one that were
              not would trust nobody. It reads which types files have, of which it needs those that Python knows, and how commands
              are read, for a command of its own.
    """
    with _environment(PYTHONTZPATH=os.environ.get("PYTHONTZPATH", _TZPATH)):
        import_module("zoneinfo")
    for name in _DOCS:
        sys.modules.setdefault(name, ModuleType(name))
    import_module("numpy")
    from gateway.contract import import_without  # it imports both

    mimetypes.init(())
    with _environment(SSL_CERT_FILE=os.devnull, SSL_CERT_DIR=os.devnull):
        import_without("aiohttp.web", ("argparse",))


@contextmanager
def _environment(**changed: str) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in changed}
    os.environ.update(changed)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value
