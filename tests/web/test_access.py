"""Who may do what: every role at every route, sessions, tokens, requests of other sites."""

from __future__ import annotations

from typing import Any

import aiohttp
import pytest

from gateway.accounts.roles import Role
from gateway.web.access import NEEDS, PUBLIC

READS = ["/", "/api/me", "/api/status", "/api/machines", "/api/history?machine=press-07", "/api/spectra", "/api/incidents"]
READS += ["/api/incidents/inc-aaaaaaaaaaaaaaaa", "/api/watches/oil", "/metrics", "/registry"]
CHANGES: dict[tuple[str, str], tuple[str, Any]] = {
    ("POST", "/api/logout"): ("/api/logout", None),
    ("POST", "/api/shelves"): ("/api/shelves", {"machine": "press-07", "condition": "oil_*", "for": "8h", "why": "pump is replaced"}),
    ("DELETE", "/api/shelves/{number}"): ("/api/shelves/7", None),
    ("POST", "/api/reload"): ("/api/reload", None),
    ("GET", "/api/audit"): ("/api/audit", None),
    ("GET", "/api/accounts"): ("/api/accounts", None),
    ("POST", "/api/accounts/{name}/lock"): ("/api/accounts/operator/lock", None),
    ("POST", "/api/accounts/{name}/unlock"): ("/api/accounts/operator/unlock", None),
}


def own(guarded: Any, **more: str) -> dict[str, str]:
    """What a browser says of a request of our own page."""
    return {"Origin": guarded.url, "Sec-Fetch-Site": "same-origin", "Content-Type": "application/json", **more}


def test_every_route_with_a_role_of_its_own_is_tried() -> None:
    assert CHANGES.keys() == NEEDS.keys()


@pytest.mark.parametrize("role", list(Role))
@pytest.mark.parametrize("route", NEEDS)
async def test_every_role_at_every_route(guarded: Any, stranger: aiohttp.ClientSession, role: Role, route: tuple[str, str]) -> None:
    path, body = CHANGES[route]
    by_token = {"Authorization": f"Bearer token-{role.word}"}
    async with stranger.request(route[0], path, json=body, headers=by_token) as reply:
        assert (reply.status != 403) == (role >= NEEDS[route])
        assert reply.status < 500
    async with stranger.request(route[0], path, json=body, headers=own(guarded), cookies=guarded.cookie(role.word)) as reply:
        assert (reply.status != 403) == (role >= NEEDS[route]), await reply.text()


@pytest.mark.parametrize("path", READS)
async def test_every_role_reads_and_a_stranger_does_not(guarded: Any, stranger: aiohttp.ClientSession, path: str) -> None:
    for role in Role:
        async with stranger.get(path, cookies=guarded.cookie(role.word)) as reply:
            assert reply.status == 200
    async with stranger.get(path, allow_redirects=False) as reply:
        assert reply.status == (302 if path == "/" else 401)
        assert path != "/" or reply.headers["Location"] == "/login"


@pytest.mark.parametrize(("method", "path"), [(m, p.replace("{number}", "1").replace("{name}", "eva")) for m, p in NEEDS] + [("GET", "/x")])
async def test_a_stranger_changes_nothing_and_learns_nothing(guarded: Any, stranger: aiohttp.ClientSession, method: str, path: str) -> None:
    async with stranger.request(method, path, headers=own(guarded)) as reply:
        assert (reply.status, await reply.json()) == (401, {"error": "log in"})
    assert guarded.hands.asked == []


async def test_what_is_public_says_nothing_of_the_plant(guarded: Any, stranger: aiohttp.ClientSession) -> None:
    assert {"/login", "/api/login", "/api/notice", "/healthz", "/static", "/.well-known/security.txt", "/ingest/{source}"} == PUBLIC
    async with stranger.get("/healthz") as reply:
        assert (reply.status, await reply.json()) == (200, {"healthy": True})
    async with stranger.get("/login") as reply:
        assert reply.status == 200
        assert "dresden" not in await reply.text()
    async with stranger.get("/api/notice") as reply:
        assert await reply.json() == {"banner": "", "needed": True}
    async with stranger.get("/.well-known/security.txt") as reply:
        assert await reply.text() == "Contact: x"
    async with stranger.get("/healthz", headers={"Authorization": "Bearer token-viewer"}) as reply:
        assert (await reply.json())["pipeline"] == "moving"


@pytest.mark.parametrize(
    "path", ["/static/../view.py", "/static/%2e%2e/server.py", "/static/..%2f..%2faccounts.json", "/static//etc/passwd"]
)
async def test_no_path_leads_out_of_the_static_files(guarded: Any, stranger: aiohttp.ClientSession, path: str) -> None:
    async with stranger.get(aiohttp.client.URL(guarded.url + path, encoded=True)) as reply:
        assert reply.status in {401, 403, 404}
        assert "error" in await reply.json()


class TestRequestsOfOtherSites:
    @pytest.mark.parametrize(
        "headers",
        [
            {"Origin": "https://evil.example"},
            {"Origin": "null"},
            {"Sec-Fetch-Site": "cross-site"},
            {"Sec-Fetch-Site": "same-site"},
            {"Sec-Fetch-Site": "none"},
            {"Content-Type": "text/plain"},
            {"Content-Type": "application/x-www-form-urlencoded"},
        ],
        ids=str,
    )
    @pytest.mark.parametrize("path", ["/api/login", "/api/logout", "/api/reload"])
    async def test_are_refused_although_the_cookie_is_there(
        self, guarded: Any, stranger: aiohttp.ClientSession, headers: dict[str, str], path: str
    ) -> None:
        async with stranger.post(path, data=b"{}", headers=own(guarded) | headers, cookies=guarded.cookie("admin")) as reply:
            assert (reply.status, (await reply.json())["error"]) == (403, "this was not sent by our own page")
        assert guarded.hands.asked == []

    async def test_also_without_a_word_of_where_they_come_from(self, guarded: Any, stranger: aiohttp.ClientSession) -> None:
        async with stranger.post("/api/reload", cookies=guarded.cookie("admin")) as reply:
            assert reply.status == 403

    async def test_an_origin_alone_is_enough_where_a_browser_says_no_more(self, guarded: Any, stranger: aiohttp.ClientSession) -> None:
        async with stranger.post("/api/reload", headers={"Origin": guarded.url}, cookies=guarded.cookie("engineer")) as reply:
            assert reply.status == 202
        assert guarded.hands.asked == [("reload", "engineer (page)")]


class TestSessions:
    async def test_one_that_nobody_uses_is_locked_however_often_the_page_asks(self, guarded: Any, stranger: aiohttp.ClientSession) -> None:
        cookie = guarded.cookie("operator")
        for _ in range(4):
            await guarded.clock.advance(300)
            async with stranger.get("/api/status", cookies=cookie) as reply:
                status, said = reply.status, await reply.json()
        assert (status, said) == (401, {"error": "log in", "ended": "idle"})
        async with stranger.get("/", cookies=cookie, allow_redirects=False) as reply:
            assert reply.headers["Location"] == "/login?why=idle"

    async def test_one_that_somebody_touches_goes_on_until_its_longest(self, guarded: Any, stranger: aiohttp.ClientSession) -> None:
        cookie, touched = guarded.cookie("operator"), {"X-Lineside-Active": "1"}
        for _ in range(60):
            await guarded.clock.advance(660)
            async with stranger.get("/api/me", cookies=cookie, headers=touched) as reply:
                assert reply.status == 200
        await guarded.clock.advance(660)
        async with stranger.get("/api/me", cookies=cookie, headers=touched) as reply:
            assert (await reply.json())["ended"] == "limit"

    async def test_a_viewers_screen_may_stay_longer(self, guarded: Any, stranger: aiohttp.ClientSession) -> None:
        cookie = guarded.cookie("viewer")
        await guarded.clock.advance(8000)
        async with stranger.get("/api/status", cookies=cookie) as reply:
            assert reply.status == 200
        await guarded.clock.advance(8000)
        async with stranger.get("/api/status", cookies=cookie) as reply:
            assert reply.status == 401

    @pytest.mark.parametrize(
        "change", [{"role": "viewer"}, {"password": "scrypt$new"}, {"locked": True}], ids=lambda change: next(iter(change))
    )
    async def test_a_changed_account_ends_it(self, guarded: Any, stranger: aiohttp.ClientSession, change: dict[str, Any]) -> None:
        cookie = guarded.cookie("admin")
        guarded.change("admin", **change)
        async with stranger.get("/api/accounts", cookies=cookie) as reply:
            assert (reply.status, (await reply.json())["ended"]) == (401, "account")

    async def test_a_cookie_that_was_guessed_is_nobodys(self, stranger: aiohttp.ClientSession, guarded: Any) -> None:
        (name,) = guarded.cookie("admin")
        for value in ("", "x", "A" * 43, "\u00e9"):
            async with stranger.get("/api/me", cookies={name: value}) as reply:
                assert reply.status == 401

    def test_their_number_is_bounded(self, guarded: Any) -> None:
        for _ in range(20):
            guarded.cookie("viewer")
        assert len(guarded.sessions) == 8
        for number in range(200):
            guarded.sessions.begin(f"user-{number}", guarded.accounts.accounts.users["viewer"])
        assert len(guarded.sessions) == 64

    async def test_those_that_have_ended_make_room_before_one_that_holds(self, guarded: Any, stranger: aiohttp.ClientSession) -> None:
        wall = guarded.cookie("viewer")
        for _ in range(8):  # the same account, in the office for a moment each day
            guarded.cookie("viewer")
            await guarded.clock.advance(4000)
            async with stranger.get("/api/me", cookies=wall, headers={"X-Lineside-Active": "1"}) as reply:
                assert reply.status == 200
            guarded.sessions.sweep(guarded.accounts.accounts.users)

    async def test_what_has_ended_is_told_once(self, guarded: Any, stranger: aiohttp.ClientSession) -> None:
        cookie = guarded.cookie("admin")
        await guarded.clock.advance(1000)
        async with stranger.get("/api/me", cookies=cookie) as reply:
            assert reply.status == 401
        ended = guarded.sessions.sweep(guarded.accounts.accounts.users)
        assert [(session.user, session.ended) for session in ended] == [("admin", "idle")]
        assert guarded.sessions.sweep(guarded.accounts.accounts.users) == []


class TestTokens:
    async def test_one_whose_time_is_over_lets_nobody_in(self, guarded: Any, stranger: aiohttp.ClientSession) -> None:
        token = guarded.accounts.accounts.tokens["viewer"]
        guarded.accounts.accounts.tokens["viewer"] = type(token)(
            role="viewer", digest=token.digest, until=guarded.clock.now_ns() / 1e9 + 60
        )
        by_token = {"Authorization": "Bearer token-viewer"}
        async with stranger.get("/metrics", headers=by_token) as reply:
            assert reply.status == 200
        await guarded.clock.advance(61)
        async with stranger.get("/metrics", headers=by_token) as reply:
            assert (reply.status, reply.headers["WWW-Authenticate"]) == (401, "Bearer")

    async def test_a_wrong_one_is_not_helped_by_a_cookie(self, guarded: Any, stranger: aiohttp.ClientSession) -> None:
        async with stranger.get("/api/me", headers={"Authorization": "Bearer guess"}, cookies=guarded.cookie("admin")) as reply:
            assert reply.status == 401


class TestChanges:
    async def test_who_shelves_is_known(self, guarded: Any, stranger: aiohttp.ClientSession) -> None:
        _, body = CHANGES["POST", "/api/shelves"]
        async with stranger.post("/api/shelves", json=body, headers=own(guarded), cookies=guarded.cookie("operator")) as reply:
            assert (reply.status, await reply.json()) == (201, {"id": 7, "until": 1.0})
        assert guarded.hands.asked == [("shelve", "press-07/oil_*", "8h", "pump is replaced", False, "operator (page)")]

    @pytest.mark.parametrize("body", ["", "[]", '{"machine": 1}', '{"machine": "a", "condition": "b", "for": "9d", "why": "c"}', "\udcff"])
    async def test_nonsense_is_refused(self, guarded: Any, stranger: aiohttp.ClientSession, body: str) -> None:
        given = body.encode("utf-8", "surrogateescape")
        async with stranger.post("/api/shelves", data=given, headers=own(guarded), cookies=guarded.cookie("operator")) as reply:
            assert reply.status == 400

    async def test_a_large_body_is_not_read(self, guarded: Any, stranger: aiohttp.ClientSession) -> None:
        async with stranger.post("/api/shelves", data=b"x" * 100_000, headers=own(guarded), cookies=guarded.cookie("operator")) as reply:
            assert reply.status == 413

    async def test_an_admin_locks_others_but_not_themselves(self, guarded: Any, stranger: aiohttp.ClientSession) -> None:
        cookie, theirs = guarded.cookie("admin"), guarded.cookie("operator")
        async with stranger.post("/api/accounts/operator/lock", headers=own(guarded), cookies=cookie) as reply:
            assert reply.status == 200
        async with stranger.get("/api/me", cookies=theirs) as reply:
            assert reply.status == 401
        async with stranger.post("/api/accounts/admin/lock", headers=own(guarded), cookies=cookie) as reply:
            assert reply.status == 400
        async with stranger.get("/api/accounts", cookies=cookie) as reply:
            text = await reply.text()
        assert '"name":"operator","role":"operator","locked":true' in text
        assert "scrypt" not in text
        assert ("account locked", "admin (page)", "operator", "") in guarded.notes

    async def test_nobody_pushes_the_audit_out_by_changing_something_again_and_again(
        self, guarded: Any, stranger: aiohttp.ClientSession
    ) -> None:
        by_token, said = {"Authorization": "Bearer token-engineer"}, []
        for _ in range(62):
            async with stranger.post("/api/reload", headers=by_token) as reply:
                said.append(reply.status)
        assert said == [202] * 60 + [429] * 2
        assert 1 <= int(reply.headers["Retry-After"]) <= 61
        assert len(guarded.hands.asked) == 60
        async with stranger.delete("/api/shelves/7", headers={"Authorization": "Bearer token-operator"}) as reply:
            assert reply.status == 200

    async def test_a_token_of_the_same_name_is_somebody_else(self, guarded: Any, stranger: aiohttp.ClientSession) -> None:
        async with stranger.post("/api/accounts/admin/lock", headers={"Authorization": "Bearer token-admin"}) as reply:
            assert reply.status == 200
        assert guarded.accounts.accounts.users["admin"].locked

    @pytest.mark.parametrize("limit", ["", "0", "1001", "٣", "1.0", "-1", "NaN"])
    async def test_a_limit_is_a_number_in_plain_digits(self, guarded: Any, stranger: aiohttp.ClientSession, limit: str) -> None:
        async with stranger.get("/api/audit", params={"limit": limit}, cookies=guarded.cookie("engineer")) as reply:
            assert reply.status == 400


async def test_without_an_account_everybody_here_reads_and_nobody_changes(guarded: Any, stranger: aiohttp.ClientSession) -> None:
    guarded.forget_all()
    async with stranger.get("/api/me") as reply:
        assert await reply.json() == {"name": "", "role": "viewer", "kind": "nobody"}
    async with stranger.get("/healthz") as reply:
        assert (await reply.json())["pipeline"] == "moving"
    for (method, route), least in NEEDS.items():
        path, body = CHANGES[method, route]
        async with stranger.request(method, path, json=body, headers=own(guarded)) as reply:
            assert (reply.status == 403) == (least > Role.VIEWER)
            assert reply.status != 403 or "lineside user add" in (await reply.json())["error"]
    assert guarded.hands.asked == []


async def test_accounts_that_cannot_be_read_let_nobody_in(guarded: Any, stranger: aiohttp.ClientSession) -> None:
    guarded.forget_all()
    (guarded.folder / "accounts.json").write_text("{broken")
    guarded.accounts.look()
    async with stranger.get("/api/status") as reply:
        assert reply.status == 401
    assert "damaged" in guarded.accounts.problem
