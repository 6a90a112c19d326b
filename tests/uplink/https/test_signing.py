"""Signatures, against the implementation of the standard's authors and against cryptography."""

from __future__ import annotations

import base64
import time

import pytest
import standardwebhooks
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from gateway.contract import NotConnected
from gateway.testkit.clock import FakeClock
from gateway.testkit.posting import Bench, incident, kinds
from gateway.testkit.servers.crm import Site, WebhookInbox
from gateway.uplink.https.signing import BadSecret, headers, signer


def whsec(letter: str = "k", length: int = 32) -> str:
    return "whsec_" + base64.b64encode(letter.encode() * length).decode()


@given(st.text(st.characters(codec="utf-8"), max_size=200), st.text("abcdefghij-0123456789.", min_size=1, max_size=40))
def test_the_other_implementation_verifies_ours(body: str, id_: str) -> None:
    made = headers(id_, int(time.time()), body.encode(), [signer(whsec())])
    standardwebhooks.Webhook(whsec()).verify(body, made, json_parse=False)
    assert "." not in made["webhook-id"]


def test_while_a_secret_is_changed_both_verify() -> None:
    made = headers("ev-1", int(time.time()), b"{}", [signer(whsec("a")), signer(whsec("b"))])
    for letter in "ab":
        standardwebhooks.Webhook(whsec(letter)).verify("{}", made)
    with pytest.raises(standardwebhooks.WebhookVerificationError):
        standardwebhooks.Webhook(whsec("c")).verify("{}", made)


@pytest.mark.parametrize("with_public", [True, False])
def test_ed25519_is_verified_by_the_public_key(with_public: bool) -> None:
    key = Ed25519PrivateKey.generate()
    public = key.public_key()
    secret = key.private_bytes_raw() + (public.public_bytes_raw() if with_public else b"")
    made = headers("ev-1", 17, b'{"a":1}', [signer("whsk_" + base64.b64encode(secret).decode())])
    version, signature = made["webhook-signature"].split(",")
    assert version == "v1a"
    public.verify(base64.b64decode(signature), b'ev-1.17.{"a":1}')


@pytest.mark.parametrize(
    ("secret", "words"),
    [
        ("hunter2", "begins neither"),
        ("whpk_AAAA", "begins neither"),
        ("whsec_%%%", "not followed by base64"),
        ("whsec_AAAA", "holds 3 bytes; 24 to 64"),
        ("whsk_AAAA", "holds 3 bytes; 32 or 64"),
    ],
)
async def test_secret_that_cannot_sign_is_told_when_connecting(bench: Bench, secret: str, words: str) -> None:
    with pytest.raises(BadSecret, match=words):
        signer(secret)
    bench.secrets["crm"] = secret
    async with Site() as site:
        with pytest.raises(NotConnected, match=f"secret crm .*{words}") as refused:
            await bench.uplink(site.url, preset="webhook", auth={"secrets": [{"secret": "crm"}]})
    assert secret not in str(refused.value)


async def test_every_attempt_has_its_own_time_and_the_same_id(bench: Bench) -> None:
    bench.secrets["crm"] = whsec()
    async with WebhookInbox(whsec(), now=time.time()) as inbox:
        uplink = await bench.uplink(inbox.url, preset="webhook", auth={"secrets": [{"secret": "crm"}]})
        assert kinds(await uplink.send([incident(1)])) == ["sent"]
        assert kinds(await uplink.send([incident(1)])) == ["sent"]
        assert (list(inbox.accepted), inbox.repeats) == (["inc-1-raised"], 1)
        assert abs(int(inbox.seen[0].headers["webhook-timestamp"]) - time.time()) < 60


async def test_request_of_many_is_signed_over_all_of_them(bench: Bench) -> None:
    bench.secrets["crm"] = whsec()
    async with WebhookInbox(whsec()) as inbox:
        uplink = await bench.uplink(
            inbox.url,
            body={"form": "array", "item": {"id": "{{ id }}"}},
            auth={"kind": "standard_webhooks", "secrets": [{"secret": "crm"}]},
        )
        assert kinds(await uplink.send([incident(1), incident(2)])) == ["sent", "sent"]
        await uplink.send([incident(1), incident(2)])
        await uplink.send([incident(2), incident(1)])
        assert len(inbox.accepted) == 2
        assert inbox.repeats == 1


@pytest.mark.parametrize("behind", [3600.0, -86_400.0])
async def test_a_signature_that_is_refused_for_its_time_has_the_receivers(bench: Bench, behind: float) -> None:
    """A gateway without a battery, before its time server answers: its login was refused, or each of its events."""
    bench.secrets["crm"] = whsec()
    bench.clock = FakeClock(start_ns=int((time.time() - behind) * 1e9))
    async with WebhookInbox(whsec(), now=time.time()) as inbox:
        uplink = await bench.uplink(inbox.url, preset="webhook", auth={"secrets": [{"secret": "crm"}]})
        assert kinds(await uplink.send([incident(1)])) == ["sent"]
        assert kinds(await uplink.send([incident(2)])) == ["sent"]
        assert (list(inbox.accepted), len(inbox.seen)) == (["inc-1-raised", "inc-2-raised"], 3)


async def test_a_signature_that_is_refused_for_another_reason_goes_once(bench: Bench) -> None:
    bench.secrets["crm"] = whsec("a")
    async with WebhookInbox(whsec("b"), now=time.time()) as inbox:
        uplink = await bench.uplink(inbox.url, preset="webhook", auth={"secrets": [{"secret": "crm"}]})
        assert kinds(await uplink.send([incident(1)])) == ["hold"]
        assert len(inbox.seen) == 1
