"""Events of a server, alarms and conditions among them, as Records.

Source: OPC UA Part 4, 7.22.3 (EventFilter), 7.25.3 (EventNotificationList); Part 9, 5.5 (conditions), 5.5.7 (ConditionRefresh).
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable
from typing import Any

from asyncua import ua
from asyncua.ua import uaerrors

from drivers.opcua.address import split_path
from drivers.opcua.ask import IDS, children, key, plain
from drivers.opcua.config import OpcuaRecord
from drivers.opcua.resolve import Names
from drivers.opcua.session import Session
from drivers.opcua.values import EPOCH_TICKS
from drivers.opcua.wire import DATE, Malformed, Reader, json_of
from gateway.contract import Clock, Json, Record, RecordSpec

NO_NODE = "i=0"
QUEUE = 1000  # events the server keeps for us between two publishes
REMEMBERED = 10_000
_MOST_TYPES = 2000
_BASE = ("EventId", "EventType", "SourceNode", "SourceName", "Time", "Message", "Severity")
_CONDITION = ("ConditionName", "BranchId", "Retain", "EnabledState/Id", "ActiveState/Id", "AckedState/Id", "ConfirmedState/Id")
SELECTED = (*_BASE, *_CONDITION, "")  # the last: the node of the condition itself
_KEYS = {
    "EventId": "event_id",
    "EventType": "event_type",
    "SourceNode": "source_node",
    "SourceName": "source",
    "Time": "time",
    "Message": "message",
    "Severity": "severity",
    "ConditionName": "condition",
    "BranchId": "branch",
    "Retain": "retain",
    "EnabledState/Id": "enabled",
    "ActiveState/Id": "active",
    "AckedState/Id": "acknowledged",
    "ConfirmedState/Id": "confirmed",
    "": "condition_node",
}
_REFRESH = {f"i={IDS.RefreshStartEventType}", f"i={IDS.RefreshEndEventType}", f"i={IDS.RefreshRequiredEventType}"}
REFRESH_REQUIRED = f"i={IDS.RefreshRequiredEventType}"


class Alarms:
    """One kind of record: what is asked for, and which of what comes is new."""

    def __init__(self, spec: RecordSpec, clock: Clock) -> None:
        self._spec, self._clock = spec, clock
        self.options: OpcuaRecord = spec.options
        self._types: set[str] | None = None
        self._seen: OrderedDict[tuple[str, Json, Json, Json], None] = OrderedDict()
        self.refresh_required = False

    async def prepare(self, session: Session, names: Names) -> None:
        """Find the subtypes of the wanted types. Raises one of `refusal.FAILURES`."""
        wanted = [node for node in map(names.node, self.options.types) if node is not None]
        self._types = await _with_subtypes(session, wanted) if self.options.types else None

    def filter(self, names: Names) -> Any:
        """Select clauses; what a server does not know comes as null."""
        base = [_operand(IDS.BaseEventType, [ua.QualifiedName(name, 0)]) for name in _BASE]
        conditions = [_operand(IDS.ConditionType, [ua.QualifiedName(part, 0) for part in name.split("/")]) for name in _CONDITION]
        itself = _operand(IDS.ConditionType, [], ua.AttributeIds.NodeId)
        more = [
            _operand(IDS.BaseEventType, [ua.QualifiedName(s.name, _index(names, s.namespace)) for s in split_path(p)]) for p in self._more
        ]
        return ua.EventFilter(SelectClauses=[*base, *conditions, itself, *more])

    @property
    def _more(self) -> list[str]:
        return self.options.fields

    def record(self, values: list[Json], t_ns: int) -> Record | None:
        """None for what was not asked for, or was there before."""
        fields = dict(zip((*(_KEYS[name] for name in SELECTED), *self._more), values, strict=False))
        if fields.get("branch") == NO_NODE:
            fields["branch"] = None
        kind = str(fields.get("event_type"))
        if kind in _REFRESH:
            self.refresh_required |= kind == REFRESH_REQUIRED
            return None
        severity = fields.get("severity")
        if isinstance(severity, int) and severity < self.options.severity:
            return None
        if (self._types is not None and kind not in self._types) or self._again(fields):
            return None
        return Record(source=self._spec.path, t_ns=t_ns, fields=fields)

    def _again(self, fields: dict[str, Json]) -> bool:
        """A refresh brings what we have; the id is the same, unless the condition moved on under it."""
        if not fields.get("event_id"):
            return False
        moment = (str(fields["event_id"]), fields.get("branch"), fields.get("active"), fields.get("acknowledged"))
        if moment in self._seen:
            return True
        self._seen[moment] = None
        if len(self._seen) > REMEMBERED:
            self._seen.popitem(last=False)
        return False


def read_events(body: bytes, now_ns: int) -> Iterable[tuple[int, list[Json], int]]:
    """(client handle, values in the order of the select clauses, the event's own time) of an EventNotificationList. Raises Malformed."""
    reader = Reader(body)
    for _ in range(reader.count(8)):
        handle, values, t_ns = reader.number("<I"), [], now_ns
        for position in range(reader.count()):
            raw = reader.variant()
            if position == SELECTED.index("Time") and raw is not None and raw.kind == DATE and not raw.array:
                ticks = Reader(raw.body).number("<q")
                t_ns = (ticks - EPOCH_TICKS) * 100 if 0 < ticks - EPOCH_TICKS < 2**56 else now_ns
            values.append(json_of(raw))
        yield handle, values, t_ns


async def refresh(session: Session, subscription: int) -> str:
    """Ask for all conditions that are open now (they come as events); why the server does not, or an empty text."""
    request = ua.CallRequest()
    request.Parameters.MethodsToCall = [
        ua.CallMethodRequest(
            ObjectId=ua.NodeId(IDS.ConditionType),
            MethodId=ua.NodeId(IDS.ConditionType_ConditionRefresh),
            InputArguments=[ua.Variant(subscription, ua.VariantType.UInt32)],
        )
    ]
    try:
        (result,) = (await session.ask(request, ua.CallResponse)).Results
    except uaerrors.UaStatusCodeError as exc:  # servers have many words for that they cannot
        return str(ua.status_codes.get_name_and_doc(exc.code)[0])
    return str(result.StatusCode.name) if result.StatusCode.is_bad() else ""


def events_of(bodies: Iterable[bytes], by_handle: dict[int, Alarms], now_ns: int) -> tuple[list[Record], int]:
    """(records, event lists that could not be read)"""
    records: list[Record] = []
    broken = 0
    for body in bodies:
        try:
            for handle, values, t_ns in read_events(body, now_ns):
                record = by_handle[handle].record(values, t_ns) if handle in by_handle else None
                if record is not None:
                    records.append(record)
        except Malformed:
            broken += 1
    return records, broken


async def _with_subtypes(session: Session, types: list[Any]) -> set[str]:
    found, level = {key(node) for node in types}, types
    while level and len(found) < _MOST_TYPES:
        below: list[Any] = []
        async for _, references in children(session, level, reference=IDS.HasSubtype):
            below += [plain(reference.NodeId) for reference in references]
        level = [node for node in below if key(node) not in found]
        found |= {key(node) for node in level}
    return found


def _operand(kind: int, path: list[Any], attribute: Any = ua.AttributeIds.Value) -> Any:
    return ua.SimpleAttributeOperand(TypeDefinitionId=ua.NodeId(kind), BrowsePath=path, AttributeId=attribute)


def _index(names: Names, namespace: str | int | None) -> int:
    index = None if namespace is None else names.index(namespace)
    return 0 if index is None else index
