"""Commands that use a driver as root leave nothing that the gateway cannot read, or write beside."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result

from gateway import registry
from gateway.contract import Found, NotConnected, SourcePlugin

GATEWAY = 1234


@pytest.mark.skipif(os.geteuid() != 0, reason="only root gives files away")
@pytest.mark.parametrize("refused", [False, True])
def test_what_a_driver_of_root_wrote_is_the_gateways(
    lineside: Callable[..., Result], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refused: bool
) -> None:
    state, foreign = tmp_path / "state", tmp_path / "foreign"
    state.mkdir()
    foreign.write_text("root's")
    os.chown(state, GATEWAY, GATEWAY)

    async def writes(_options: Any, context: Any, _select: str) -> AsyncIterator[Found]:
        (context.pki / "own").mkdir(parents=True, mode=0o700)
        (context.pki / "own" / "own.key.pem").write_text("key")
        (context.pki / "link").symlink_to(foreign)
        (context.pki / "second").hardlink_to(foreign)
        if refused:
            raise NotConnected("127.0.0.1:1", "its certificate is not trusted")
        yield Found(name="load", options={"at": 40001})

    real = registry.load

    def load(kind: Any, name: str) -> Any:
        plugin = real(kind, name)
        return replace(plugin, browse=writes) if isinstance(plugin, SourcePlugin) and name == "modbus" else plugin

    monkeypatch.setattr(registry, "load", load)
    assert lineside("browse", "tcp://127.0.0.1:1", "--state-dir", str(state)).exit_code == int(refused)
    written = [state / "pki", state / "pki" / "own", state / "pki" / "own" / "own.key.pem"]
    assert [path.stat().st_uid for path in written] == [GATEWAY] * 3
    assert foreign.stat().st_uid == 0
