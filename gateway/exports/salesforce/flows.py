"""Two draft flows: event to case, verdict to feedback. Kept tiny; the administrator reads and activates them.

Elements of one kind stand together and kinds in the order of the alphabet: Salesforce refuses a flow that mixes them.
"""

from __future__ import annotations

from gateway.exports.salesforce.columns import column_name
from gateway.exports.salesforce.objects import CASE, EVENT, FEEDBACK
from gateway.exports.salesforce.xml import Node, document

API_VERSION = "66.0"
TO_CASE, TO_FEEDBACK = "Gateway_Event_to_Case", "Gateway_Case_Feedback"

# Field of Case by column of the event: what each event of the incident may change.
UPDATED = {
    column_name("gateway_event_id"): "event_id",
    column_name("gateway_event_type"): "event_type",
    column_name("gateway_state"): "state",
    column_name("gateway_severity"): "severity",
    column_name("gateway_score"): "score",
    column_name("gateway_occurred_at"): "occurred_at",
    column_name("gateway_evidence"): "evidence",
}
# And what only the first one sets, because afterwards it belongs to the people who work on the case.
CREATED = {
    "Subject": "title",
    "Description": "evidence",
    column_name("gateway_alarm_id"): "alarm_id",
    column_name("gateway"): "gateway",
    column_name("gateway_machine"): "machine",
    column_name("gateway_asset"): "asset",
    column_name("gateway_subject"): "subject",
}


def flow_files() -> dict[str, str]:
    """Text by path below ``flows``."""
    return {f"{TO_CASE}.flow-meta.xml": _to_case(), f"{TO_FEEDBACK}.flow-meta.xml": _to_feedback()}


def _to_case() -> str:
    """Find the case by the incident's id, update it or create one.

    Two events of one incident may be handled side by side: both find no case, and the second creation fails because the
    id is unique. That one updates instead. Any other failure is tried once more without a way out, so that it is told.
    """
    this_alarm = {"field": column_name("gateway_alarm_id"), "operator": "EqualTo", "value": _record("alarm_id")}
    create = {**CREATED, **UPDATED}
    origin: Node = {"field": "Origin", "value": {"stringValue": "Gateway"}}
    return _flow(
        "Gateway Event to Case",
        "Opens one case per incident of a machine and keeps it up to date.",
        decisions=[
            _decision("Case_Found", "Get_Case", "IsNull", {"booleanValue": False}, "Update_Case", "Create_Case"),
            _decision("Is_Incident", "$Record.Alarm_Id__c", "IsNull", {"booleanValue": False}, "Get_Case", None),
            _decision(
                "Other_Was_First", "$Flow.FaultMessage", "Contains", {"stringValue": "DUPLICATE"}, "Update_Case", "Create_Case_Or_Fail"
            ),
        ],
        recordCreates=[
            _element("Create_Case", _create(CASE, create, [origin]), fault="Other_Was_First"),
            _element("Create_Case_Or_Fail", _create(CASE, create, [origin])),
        ],
        recordLookups=[
            _element(
                "Get_Case",
                {
                    "filterLogic": "and",
                    "filters": [this_alarm],
                    "getFirstRecordOnly": True,
                    "object": CASE,
                    "storeOutputAutomatically": True,
                },
                before={"assignNullValuesIfNoRecordsFound": False, "connector": {"targetReference": "Case_Found"}},
            )
        ],
        recordUpdates=[
            _element(
                "Update_Case",
                {"filterLogic": "and", "filters": [this_alarm], "inputAssignments": _assign(UPDATED), "object": CASE},
            )
        ],
        start={**_place(), "connector": {"targetReference": "Is_Incident"}, "object": EVENT, "triggerType": "PlatformEvent"},
    )


def _to_feedback() -> str:
    verdict, alarm = column_name("gateway_verdict"), column_name("gateway_alarm_id")
    told = {
        column_name("alarm_id"): alarm,
        column_name("case_number"): "CaseNumber",
        column_name("event_id"): column_name("gateway_event_id"),
        column_name("gateway"): column_name("gateway"),
        column_name("verdict"): verdict,
    }
    assignments: list[Node] = [{"field": field, "value": {"elementReference": f"$Record.{source}"}} for field, source in told.items()]
    publish: Node = {"inputAssignments": assignments, "object": FEEDBACK, "storeOutputAutomatically": False}
    return _flow(
        "Gateway Case Feedback",
        "Tells the gateway what a case turned out to be, when its verdict is set or changed.",
        recordCreates=[_element("Publish_Feedback", publish)],
        start={
            **_place(),
            "connector": {"targetReference": "Publish_Feedback"},
            "filterLogic": "and",
            "filters": [
                {"field": verdict, "operator": "IsChanged", "value": {"booleanValue": True}},
                {"field": verdict, "operator": "IsNull", "value": {"booleanValue": False}},
                {"field": alarm, "operator": "IsNull", "value": {"booleanValue": False}},
            ],
            "object": CASE,
            "recordTriggerType": "Update",
            "triggerType": "RecordAfterSave",
        },
    )


def _flow(label: str, about: str, *, start: Node, **elements: Node) -> str:
    head: dict[str, Node] = {"apiVersion": API_VERSION}
    body = {
        **elements,
        "description": about,
        "environments": "Default",
        "interviewLabel": f"{label} {{!$Flow.CurrentDateTime}}",
        "label": label,
        "processType": "AutoLaunchedFlow",
        "start": start,
        "status": "Draft",
    }
    return document("Flow", head | dict(sorted(body.items())))


def _place() -> dict[str, Node]:
    return {"locationX": 0, "locationY": 0}


def _element(name: str, rest: Node, *, fault: str | None = None, before: dict[str, Node] | None = None) -> Node:
    if not isinstance(rest, dict):
        raise TypeError(rest)
    ways: dict[str, Node] = dict(before or {})
    if fault:
        ways["faultConnector"] = {"targetReference": fault}
    return {"name": name, "label": name.replace("_", " "), **_place(), **ways, **rest}


def _decision(name: str, left: str, operator: str, right: Node, then: str, otherwise: str | None) -> Node:
    default: dict[str, Node] = {"defaultConnector": {"targetReference": otherwise}} if otherwise else {}
    return {
        "name": name,
        "label": name.replace("_", " "),
        **_place(),
        **default,
        "defaultConnectorLabel": "No",
        "rules": [
            {
                "name": f"{name}_Yes",
                "conditionLogic": "and",
                "conditions": [{"leftValueReference": left, "operator": operator, "rightValue": right}],
                "connector": {"targetReference": then},
                "label": "Yes",
            }
        ],
    }


def _create(object_: str, fields: dict[str, str], more: list[Node]) -> Node:
    return {"inputAssignments": [*_assign(fields), *more], "object": object_, "storeOutputAutomatically": True}


def _assign(fields: dict[str, str]) -> list[Node]:
    return [{"field": field, "value": _record(key)} for field, key in sorted(fields.items())]


def _record(key: str) -> Node:
    return {"elementReference": f"$Record.{column_name(key)}"}
