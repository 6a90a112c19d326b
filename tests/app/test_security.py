"""A whole gateway: where its page listens, who gets in, what stands in the audit, signed configurations."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import socket
import sqlite3
import threading
from contextlib import closing
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import trustme
from click.testing import CliRunner

from gateway.accounts.passwords import hashed
from gateway.accounts.store import Token, User, changing, digest_of
from gateway.cli import main
from gateway.config import ConfigErrors, load

PASSWORD = "correct horse battery"
HASHED = hashed(PASSWORD)


def everywhere(text: str) -> str:
    return text.replace("page: {port: 0}", "page: {host: 0.0.0.0, port: 0}")


def account(site: Any, name: str = "eva", role: str = "admin") -> None:
    with changing(site.state) as accounts:
        accounts.users[name] = User(role=role, password=HASHED)


def lines(site: Any) -> list[tuple[str, str, str, str]]:
    with closing(sqlite3.connect(site.state / "outbox.db")) as connection:
        return connection.execute("SELECT who, what, name, after FROM audit ORDER BY number").fetchall()


def verdict(site: Any) -> tuple[int, str]:
    result = CliRunner().invoke(main, ["audit", "verify", "--state-dir", str(site.state)])
    return result.exit_code, result.output


async def log_in(port: int) -> dict[str, str]:
    url = f"http://127.0.0.1:{port}"
    async with (
        aiohttp.ClientSession() as session,
        session.post(f"{url}/api/login", json={"user": "eva", "password": PASSWORD}, headers={"Origin": url}) as reply,
    ):
        assert reply.status == 200, await reply.text()
        return {name: morsel.value for name, morsel in reply.cookies.items()}


async def get(port: int, path: str, cookies: dict[str, str] | None = None, **headers: str) -> tuple[int, str]:
    async with (
        aiohttp.ClientSession(cookies=cookies) as session,
        session.get(f"http://127.0.0.1:{port}{path}", headers=headers) as reply,
    ):
        return reply.status, await reply.text()


async def test_a_page_for_the_network_stays_on_this_machine_until_somebody_can_log_in(site: Any) -> None:
    site.configure(everywhere)
    async with site.run() as app:
        security = json.loads((await get(app.page_port, "/api/status"))[1])["security"]
        assert (security["listens"], security["wanted"], security["users"]) == ("127.0.0.1", "0.0.0.0", 0)
        account(site)
        await site.until(lambda: app.front.security()["listens"] == "0.0.0.0")
        assert (await get(app.page_port, "/api/status"))[0] == 401
        cookies = await log_in(app.page_port)
        assert json.loads((await get(app.page_port, "/api/status", cookies))[1])["security"]["sessions"] == 1
        with changing(site.state) as accounts:
            accounts.users.clear()
        await site.until(lambda: app.front.security()["listens"] == "127.0.0.1")
    assert [line[1] for line in lines(site)] == ["gateway started", "login", "session ended", "gateway stopped"]
    assert verdict(site)[0] == 0


async def test_a_page_whose_port_is_taken_opens_as_soon_as_it_is_free(site: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Or whose address is not there yet: the gateway starts before the network does."""
    async with site.run() as app:
        with closing(socket.create_server(("127.0.0.1", 0))) as taken:
            port = taken.getsockname()[1]
            site.configure(lambda text: text.replace("page: {port: 0}", f"page: {{port: {port}}}"))
            assert await app.reload()
            assert app.front.security()["listens"] is None
            await asyncio.sleep(2.5)
        await site.until(lambda: app.front.security()["listens"] == "127.0.0.1")
        assert (await get(port, "/healthz"))[0] == 200
    assert [record.getMessage() for record in caplog.records].count("page cannot listen") == 1


async def test_with_accounts_it_is_open_from_the_start_and_sessions_outlive_a_reload(site: Any) -> None:
    site.configure(everywhere)
    site.state.mkdir()
    account(site)
    async with site.run() as app:
        assert app.front.security()["listens"] == "0.0.0.0"
        cookies = await log_in(app.page_port)
        site.configure(lambda text: everywhere(text).replace("port: 0}", 'port: 0, banner: "Staff only."}'))
        app.ask_reload("eva (page)")
        port = app.page_port
        await site.until(lambda: app.settings.web.banner != "" and app.page_port != port)
        assert '"Staff only."' in (await get(app.page_port, "/api/notice"))[1]
        name, value = next(iter(cookies.items()))
        moved = {name.replace(str(port), str(app.page_port)): value}
        assert (await get(app.page_port, "/api/me", moved))[0] == 200
    loaded = next(line for line in lines(site) if line[1] == "configuration loaded")
    assert (loaded[0], loaded[2]) == ("eva (page)", str(site.file))
    assert load(site.file).digest in loaded[3]


async def test_prometheus_shows_its_token(site: Any) -> None:
    site.state.mkdir()
    with changing(site.state) as accounts:
        accounts.tokens["prom"] = Token(role="viewer", digest=digest_of("lineside_t"))
    async with site.run() as app:
        assert (await get(app.page_port, "/metrics"))[0] == 401
        status, text = await get(app.page_port, "/metrics", Authorization="Bearer lineside_t")
        assert status == 200
        assert "lineside_link_up" in text
        assert (await get(app.page_port, "/healthz")) == (200, '{"healthy":true}')


@pytest.mark.parametrize(
    ("token", "said"),
    [
        ("lineside_t", "press-07/oil_temperature"),
        ("", "needs a login; put a token"),
        ("guess", "does not know the token of $LINESIDE_TOKEN"),
    ],
)
async def test_tail_says_what_is_wrong_with_its_token(site: Any, token: str, said: str) -> None:
    site.state.mkdir()
    with changing(site.state) as accounts:
        accounts.tokens["t"] = Token(role="viewer", digest=digest_of("lineside_t"))
    site.oil(50)
    async with site.run() as app:
        await site.until(lambda: app.counts.total("readings") > 0)
        arguments = ["tail", "--url", f"http://127.0.0.1:{app.page_port}", "--count", "1"]
        result = await asyncio.to_thread(CliRunner().invoke, main, arguments, env={"LINESIDE_TOKEN": token})
        assert said in result.output


async def test_an_operator_shelves_over_the_page_and_the_audit_knows_who(site: Any) -> None:
    site.state.mkdir()
    account(site, role="operator")
    async with site.run() as app:
        cookies, url = await log_in(app.page_port), f"http://127.0.0.1:{app.page_port}"
        wish = {"machine": "press-07", "condition": "oil_*", "for": "8h", "why": "pump is replaced"}
        async with aiohttp.ClientSession(cookies=cookies, headers={"Origin": url}) as session:
            for bad in ({"for": "9d"}, {"for": "0s"}, {"why": ""}, {"machine": "a\nb"}, {"for": "soon"}):
                async with session.post(f"{url}/api/shelves", json=wish | bad) as reply:
                    assert reply.status == 400
            async with session.post(f"{url}/api/shelves", json=wish) as reply:
                assert reply.status == 201
                number = (await reply.json())["id"]
            await site.until(lambda: [shelf.who for shelf in app.desk.shelving.shelves] == ["eva (page)"])
            async with session.delete(f"{url}/api/shelves/{number}") as reply:
                assert reply.status == 200
            async with session.delete(f"{url}/api/shelves/{number}") as reply:
                assert reply.status == 404
            async with session.post(f"{url}/api/reload") as reply:
                assert reply.status == 403
    assert [line[:3] for line in lines(site)][2:4] == [
        ("eva (page)", "shelved: pump is replaced", "press-07/oil_*"),
        ("eva (page)", "unshelved", "press-07/oil_*"),
    ]
    assert re.search(r"shelf 1 until 20\d\d-\d\d-\d\dT[\d:]{8}Z$", lines(site)[2][3])  # as the command writes it


async def test_what_the_disk_refuses_now_is_told_as_that_and_the_audit_can_still_be_read(site: Any) -> None:
    site.state.mkdir()
    account(site, role="engineer")
    async with site.run() as app:
        cookies, url = await log_in(app.page_port), f"http://127.0.0.1:{app.page_port}"
        wish = {"machine": "press-07", "condition": "oil_*", "for": "8h", "why": "pump is replaced"}
        another = sqlite3.connect(site.state / "outbox.db", isolation_level=None)
        async with aiohttp.ClientSession(cookies=cookies, headers={"Origin": url}) as session:
            await app.outbox.look(lambda connection: connection.execute("PRAGMA busy_timeout = 0"))
            another.execute("BEGIN IMMEDIATE")
            async with session.post(f"{url}/api/shelves", json=wish) as reply:
                assert (reply.status, reply.headers["Retry-After"]) == (503, "10")
                assert (await reply.json())["error"].startswith("the disk refuses: ")
            async with session.get(f"{url}/api/audit") as reply:
                assert (reply.status, bool(await reply.json())) == (200, True)
            async with session.delete(f"{url}/api/shelves/1") as reply:
                assert reply.status == 503
            another.rollback()
        another.close()


async def test_the_page_answers_while_the_disk_hangs_and_what_it_asked_meanwhile_is_not_read_later(
    site: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("gateway.overview._PATIENCE_SECONDS", 0.05)
    hanging, waits = threading.Event(), threading.Event()
    async with site.run() as app:
        held = app.outbox._writer.submit(lambda _: hanging.set() or waits.wait(20), alone=True)
        try:
            assert await asyncio.to_thread(hanging.wait, 10)
            for path in ("/api/status", "/api/incidents", "/metrics", "/healthz"):
                assert (await get(app.page_port, path))[0] == 200, path
            assert (await get(app.page_port, "/api/incidents/inc-x"))[0] == 404
            left, looked = app.outbox._writer.submit(lambda _: looked.append(1), alone=True), list[int]()
            left.cancel()
        finally:
            waits.set()
        assert await held
        await app.outbox.look(lambda _: None)
        assert looked == []


async def test_a_renewed_certificate_is_taken_at_a_reload(site: Any) -> None:
    authority = trustme.CA()
    (site.folder / "secrets").mkdir()

    def issue(name: str) -> None:
        made = authority.issue_cert("localhost", common_name=name)
        made.cert_chain_pems[0].write_to_path(str(site.folder / "page.pem"))
        made.private_key_pem.write_to_path(str(site.folder / "secrets/page_key"))
        (site.folder / "secrets/page_key").chmod(0o600)

    async def shown(port: int) -> str:
        import ssl

        trusting = ssl.create_default_context()
        authority.configure_trust(trusting)
        _, writer = await asyncio.open_connection("localhost", port, ssl=trusting)
        subject = writer.get_extra_info("peercert")["subject"]
        writer.close()
        return dict(pair[0] for pair in subject)["commonName"]

    issue("first")
    site.configure(lambda text: text.replace("page: {port: 0}", "page: {port: 0, tls: {certificate: page.pem, key: {secret: page_key}}}"))
    async with site.run() as app:
        port = app.page_port
        assert await shown(port) == "first"
        issue("second")
        assert await app.reload()
        assert (app.page_port, await shown(port)) == (port, "second")
        (site.folder / "page.pem").write_text("nothing")
        assert not await app.reload()
        assert await shown(port) == "second"


class TestSigned:
    @pytest.fixture
    def signed(self, site: Any) -> Any:
        """A key, trusted by this gateway, and a file signed with it."""
        assert run("config", "key", str(site.folder / "plant")) == 0
        (site.folder / "trusted-keys").mkdir()
        (site.folder / "plant.pem").rename(site.folder / "trusted-keys/plant.pem")
        assert self.sign(site) == 0
        return site

    @staticmethod
    def sign(site: Any) -> int:
        return run("config", "sign", str(site.file), "--key", str(site.folder / "plant.key"))

    async def test_what_is_signed_runs_and_what_is_not_is_refused_while_the_old_one_runs_on(self, signed: Any) -> None:
        async with signed.run() as app:
            signed.configure(high=50.0)
            assert not await app.reload()
            assert self.sign(signed) == 0
            assert await app.reload()
        refused, taken = [line for line in lines(signed) if line[1] in ("reload refused", "configuration loaded")]
        assert refused[1] == "reload refused"
        assert f"signed by {app.settings.signed_by[:16]}" in taken[3]

    async def test_a_gateway_does_not_start_with_it(self, signed: Any) -> None:
        signed.configure(high=50.0)
        result = await asyncio.to_thread(CliRunner().invoke, main, ["run", str(signed.file)])
        assert result.exit_code == 2
        assert f"{signed.file}:1:1: is not what was signed at" in result.output


def run(*arguments: str) -> int:
    return CliRunner().invoke(main, arguments).exit_code


async def test_what_commands_did_before_the_first_start_is_in_the_audit(site: Any) -> None:
    site.state.mkdir()
    arguments = ["user", "add", "eva", "--role", "admin", "--state-dir", str(site.state)]
    assert CliRunner().invoke(main, arguments, input=PASSWORD + "\n").exit_code == 0
    async with site.run():
        await site.until(lambda: len(lines(site)) == 2)
    assert [(line[1], line[2], line[3]) for line in lines(site)][:1] == [("account added", "eva", "admin")]
    assert not (site.state / "audit.pending").exists()


async def test_an_audit_that_cannot_be_written_does_not_stop_the_line_and_is_counted(site: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    async with site.run() as app:
        await site.until(lambda: not app.trail._waiting)
        whole = app.outbox.run

        async def refuse(operation: Any) -> Any:
            raise sqlite3.OperationalError("database or disk is full")

        monkeypatch.setattr(app.outbox, "run", refuse)
        for number in range(1500):
            app.trail.note("login", who=f"user-{number}")
        await site.until(lambda: app.trail.failing != "")
        assert app.counts.total("audit_failed") >= 1
        assert app.counts.total("audit_lost") == 500
        assert app.front.security()["audit"] == "failing"
        site.oil(75.0)
        await site.until(lambda: site.told() == ["raised"])
        monkeypatch.setattr(app.outbox, "run", whole)
        await site.until(lambda: app.trail.failing == "")
    assert len(lines(site)) == 1002
    assert verdict(site)[0] == 0


async def test_an_audit_head_that_cannot_be_read_keeps_no_gateway_from_starting(site: Any, caplog: pytest.LogCaptureFixture) -> None:
    """Root ran the gateway once, so the file is root's; a folder in its place refuses root, too."""
    (site.state / "audit.head").mkdir(parents=True)
    async with site.run() as app:
        assert app.counts.total("audit_failed") >= 1
        site.oil(75.0)
        await site.until(lambda: site.told() == ["raised"])
    assert "audit head not written" in [record.getMessage() for record in caplog.records]
    code, text = verdict(site)
    assert (code, "audit.head" in text, "Traceback" in text) == (1, True, False)


async def test_a_gateway_sees_at_its_start_that_the_end_was_cut_off(site: Any, caplog: pytest.LogCaptureFixture) -> None:
    for _ in range(2):
        async with site.run():
            pass
    with closing(sqlite3.connect(site.state / "outbox.db")) as connection:
        connection.execute("DELETE FROM audit WHERE number > 2")
        connection.commit()
    async with site.run() as app:
        assert app.trail.broken is not None
        assert "missing" in app.front.security()["audit"]
    assert any(record.message == "audit broken" for record in caplog.records)
    code, text = verdict(site)
    assert code == 1
    assert "line 4" in text
    arguments = ["audit", "accept", "--why", "the test cut it off", "--state-dir", str(site.state)]
    assert CliRunner().invoke(main, arguments).exit_code == 0
    code, text = verdict(site)
    assert (code, "accepted on" in text) == (0, True)
    async with site.run() as app:
        assert app.trail.broken is None


async def test_a_daemon_that_is_reloaded_and_stopped_leaves_a_sound_audit(site: Any, daemon: Any) -> None:
    await daemon.start()
    await site.until(lambda: daemon.said("ready") == 1, 20)
    daemon.signal(signal.SIGHUP)
    await site.until(lambda: daemon.said("reloaded") == 1)
    daemon.signal(signal.SIGTERM)
    assert await daemon.exit_code() == 0
    assert [line[:2] for line in lines(site)] == [
        ("the gateway", "gateway started"),
        ("SIGHUP", "configuration loaded"),
        ("the gateway", "gateway stopped"),
    ]
    assert verdict(site)[0] == 0
    head = json.loads((site.state / "audit.head").read_text())
    assert verdict(site)[1].startswith("sound: 3 lines")
    result = CliRunner().invoke(main, ["audit", "verify", "--contains", head["hash"], "--state-dir", str(site.state)])
    assert result.exit_code == 0
    result = CliRunner().invoke(main, ["audit", "verify", "--contains", "00", "--state-dir", str(site.state)])
    assert result.exit_code == 1


def test_a_certificate_and_a_key_that_do_not_belong_together_are_an_error_of_the_file(site: Any, tmp_path: Path) -> None:
    authority = trustme.CA()
    authority.issue_cert("a").cert_chain_pems[0].write_to_path(str(tmp_path / "page.pem"))
    (tmp_path / "secrets").mkdir()
    authority.issue_cert("b").private_key_pem.write_to_path(str(tmp_path / "secrets/page_key"))
    (tmp_path / "secrets/page_key").chmod(0o600)
    site.configure(lambda text: text.replace("page: {port: 0}", "page: {port: 0, tls: {certificate: page.pem, key: {secret: page_key}}}"))
    with pytest.raises(ConfigErrors, match=r"gateway\.page\.tls\.certificate: .* do not belong together"):
        load(site.file)
