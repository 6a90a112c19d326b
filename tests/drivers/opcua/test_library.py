"""What we use of asyncua beside its documented interface, and what we bound in it; see `session.py` and `bounds.py` if one fails."""

from __future__ import annotations

import inspect

import pytest
from asyncua import ua
from asyncua.client import ua_client
from asyncua.client.client import Client
from asyncua.client.ua_client import UaClient, UASocketProtocol
from asyncua.common.connection import TransportLimits
from asyncua.common.utils import Buffer
from asyncua.ua import ua_binary

import drivers.opcua.session  # noqa: F401  installs the bounds


def test_a_request_can_be_sent_for_the_bytes_of_its_response() -> None:
    parameters = list(inspect.signature(UaClient._send_request).parameters)
    assert parameters[:3] == ["self", "request", "timeout"]
    assert inspect.iscoroutinefunction(UaClient._send_request)
    assert bytes(Buffer(b"abcdef", 2)) == b"cdef"


def test_a_session_can_be_opened_step_by_step_without_the_tasks_of_connect() -> None:
    steps = ("connect_socket", "send_hello", "open_secure_channel", "create_session", "activate_session", "disconnect")
    assert all(inspect.iscoroutinefunction(getattr(Client, step)) for step in steps)
    assert {"username", "password"} <= set(inspect.signature(Client.activate_session).parameters)
    assert "renew" in inspect.signature(Client.open_secure_channel).parameters
    assert "create_task" not in "".join(inspect.getsource(getattr(Client, step)) for step in steps)
    assert callable(UaClient.revolve_security_token)


def test_what_passwords_are_encrypted_for_can_be_chosen() -> None:
    client = Client("opc.tcp://127.0.0.1:1")
    assert client._policy_ids == []
    assert "self._policy_ids" in inspect.getsource(Client.server_policy)


def test_the_largest_message_is_where_we_set_it() -> None:
    protocol = UASocketProtocol()
    assert protocol._connection._limits.max_message_size == 0
    assert "max_message_size" in inspect.getsource(TransportLimits.is_msg_size_within_limit)


@pytest.mark.parametrize(
    "variant",
    [
        b"\x80\xff\xff\xff\x7f",  # 2^31 times nothing
        b"\x8b\x00\x00\x00\x40" + b"\x00" * 64,  # 2^30 doubles in 64 bytes
        b"\xcb\x00\x00\x00\x00\x02\x00\x00\x00\xe8\x03\x00\x00\xe8\x03\x00\x00",  # 1,000 by 1,000 of nothing
        b"\x98\x40\x0d\x03\x00" + b"\x00" * 200_000,  # 200,000 variants that are there, of a byte each
    ],
)
def test_an_announced_length_is_not_believed(variant: bytes) -> None:
    with pytest.raises(ua.UaError):
        ua_binary.variant_from_binary(Buffer(variant))


def test_arrays_that_are_there_are_read_as_before() -> None:
    for value in ([1.5, 2.5], [[1, 2, 3], [4, 5, 6]], ["a", None], []):
        kind = ua.VariantType.String if value and isinstance(value[0], str) else ua.VariantType.Double
        sent = ua.Variant(value, kind, is_array=True)
        assert ua_binary.variant_from_binary(Buffer(ua_binary.variant_to_binary(sent))).Value == value


def test_a_chunk_of_four_gigabytes_is_not_waited_for() -> None:
    header = b"MSGF" + (2**32 - 1).to_bytes(4, "little") + (1).to_bytes(4, "little")
    with pytest.raises(ua.UaStatusCodeError):
        ua_client.header_from_binary(Buffer(header))
