"""Publish responses, read from bytes."""

from __future__ import annotations

from contextlib import suppress

import pytest
from asyncua import ua
from asyncua.ua import uaerrors
from asyncua.ua.ua_binary import struct_to_binary
from hypothesis import given
from hypothesis import strategies as st

from drivers.opcua.decode import decode
from drivers.opcua.publish import parse


def _response(*notifications: object, result: int = 0) -> bytes:
    response = ua.PublishResponse()
    response.ResponseHeader.ServiceResult = ua.StatusCode(result)
    response.Parameters.SubscriptionId = 42
    response.Parameters.AvailableSequenceNumbers = [7, 8]
    response.Parameters.NotificationMessage.SequenceNumber = 8
    response.Parameters.NotificationMessage.NotificationData = list(notifications)
    return bytes(struct_to_binary(response))


def _change(handle: int, value: float) -> object:
    return ua.DataChangeNotification(MonitoredItems=[ua.MonitoredItemNotification(handle, ua.DataValue(ua.Variant(value)))])


def test_bodies_of_data_changes_in_their_order() -> None:
    published = parse(_response(_change(1, 1.5), ua.EventNotificationList(), _change(2, 2.5)))
    assert (published.subscription, published.sequence, published.ended) == (42, 8, "")
    assert [decode(body, 0).value.tolist() for body in published.data] == [[1.5], [2.5]]


def test_a_keep_alive_has_no_data() -> None:
    assert parse(_response()).data == ()


def test_the_end_of_the_subscription_is_named() -> None:
    published = parse(_response(_change(1, 1.5), ua.StatusChangeNotification(Status=ua.StatusCode(ua.StatusCodes.BadTimeout))))
    assert published.ended == "BadTimeout"
    assert len(published.data) == 1


def test_a_bad_service_result_is_raised() -> None:
    with pytest.raises(uaerrors.BadNoSubscription):
        parse(_response(result=ua.StatusCodes.BadNoSubscription))


@given(st.binary(max_size=300), st.integers(0, 120))
def test_bytes_that_are_no_response_are_a_value_error(noise: bytes, keep: int) -> None:
    for data in (noise, _response(_change(1, 1.5))[:keep] + noise):
        with suppress(ValueError, uaerrors.UaError):
            parse(data)


def test_very_many_notifications_in_one_message_are_a_value_error() -> None:
    with pytest.raises(ValueError, match="1000 notifications"):
        parse(_response(*[_change(1, 1.5)] * 1000))
