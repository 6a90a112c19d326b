"""Permission sets: what the gateway's user may do, and nothing else."""

from __future__ import annotations

from gateway.exports.salesforce.columns import CASE_COLUMNS
from gateway.exports.salesforce.objects import CASE, EVENT, FEEDBACK
from gateway.exports.salesforce.xml import Node, document

PUBLISHER, READER, SERVICE = "Gateway_Publisher", "Gateway_Feedback_Reader", "Gateway_Service_Team"
_READ_BY_GATEWAY = ("gateway_alarm_id", "gateway_verdict")


def permission_files(mode: str) -> dict[str, str]:
    """Text by path below ``permissionsets``.

    Events have no permissions per field: whoever may read one reads all of it.
    """
    return {
        f"{PUBLISHER}.permissionset-meta.xml": _publisher(mode),
        f"{READER}.permissionset-meta.xml": _set(
            "Gateway Feedback Reader", "For the user of a bridge that listens to verdicts.", [], [_object(FEEDBACK, read=True)]
        ),
        f"{SERVICE}.permissionset-meta.xml": _set(
            "Gateway Service Team",
            "For people who work on the cases: see what the gateway wrote, give a verdict.",
            [_field(column.name, edit=column.key == "gateway_verdict") for column in CASE_COLUMNS],
            [],
        ),
    }


def _publisher(mode: str) -> str:
    """It publishes events and reads verdicts; only in record mode does it write cases."""
    writes = mode == "record"
    columns = CASE_COLUMNS if writes else [column for column in CASE_COLUMNS if column.key in _READ_BY_GATEWAY]
    fields = [_field(column.name, edit=writes and column.key != "gateway_verdict") for column in columns]
    case = _object(CASE, read=True, create=writes, edit=writes, see_all=True)
    return _set(
        "Gateway Publisher",
        "For the gateways' user: publish Gateway Event, read verdicts" + (", write cases." if writes else "."),
        fields,
        [case, _object(EVENT, read=True, create=True)],
        [{"enabled": True, "name": "ApiEnabled"}],
    )


def _set(label: str, about: str, fields: list[Node], objects: list[Node], user: list[Node] | None = None) -> str:
    node: dict[str, Node] = {"description": about}
    if fields:
        node["fieldPermissions"] = sorted(fields, key=str)
    node |= {"hasActivationRequired": False, "label": label}
    if objects:
        node["objectPermissions"] = objects
    if user:
        node["userPermissions"] = user
    return document("PermissionSet", node)


def _field(name: str, *, edit: bool) -> Node:
    return {"editable": edit, "field": f"{CASE}.{name}", "readable": True}


def _object(name: str, *, read: bool, create: bool = False, edit: bool = False, see_all: bool = False) -> Node:
    return {
        "allowCreate": create,
        "allowDelete": False,
        "allowEdit": edit,
        "allowRead": read,
        "modifyAllRecords": False,
        "object": name,
        "viewAllRecords": see_all,
    }
