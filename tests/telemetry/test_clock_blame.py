"""While the gateway's own clock is not trusted, a certificate that seems too young or too old says nothing of the peer."""

from __future__ import annotations

import logging
import ssl

import pytest

from gateway.contract import NotConnected
from gateway.outbox.breaker import Breaker
from gateway.telemetry.status import CLOCK_RETRY_SECONDS, Status, judged_by_date
from gateway.testkit.clock import FakeClock
from gateway.testkit.sending import Bench, Receiver


def of_tls(code: int, words: str) -> NotConnected:
    """As an uplink raises it: the cause is Python's own."""
    cause = ssl.SSLCertVerificationError(1, f"certificate verify failed: {words}")
    cause.verify_code, cause.verify_message = code, words
    error = NotConnected("crm.example", f"its certificate is refused: {words}")
    error.__cause__ = OSError("while connecting")
    error.__cause__.__cause__ = cause
    return error


DATED = [
    of_tls(9, "certificate is not yet valid"),
    of_tls(10, "certificate has expired"),
    NotConnected("opc.tcp://plc", "the server's certificate is valid from 2026-01-01 on"),
    NotConnected("opc.tcp://plc", "the server's certificate ended on 2026-01-01"),
    NotConnected("opc.tcp://plc", "the server refuses us (BadCertificateTimeInvalid)"),
]
OTHERS = [
    of_tls(20, "unable to get local issuer certificate"),
    of_tls(62, "Hostname mismatch, certificate is not valid for 'crm'"),
    NotConnected("crm.example", "the token endpoint refuses the login (401: token has expired)"),
    NotConnected("crm.example", "connection refused"),
]


@pytest.mark.parametrize("error", DATED, ids=str)
def test_what_only_a_date_is_held_against_is_the_clocks_affair(error: NotConnected, caplog: pytest.LogCaptureFixture) -> None:
    status = Status(FakeClock())
    link = status.add("destination", "crm")
    status.doubted = lambda: True
    with caplog.at_level(logging.WARNING, "lineside"):
        status.down(link, error, CLOCK_RETRY_SECONDS)
    assert link.why == f"clock not trusted yet ({error.why})"
    assert caplog.records[0].levelno == logging.WARNING
    status.doubted = lambda: False
    status.down(link, error, 1.0)
    assert link.why == error.why, "with a clock that is right, it is the certificate"


@pytest.mark.parametrize("error", OTHERS, ids=str)
def test_anything_else_is_the_peers(error: NotConnected) -> None:
    assert not judged_by_date(error)


class Dated(Receiver):
    """Its certificate has a date, and the gateway's clock is right after a while."""

    def __init__(self) -> None:
        super().__init__()
        self.right = False
        self.tried = 0

    async def connect(self) -> None:
        self.tried += 1
        if not self.right:
            raise of_tls(9, "certificate is not yet valid")
        await super().connect()


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


async def test_a_sender_waits_for_the_clock_and_its_breaker_counts_nothing(tmp_path: object, clock: FakeClock) -> None:
    from pathlib import Path

    from gateway.outbox.store import Outbox

    outbox = Outbox(Path(str(tmp_path)), clock)
    outbox.open()
    bench, receiver = Bench(outbox, clock), Dated()
    bench.status.doubted = lambda: not receiver.right
    with bench.loading:
        await bench.append(1, 2, 3)
        async with bench.sending("crm", receiver) as sender:
            await bench.until(lambda: receiver.tried >= 8, tick=0.5)
            assert receiver.tried <= clock.monotonic() / CLOCK_RETRY_SECONDS + 2, "no hot loop"
            assert sender.breaker.state == "closed"
            assert sender.breaker.memory() == Breaker(clock).memory()
            assert bench.status.links["destination", "crm"].why.startswith("clock not trusted yet")
            receiver.right, now = True, clock.monotonic()
            await bench.until(lambda: len(receiver.got) == 3, tick=0.5)
            assert clock.monotonic() - now <= CLOCK_RETRY_SECONDS + 1
    await outbox.close()
