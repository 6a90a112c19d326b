"""Commands at a device, typed by root: what a driver writes there (certificates, locks) is the gateway's."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from gateway.commands.database import Refused
from gateway.owner import as_owner_of


@contextmanager
def as_gateway(state_dir: Path) -> Iterator[None]:
    """See `as_owner_of`. Raises Refused where root may not become somebody else."""
    with ExitStack() as stack:
        try:
            stack.enter_context(as_owner_of(state_dir))
        except PermissionError as exc:
            raise Refused(f"{state_dir} is not root's; run the command as the gateway's user") from exc
        yield
