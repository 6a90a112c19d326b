"""The preset fills the columns that the export makes, each to its length and no other."""

from __future__ import annotations

import re
from importlib.resources import files
from typing import Any

import pytest
import yaml

from gateway.exports.salesforce.columns import CASE_COLUMNS, EVENT_COLUMNS, Column

PRESET = yaml.safe_load((files("gateway.uplink.https") / "presets" / "salesforce.yaml").read_text(encoding="utf-8"))
STANDARD = (Column("subject", "Text", 255), Column("description", "LongTextArea", 32_000), Column("origin", "Text", 255))
# What no event of today holds, or what people fill.
UNFILLED = {"Evidence_Url__c", "Gateway_Verdict__c"}


def item(mode: str) -> dict[str, Any]:
    body = PRESET["variants"][mode]["body"]
    items = [body["item"], *(also["item"] for also in body.get("also", []))]
    return {name: value for one in items for name, value in one.items() if name != "attributes"}


@pytest.mark.parametrize(("mode", "columns"), [("event", EVENT_COLUMNS), ("record", CASE_COLUMNS)])
def test_every_column_is_filled_and_none_that_is_not_there(mode: str, columns: tuple[Column, ...]) -> None:
    names = {column.name for column in columns}
    assert {name for name in item(mode) if name.endswith("__c")} == names - UNFILLED


@pytest.mark.parametrize(("mode", "columns"), [("event", EVENT_COLUMNS), ("record", CASE_COLUMNS)])
def test_texts_are_cut_to_their_columns_and_keys_are_not_cut(mode: str, columns: tuple[Column, ...]) -> None:
    known = {column.name: column for column in columns} | {column.key.title(): column for column in STANDARD}
    for name, template in item(mode).items():
        column = known[name]
        if column.kind not in ("Text", "LongTextArea") or "{{" not in template:
            continue
        key = column.required or column.key_of or name.endswith(("Event_Id__c", "Alarm_Id__c"))
        assert re.search(r"\| (\w+)\((\d+)\) \}\}$", template).groups() == ("at_most" if key else "truncate", str(column.length))  # type: ignore[union-attr]


@pytest.mark.parametrize(("mode", "columns"), [("event", EVENT_COLUMNS), ("record", CASE_COLUMNS)])
def test_measured_numbers_are_kept_within_the_digits_of_their_columns(mode: str, columns: tuple[Column, ...]) -> None:
    for column in columns:
        if column.kind == "Number" and column.scale:
            most = 10 ** (column.length - column.scale) - 1
            assert item(mode)[column.name].endswith(f"| round({column.scale}) | within({-most}, {most}) }}}}")


@pytest.mark.parametrize("mode", ["event", "record"])
def test_a_request_is_a_collection_of_two_hundred_that_do_not_fail_together(mode: str) -> None:
    body = PRESET["variants"][mode]["body"]
    assert (body["form"], body["path"], body["wrap"], body["max_items"]) == ("array-in", "records", {"allOrNone": False}, 200)
