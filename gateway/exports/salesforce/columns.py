"""Columns on the other side: their names, types and lengths. One table for the export, the preset's test and the emulator."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

Kind = Literal["Text", "LongTextArea", "Number", "DateTime", "Picklist"]
NAME_MOST = 40
_WORD = re.compile(r"[A-Za-z0-9]+")


@dataclass(frozen=True, slots=True)
class Column:
    """One custom field.

    key       its name with us, snake case
    length    Text and LongTextArea: characters; Number: digits in all, `scale` of them after the point
    required  a record without it is refused
    key_of    an external id: unique, told apart by case
    values    of a picklist, in its order
    """

    key: str
    kind: Kind
    length: int = 0
    scale: int = 0
    required: bool = False
    key_of: bool = False
    values: tuple[str, ...] = ()
    about: str = ""

    @property
    def name(self) -> str:
        return column_name(self.key)

    @property
    def label(self) -> str:
        return self.name.removesuffix("__c").replace("_", " ")


def column_name(key: str) -> str:
    """API name of a custom field: snake case to ``Pascal_Case__c``, at most 40 characters before the suffix.

    A name begins with a letter and holds no two underscores in a row; camel case is left as it is.

    >>> column_name("alarm_id"), column_name("trace-parent"), column_name("orderNumber")
    ('Alarm_Id__c', 'Trace_Parent__c', 'OrderNumber__c')

    raises ValueError   nothing of it can stand in a name, or it is too long
    """
    name = "_".join(word[0].upper() + word[1:] for word in _WORD.findall(key))
    if not name or not name[0].isalpha():
        raise ValueError(f"{key!r} makes no field name: it must begin with a letter")
    if len(name) > NAME_MOST:
        raise ValueError(f"{key!r} makes the field name {name!r}: {len(name)} characters, {NAME_MOST} are allowed")
    return f"{name}__c"


def column_names(keys: Iterable[str]) -> dict[str, str]:
    """`column_name` of each key; raises ValueError when two make the same one (Salesforce does not tell case apart)."""
    found: dict[str, str] = {}
    taken: dict[str, str] = {}
    for key in keys:
        name = column_name(key)
        other = taken.setdefault(name.lower(), key)
        if other != key:
            raise ValueError(f"{other!r} and {key!r} make the same field name {name!r}")
        found[key] = name
    return found


VERDICTS = ("True_Positive", "False_Alarm", "Known_Issue", "Maintenance")

EVENT_COLUMNS: tuple[Column, ...] = (
    Column("event_id", "Text", 64, required=True, about="id of the event; a repeated one is the same event"),
    Column("alarm_id", "Text", 64, about="id of the incident: one case each; empty for a fact that stands alone"),
    Column("event_type", "Text", 128, about="what happened, for example io.lineside.limit.raised.v1"),
    Column("data_schema", "Text", 255, about="URL of the contract that Data fits; it ends in the version"),
    Column("gateway", "Text", 64, about="the gateway that noticed it"),
    Column("site", "Text", 80),
    Column("area", "Text", 80),
    Column("line", "Text", 80),
    Column("cell", "Text", 80),
    Column("machine", "Text", 80, about="name of the machine on the gateway"),
    Column("asset", "Text", 80, about="id of the machine in the CRM"),
    Column("subject", "Text", 255, about="area/line/cell/machine[/point]"),
    Column("severity", "Number", 2, about="9 info, 13 warning, 17 error, 21 critical"),
    Column("severity_text", "Text", 16),
    Column("state", "Text", 32, about="raised, updated or cleared; empty for a fact"),
    Column("occurred_at", "DateTime", about="when it happened, by the machine's clock"),
    Column("score", "Number", 18, 6, about="how strong it was, in the detector's own unit"),
    Column("value", "Number", 18, 6),
    Column("unit", "Text", 16),
    Column("order_number", "Text", 64),
    Column("material", "Text", 64),
    Column("title", "Text", 255, about="one line for people"),
    Column("evidence", "LongTextArea", 32_000, about="what the detector says of it, as text"),
    Column("trace_parent", "Text", 55, about="W3C trace context, the same for all events of an incident"),
    Column("evidence_url", "Text", 255),
    Column("data", "LongTextArea", 131_072, about="the whole of the event's data as JSON"),
)

FEEDBACK_COLUMNS: tuple[Column, ...] = (
    Column("alarm_id", "Text", 64, required=True),
    Column("event_id", "Text", 64),
    Column("verdict", "Text", 32, required=True, about="True_Positive, False_Alarm, Known_Issue or Maintenance"),
    Column("comment", "LongTextArea", 4_000),
    Column("gateway", "Text", 64),
    Column("case_number", "Text", 30),
)

CASE_COLUMNS: tuple[Column, ...] = (
    Column("gateway_alarm_id", "Text", 64, key_of=True, about="id of the incident (of a fact: of its event); one case each"),
    Column("gateway_verdict", "Picklist", values=VERDICTS, about="what it turned out to be; goes back to the detector"),
    Column("gateway_event_id", "Text", 64, about="the last event that changed this case"),
    Column("gateway_event_type", "Text", 128),
    Column("gateway", "Text", 64, about="the gateway that noticed it"),
    Column("gateway_machine", "Text", 80),
    Column("gateway_asset", "Text", 80, about="id of the machine in the CRM, as the gateway's configuration says"),
    Column("gateway_subject", "Text", 255, about="area/line/cell/machine[/point]"),
    Column("gateway_state", "Text", 32, about="raised, updated or cleared: the machine's condition, not the work on the case"),
    Column("gateway_severity", "Number", 2, about="9 info, 13 warning, 17 error, 21 critical"),
    Column("gateway_score", "Number", 18, 6),
    Column("gateway_occurred_at", "DateTime", about="time of the last event"),
    Column("gateway_occurrences", "Number", 9, about="how often the condition came back while the incident was open, plus one"),
    Column("gateway_evidence", "LongTextArea", 131_072, about="what the detector says and the readings around it"),
)
