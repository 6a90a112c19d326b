"""Options that cannot work are refused."""

from __future__ import annotations

import json
from typing import Any

import pytest
from pydantic import ValidationError

from gateway.config.secrets import references
from gateway.uplink.https import presets
from gateway.uplink.https.config import HttpsOptions

ALSO = {"types": ["x"], "item": {}}
BEARER = {"kind": "bearer", "token": {"secret": "b"}}
LOGIN = {"username": "u", "password": {"secret": "c"}}
SIGNED = {"secrets": [{"secret": "a"}]}
OAUTH: dict[str, Any] = {"kind": "oauth2_client_credentials", "client_id": "edge", "client_secret": {"secret": "a"}}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"https": "ftp://crm.example.com/"}, "write https://host/path"),
        ({"https": "crm.example.com/events"}, "write https://host/path"),
        ({"https": "https:///events"}, "write https://host/path"),
        ({"https": "https://edge:pw@crm.example.com/"}, "no user or password in the address"),
        ({"https": "https://crm.example.com:99999/"}, "names no host and port"),
        ({"https": "https://crm.example.com:84y3/"}, "names no host and port"),
        ({"https": "https://crm..example.com/"}, "names no host and port"),
        ({"https": "https://crm.example.com/", "proxy": "http://proxy:99999"}, "names no host and port"),
        ({"https": "https://crm.example.com/", "proxy": {"url": "http://p:1", **LOGIN, "username": "a:b"}}, "no colon"),
        ({"https": "https://crm.example.com/", "auth": {"kind": "basic", **LOGIN, "username": "a:b"}}, "no colon"),
        ({"https": "http://crm.example.com/events"}, "not encrypted"),
        ({"https": "http://10.0.0.5/events"}, "not encrypted"),
        ({"https": "https://crm.example.com/", "mode": "text"}, "mode must be one of structured, binary, batch"),
        ({"https": "https://crm.example.com/", "concurrency": 0}, "greater than or equal to 1"),
        ({"https": "https://crm.example.com/", "token": "abc"}, "token"),
        ({"https": "https://crm.example.com/", "tokn": {"secret": "a"}}, "Extra inputs"),
        ({"https": "https://crm.example.com/", "preset": "sap"}, "there is no preset 'sap'; there are cloudevents"),
        ({"https": "https://crm.example.com/", "preset": "webhook", "mode": "x", "auth": SIGNED}, "preset webhook has no modes"),
        ({"https": "https://crm.example.com/", "path": "x"}, "path begins with /"),
        ({"https": "https://crm.example.com/", "path": "/{{ vars.x }}"}, "vars has no x; there are: none"),
        ({"https": "https://crm.example.com/", "headers": {"Authorization": "Bearer x"}}, "write it under auth"),
        ({"https": "https://crm.example.com/", "headers": {"A B": "x"}}, "is no name of a header"),
        ({"https": "https://crm.example.com/", "headers": {"A": "x\ny"}}, "a header is one line"),
        ({"https": "https://crm.example.com/", "body": {"form": "array-in"}}, "needs body.path"),
        ({"https": "https://crm.example.com/", "body": {"form": "array-in", "path": "a[0]"}}, "needs body.path"),
        ({"https": "https://crm.example.com/", "body": {"form": "array", "path": "a"}}, "are for form array-in"),
        ({"https": "https://crm.example.com/", "body": {"item": {"a": 1}}}, "sends the CloudEvent as it is"),
        (
            {"https": "https://crm.example.com/", "body": {"form": "array", "also": [{"types": ["x"], "item": {}}]}},
            "body.item, which is missing",
        ),
        ({"https": "https://crm.example.com/", "body": {"form": "array", "item": {"a": "{{ idd }}"}}}, "did you mean 'id'"),
        ({"https": "https://crm.example.com/", "body": {"form": "array", "item": {}, "coalesce": True}}, "coalesce needs body.key"),
        ({"https": "https://crm.example.com/", "result": {"per_item": {"ok": "a == 1"}}}, "is for forms of many events"),
        ({"https": "https://crm.example.com/", "result": {"per_item": {"path": "$"}}}, "needs `ok`, or `id`"),
        ({"https": "https://crm.example.com/", "result": {"ok": "success"}}, "is no condition"),
        ({"https": "https://crm.example.com/", "result": {"quota": [{"hold": "1h"}]}}, "give a status, a code, or both"),
        ({"https": "https://crm.example.com/", "result": {"usage": {"header": "x", "regex": "("}}}, "is no regular expression"),
        ({"https": "https://crm.example.com/", "result": {"usage": {"header": "x", "regex": "a"}}}, "needs two groups"),
        ({"https": "https://crm.example.com/", "auth": {"kind": "basic"}}, "needs password, username"),
        ({"https": "https://crm.example.com/", "auth": {"kind": "none", "token": {"secret": "a"}}}, "takes no token"),
        ({"https": "https://crm.example.com/", "auth": {"kind": "mtls"}}, "needs tls.client_cert"),
        ({"https": "https://crm.example.com/", "auth": OAUTH | {"token_url": "http://login.example.com/"}}, "not encrypted"),
        (
            {"https": "https://crm.example.com/", "token": {"secret": "a"}, "auth": {"kind": "bearer", "token": {"secret": "b"}}},
            "give one of them",
        ),
        ({"https": "https://crm.example.com/", "ca": "a", "tls": {"ca": "b"}}, "give one of them"),
        ({"https": "https://crm.example.com/", "tls": {"client_cert": "a"}}, "go together"),
        ({"https": "https://crm.example.com/", "proxy": "http://u:p@proxy:3128"}, "should match pattern"),
        ({"https": "https://crm.example.com/", "proxy": {"url": "http://proxy:3128", "username": "u"}}, "go together"),
        ({"https": "https://crm.example.com/", "checks": [{"name": "a", "get": "/{{ id }}", "remedy": "x"}]}, "only vars"),
    ],
)
def test_options_that_cannot_work_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        HttpsOptions.model_validate(options)


@pytest.mark.parametrize("address", ["https://crm.example.com/events", "http://localhost:8080/", "http://127.0.0.1/x", "http://[::1]:80/x"])
def test_addresses_that_are_encrypted_or_of_this_machine_are_taken(address: str) -> None:
    assert HttpsOptions.model_validate({"https": address}).https == address


def made(**options: Any) -> HttpsOptions:
    return HttpsOptions.model_validate({"https": "https://crm.example.com/", **options})


def test_token_is_short_for_bearer() -> None:
    assert made(token={"secret": "a"}).auth == made(auth={"kind": "bearer", "token": {"secret": "a"}}).auth


@pytest.mark.parametrize(("mode", "form"), [(None, "structured"), ("structured", "structured"), ("binary", "binary"), ("batch", "batch")])
def test_mode_is_short_for_the_forms_of_cloudevents(mode: str | None, form: str) -> None:
    assert made(mode=mode).body.form == f"cloudevents-{form}"


def test_what_the_user_writes_goes_before_the_preset() -> None:
    sap = {"preset": "servicenow", "auth": {"username": "edge", "password": {"secret": "a"}}}
    item = {"node": "press", "resource": None, "more": "{{ id }}"}
    options = made(**sap, body={"item": item, "max_items": 7}, result={"retryable_status": [500]}, headers={"X-A": "1"})
    assert options.body.item is not None
    assert options.body.item["node"] == "press"
    assert "resource" not in options.body.item
    assert options.body.item["message_key"]
    assert (options.body.form, options.body.max_items, options.result.retryable_status) == ("array-in", 7, [500])
    assert options.headers == {"Accept": "application/json", "X-A": "1"}


def test_another_kind_of_login_takes_nothing_of_the_presets() -> None:
    options = made(preset="eventgrid", auth={"kind": "bearer", "token": {"secret": "a"}})
    assert (options.auth.kind, options.auth.header) == ("bearer", None)


def test_another_form_takes_nothing_of_the_presets_body() -> None:
    options = made(preset="hubspot", token={"secret": "a"}, body={"form": "ndjson"}, result={"per_item": None})
    assert (options.body.form, options.body.item, options.body.key) == ("ndjson", None, None)
    assert options.result.per_item is None


def test_preset_is_not_changed_by_its_use() -> None:
    before = json.dumps(presets.read("hubspot"))
    made(preset="hubspot", token={"secret": "a"}, vars={"object": "deals"}, body={"item": {"properties": {"x": 1}}})
    assert json.dumps(presets.read("hubspot")) == before


def test_every_secret_of_the_options_is_looked_for_before_anything_starts() -> None:
    tls = {"client_cert": "edge.pem", "client_key": {"secret": "key"}}
    options = made(auth=OAUTH | {"token_url": "/token"}, tls=tls, proxy={"url": "http://p:1", **LOGIN})
    assert {ref.secret for _, ref in references(options)} == {"a", "c", "key"}
