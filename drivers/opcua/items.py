"""Monitored items: asked for in portions the server takes, each judged alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from asyncua import ua

from drivers.opcua.address import deadband_of
from drivers.opcua.ask import TOO_MUCH
from drivers.opcua.config import OpcuaOptions
from drivers.opcua.session import Session

_NO_FILTER = {
    ua.StatusCodes.BadMonitoredItemFilterUnsupported,
    ua.StatusCodes.BadMonitoredItemFilterInvalid,
    ua.StatusCodes.BadFilterNotAllowed,
    ua.StatusCodes.BadDeadbandFilterInvalid,
}


@dataclass(frozen=True, slots=True)
class Taken:
    """How the server answered for one item: `refused` is empty, or its status by name."""

    refused: str = ""
    status: int = 0
    sampling_seconds: float = 0.0


def value_item(handle: int, node: Any, options: OpcuaOptions, deadband: str | None = None) -> Any:
    """Reports changes of a node's value, and with `deadband` only larger ones."""
    band = None if deadband is None else _filter(deadband)
    return _item(handle, ua.ReadValueId(NodeId=node, AttributeId=ua.AttributeIds.Value), options.sampling * 1000, options.queue, band)


def event_item(handle: int, node: Any, filter_: Any, queue: int) -> Any:
    """Reports what a node notifies of."""
    return _item(handle, ua.ReadValueId(NodeId=node, AttributeId=ua.AttributeIds.EventNotifier), 0.0, queue, filter_)


def _item(handle: int, node: Any, sampling_ms: float, queue: int, filter_: Any) -> Any:
    return ua.MonitoredItemCreateRequest(
        ItemToMonitor=node,
        MonitoringMode=ua.MonitoringMode.Reporting,
        RequestedParameters=ua.MonitoringParameters(
            ClientHandle=handle, SamplingInterval=sampling_ms, Filter=filter_, QueueSize=queue, DiscardOldest=True
        ),
    )


def _filter(deadband: str) -> Any:
    value, percent = deadband_of(deadband)
    kind = ua.DeadbandType.Percent if percent else ua.DeadbandType.Absolute
    return ua.DataChangeFilter(Trigger=ua.DataChangeTrigger.StatusValue, DeadbandType=kind, DeadbandValue=value)


async def create(session: Session, subscription: int, requests: Mapping[int, Any], at_once: int) -> dict[int, Taken]:
    """How the server took each, by the keys of `requests`. A deadband it does not know is left out. Raises one of `FAILURES`."""
    keys, answers = list(requests), []
    for start in range(0, len(keys), at_once):
        answers += await _portion(session, subscription, [requests[key] for key in keys[start : start + at_once]])
    taken = dict(zip(keys, answers, strict=True))
    again = {key: _plain(requests[key]) for key, answer in taken.items() if answer.status in _NO_FILTER and _banded(requests[key])}
    return taken | (await create(session, subscription, again, at_once) if again else {})


def _banded(request: Any) -> bool:
    return isinstance(request.RequestedParameters.Filter, ua.DataChangeFilter)


def _plain(request: Any) -> Any:
    request.RequestedParameters.Filter = None
    return request


async def _portion(session: Session, subscription: int, requests: Sequence[Any]) -> list[Taken]:
    """Halves what is more than the server takes in one call."""
    request = ua.CreateMonitoredItemsRequest()
    request.Parameters = ua.CreateMonitoredItemsParameters(
        SubscriptionId=subscription, TimestampsToReturn=ua.TimestampsToReturn.Both, ItemsToCreate=list(requests)
    )
    try:
        results = (await session.ask(request, ua.CreateMonitoredItemsResponse)).Results or []
    except TOO_MUCH:
        if len(requests) == 1:
            raise
        middle = len(requests) // 2
        halves = requests[:middle], requests[middle:]
        return [answer for half in halves for answer in await _portion(session, subscription, half)]
    if len(results) != len(requests):
        raise ValueError(f"the server answered for {len(results)} of {len(requests)} items")
    return [_taken(result) for result in results]


def _taken(result: Any) -> Taken:
    status = result.StatusCode
    if status.is_bad():
        return Taken(str(status.name), int(status.value))
    return Taken(sampling_seconds=max(0.0, result.RevisedSamplingInterval / 1000))
