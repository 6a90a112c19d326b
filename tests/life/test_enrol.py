"""The claim of a device: made once, printed for people, checked by a console."""

from __future__ import annotations

import json
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from click.testing import Result
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from gateway.life import claim as claims
from gateway.life.claim import ALPHABET, ClaimInvalid

Lineside = Callable[..., Result]
NOW = 1_800_000_000


def told(done: Result) -> Any:
    assert done.exit_code == 0, done.stderr
    return json.loads(done.stdout)


def test_a_console_accepts_the_code_as_people_type_it(gateway: Any, lineside: Lineside) -> None:
    made = told(lineside("enrol", "--config", gateway.file, "--json"))
    now = made["claim"]["issued"]
    for typed in (made["code"], made["code"].lower(), made["code"].replace("-", " "), made["code"].replace("0", "o").replace("1", "l")):
        claim = claims.verify(made["claim"], code=typed, now=now)
        assert (claim.gateway, claim.code) == ("urn:lineside:acme:dresden:press-01", made["code"])
    with pytest.raises(ClaimInvalid, match="expired; run on the device: lineside enrol --renew"):
        claims.verify(made["claim"], code=made["code"], now=now + 8 * 86_400)


def test_the_key_is_made_once_and_a_new_code_voids_the_one_before(gateway: Any, lineside: Lineside) -> None:
    first, again, renewed = (told(lineside("enrol", "--config", gateway.file, "--json", *more)) for more in ((), (), ("--renew",)))
    assert first == again
    assert renewed["claim"]["public_key"] == first["claim"]["public_key"]
    assert renewed["claim"]["device"] == first["claim"]["device"]
    with pytest.raises(ClaimInvalid, match="not that of this device's latest claim"):
        claims.verify(renewed["claim"], code=first["code"], now=NOW - 10**9)
    for name in ("device.key.pem", "device.json"):
        assert stat.S_IMODE((gateway.state / "pki" / name).stat().st_mode) == 0o600


def test_whatever_is_changed_the_signature_does_not_fit(gateway: Any, lineside: Lineside) -> None:
    made = told(lineside("enrol", "--config", gateway.file, "--json"))["claim"]
    other = claims.make(Ed25519PrivateKey.generate(), gateway="x", nonce=bytes(16), issued=1, expires=2)
    changes = {"gateway": "urn:lineside:evil:x:y", "expires": made["expires"] + 1, "issued": 0, "nonce": other.nonce}
    changes |= {"public_key": other.public_key, "device": other.device, "signature": other.signature, "format": 2}
    for name, value in changes.items():
        with pytest.raises(ClaimInvalid):
            claims.verify({**made, name: value}, code=None, now=0)
    for rubbish in (None, [], "x", {}, {**made, "public_key": "AA"}, {**made, "nonce": "§"}):
        with pytest.raises(ClaimInvalid):
            claims.verify(rubbish, code=None, now=0)


@given(st.integers(0, 15), st.sampled_from(ALPHABET), st.binary(min_size=16, max_size=16))
def test_one_mistyped_letter_and_two_swapped_ones_are_noticed(place: int, letter: str, nonce: bytes) -> None:
    claim = claims.make(KEY, gateway="", nonce=nonce, issued=0, expires=NOW)
    plain = claim.code.replace("-", "")
    if not claims.usable(claim):
        return
    assert claims.read_code(claim.code) == plain[:16]
    mistyped = plain[:place] + letter + plain[place + 1 :]
    swapped = plain[:place] + plain[place + 1 : place + 2] + plain[place] + plain[place + 2 :]
    for text in {mistyped, swapped} - {plain}:
        with pytest.raises(ClaimInvalid, match="typing error"):
            claims.read_code(text)


KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))


def test_the_example_of_the_documentation_is_right() -> None:
    page = (Path(__file__).parents[2] / "docs" / "operation.md").read_text(encoding="utf-8")
    claim = claims.make(
        KEY, gateway="urn:lineside:acme:dresden:dresden-press-01", nonce=bytes(range(16)), issued=NOW, expires=NOW + 604_800
    )
    assert claim.code in page
    assert claim.device in page
    assert claim.signature in page


def test_at_the_first_boot_no_configuration_is_needed(lineside: Lineside, tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    made = told(lineside("enrol", "--config", tmp_path / "missing.yaml", "--state-dir", state, "--json"))
    assert made["claim"]["gateway"] == ""


@pytest.mark.parametrize("more", [(), ("--show",)])
def test_a_folder_that_is_not_there_is_not_made(lineside: Lineside, tmp_path: Path, more: tuple[str, ...]) -> None:
    done = lineside("enrol", "--config", tmp_path / "missing.yaml", "--state-dir", tmp_path / "stat", *more)
    assert (done.exit_code, done.stdout, len(done.stderr.splitlines())) == (2, "", 1)
    assert f"there is no state folder {tmp_path / 'stat'}" in done.stderr
    assert not (tmp_path / "stat").exists()


def test_show_makes_nothing_and_says_when_it_is_over(gateway: Any, lineside: Lineside, monkeypatch: pytest.MonkeyPatch) -> None:
    done = lineside("enrol", "--config", gateway.file, "--show")
    assert (done.exit_code, "no claim yet" in done.stderr) == (1, True)
    assert not (gateway.state / "pki" / "device.json").exists()
    printed = lineside("enrol", "--config", gateway.file).stdout
    assert lineside("enrol", "--config", gateway.file, "--show").stdout == printed
    monkeypatch.setattr("gateway.commands.enrol.time.time", lambda: 4e9)
    done = lineside("enrol", "--config", gateway.file, "--show")
    assert (done.exit_code, "has expired" in done.stderr) == (1, True)
    assert lineside("enrol", "--config", gateway.file).exit_code == 0


def test_who_made_a_claim_stands_in_the_audit(gateway: Any, lineside: Lineside, monkeypatch: pytest.MonkeyPatch) -> None:
    """It voids the code of before."""
    monkeypatch.setenv("SUDO_USER", "anna")
    made = [told(lineside("enrol", "--config", gateway.file, "--json", *more))["claim"] for more in ((), (), ("--show",), ("--renew",))]
    lines = [json.loads(line) for line in lineside("audit", "list", "--json", "--state-dir", gateway.state).stdout.splitlines()]
    claims_made = [(line["who"], line["name"]) for line in lines if line["what"] == "claim made"]
    assert claims_made == [("anna (command)", made[0]["device"])] * 2
    assert made[3]["nonce"] not in str(lines)


def test_a_key_that_was_deleted_takes_its_claim_along(gateway: Any, lineside: Lineside) -> None:
    """As the command itself advises where it is lost: the device gets a new identity."""
    first = told(lineside("enrol", "--config", gateway.file, "--json"))
    (gateway.state / "pki" / "device.key.pem").unlink()
    done = lineside("enrol", "--config", gateway.file, "--show")
    assert (done.exit_code, "no claim yet" in done.stderr) == (1, True)
    second = told(lineside("enrol", "--config", gateway.file, "--json"))
    assert second["claim"]["device"] != first["claim"]["device"]
    assert told(lineside("enrol", "--config", gateway.file, "--show", "--json")) == second


def test_a_damaged_key_is_not_replaced_in_silence(gateway: Any, lineside: Lineside) -> None:
    gateway.put(gateway.state / "pki" / "device.key.pem", b"rubbish")
    done = lineside("enrol", "--config", gateway.file)
    assert (done.exit_code, "delete it" in done.stderr) == (2, True)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [(("--config", "missing.yaml"), "there is no file missing.yaml"), (("--show", "--renew"), "not both"), (("--days", "0"), "--days")],
)
def test_wrong_input(lineside: Lineside, arguments: tuple[str, ...], said: str) -> None:
    done = lineside("enrol", *arguments)
    assert (done.exit_code, said in done.stderr) == (2, True)
