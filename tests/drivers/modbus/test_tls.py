"""Modbus over TLS: who is trusted, and what is said when somebody is not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.contract import GOOD, ConfigError, NotConnected
from gateway.testkit.servers.modbus import Plc
from gateway.testkit.servers.pki import Pki

Make = Callable[..., Any]
TAGS = {"t": {"at": 40001}}


@pytest.fixture
def pki(tmp_path: Path) -> Pki:
    return Pki(tmp_path)


async def test_server_of_a_known_authority_is_read(pki: Pki, make: Make) -> None:
    async with Plc(tls=pki.server()) as plc:
        source = make(plc.url, TAGS, ca=pki.ca)
        await source.connect()
        assert (await source.read()).quality.tolist() == [GOOD]


async def test_server_of_an_unknown_authority_is_not_connected(pki: Pki, make: Make) -> None:
    async with Plc(tls=pki.strange_server()) as plc:
        with pytest.raises(NotConnected, match="its certificate is not trusted"):
            await make(plc.url, TAGS, ca=pki.ca).connect()


async def test_server_that_asks_for_our_certificate_gets_it(pki: Pki, make: Make, tmp_path: Path) -> None:
    certificate, key = pki.client()
    (tmp_path / "key.pem").write_text(key)
    async with Plc(tls=pki.server(asks_for_client=True)) as plc:
        source = make(plc.url, TAGS, ca=pki.ca, certificate=certificate, key=tmp_path / "key.pem")
        await source.connect()
        assert (await source.read()).quality.tolist() == [GOOD]
        await source.close()
        anonymous = make(plc.url, TAGS, ca=pki.ca)
        with pytest.raises(NotConnected):
            await _first(anonymous)


async def test_certificate_that_is_no_file_is_a_config_error_that_names_it(pki: Pki, make: Make, tmp_path: Path) -> None:
    async with Plc(tls=pki.server()) as plc:
        with pytest.raises(ConfigError, match=r"nowhere\.pem: no such file"):
            await make(plc.url, TAGS, ca=tmp_path / "nowhere.pem").connect()


async def test_plain_server_is_not_taken_for_one_with_tls(pki: Pki, make: Make, plc: Plc) -> None:
    with pytest.raises(NotConnected):
        await make(plc.url.replace("tcp://", "tls://"), TAGS, ca=pki.ca, timeout="1s").connect()


async def _first(source: Any) -> Any:
    await source.connect()
    return await source.read()
