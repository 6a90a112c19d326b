"""The two platform events and the fields of Case."""

from __future__ import annotations

from gateway.exports.salesforce.columns import CASE_COLUMNS, EVENT_COLUMNS, FEEDBACK_COLUMNS, Column, column_names
from gateway.exports.salesforce.xml import Node, document

EVENT, FEEDBACK, CASE = "Gateway_Event__e", "Gateway_Feedback__e", "Case"
COLUMNS = {EVENT: EVENT_COLUMNS, FEEDBACK: FEEDBACK_COLUMNS, CASE: CASE_COLUMNS}
_EVENTS = {
    EVENT: ("Gateway Event", "What a gateway at a machine noticed. One event type for all of them; Event Type tells which."),
    FEEDBACK: ("Gateway Feedback", "What a case turned out to be, for the gateway that opened it."),
}


def object_files() -> dict[str, str]:
    """Text by path below ``objects``."""
    found = {f"{name}/{name}.object-meta.xml": _event(label, about) for name, (label, about) in _EVENTS.items()}
    for name, columns in COLUMNS.items():
        column_names(column.key for column in columns)  # two columns of one name would silently be one file
        found |= {f"{name}/fields/{column.name}.field-meta.xml": field(column) for column in columns}
    return found


def _event(label: str, about: str) -> str:
    return document(
        "CustomObject",
        {
            "deploymentStatus": "Deployed",
            "description": about,
            "eventType": "HighVolume",
            "label": label,
            "pluralLabel": f"{label}s",
            "publishBehavior": "PublishImmediately",
        },
    )


def field(column: Column) -> str:
    """One ``CustomField``; its elements stand in the order of the alphabet, as Salesforce retrieves them."""
    node: dict[str, Node] = {"fullName": column.name}
    if column.key_of:
        node["caseSensitive"] = True
    if column.about:
        node["description"] = column.about
    node |= {"externalId": column.key_of, "label": column.label}
    node |= _shape(column)
    return document("CustomField", node)


def _shape(column: Column) -> dict[str, Node]:
    match column.kind:
        case "Text":
            return {"length": column.length, "required": column.required, "type": "Text", "unique": column.key_of}
        case "LongTextArea":
            return {"length": column.length, "type": "LongTextArea", "visibleLines": 5}
        case "Number":
            return {
                "precision": column.length,
                "required": column.required,
                "scale": column.scale,
                "type": "Number",
                "unique": False,
            }
        case "DateTime":
            return {"required": column.required, "type": "DateTime"}
        case "Picklist":
            values: list[Node] = [{"fullName": one, "default": False, "label": one.replace("_", " ")} for one in column.values]
            return {
                "required": column.required,
                "type": "Picklist",
                "valueSet": {"restricted": True, "valueSetDefinition": {"sorted": False, "value": values}},
            }
