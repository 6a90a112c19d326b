"""The exported folder: the same bytes every time, well formed, coherent in itself, without a secret."""

from __future__ import annotations

import os
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.exports.salesforce.columns import CASE_COLUMNS, EVENT_COLUMNS, FEEDBACK_COLUMNS, column_name, column_names
from gateway.exports.salesforce.folder import source_folder
from gateway.exports.salesforce.xml import NAMESPACE

GOLDEN = Path(__file__).with_name("golden.txt")
BASE = "force-app/main/default/"
NS = f"{{{NAMESPACE}}}"
PEM = "-----BEGIN CERTIFICATE-----\nMIIBszCCARw=\n-----END CERTIFICATE-----"


def parsed(texts: dict[str, str], name: str) -> ET.Element:
    return ET.fromstring(texts[BASE + name].encode())


def said(node: ET.Element, tag: str) -> list[str]:
    return [found.text or "" for found in node.iter(NS + tag)]


def test_folder_is_as_it_was_reviewed() -> None:
    """After a change that is meant: LINESIDE_GOLDEN=write pytest tests/exports/salesforce, then read the diff."""
    whole = "".join(f"=== {name}\n{text}" for name, text in source_folder().items())
    if os.environ.get("LINESIDE_GOLDEN") == "write":
        GOLDEN.write_text(whole, encoding="utf-8")
    assert whole == GOLDEN.read_text(encoding="utf-8")


@pytest.mark.parametrize("mode", ["event", "record"])
@pytest.mark.parametrize("certificate", [None, PEM])
def test_every_file_is_well_formed_and_holds_no_secret(mode: str, certificate: str | None) -> None:
    texts = source_folder(mode=mode, certificate=certificate, contact="a&b@example.com")  # type: ignore[arg-type]
    assert texts == source_folder(mode=mode, certificate=certificate, contact="a&b@example.com")  # type: ignore[arg-type]
    for name, text in texts.items():
        if name.endswith(".xml"):
            root = ET.fromstring(text.encode())
            assert root.tag.startswith(NS), name
            tags = {node.tag.removeprefix(NS) for node in root.iter()}
            assert not tags & {"consumerSecret", "consumerKey", "password", "oauthToken"}, name
        assert "PRIVATE KEY" not in text


def test_elements_of_one_kind_stand_together_in_a_flow() -> None:
    texts = source_folder()
    for name in texts:
        if not name.endswith(".flow-meta.xml"):
            continue
        kinds = [child.tag for child in ET.fromstring(texts[name].encode())]
        assert kinds == sorted(kinds), name


def test_flows_are_drafts_that_name_only_what_is_there() -> None:
    texts = source_folder()
    columns = {column.name for column in (*EVENT_COLUMNS, *CASE_COLUMNS, *FEEDBACK_COLUMNS)}
    for name in ("Gateway_Event_to_Case", "Gateway_Case_Feedback"):
        flow = parsed(texts, f"flows/{name}.flow-meta.xml")
        assert said(flow, "status") == ["Draft"]
        elements = {found.text for child in flow for found in child.findall(NS + "name")}
        assert set(said(flow, "targetReference")) <= elements
        custom = {field for field in said(flow, "field") if field.endswith("__c")}
        custom |= {ref.removeprefix("$Record.") for ref in said(flow, "elementReference") if ref.endswith("__c")}
        assert custom <= columns
        assert elements <= set(said(flow, "targetReference"))  # nothing stands there unreached


def test_required_columns_are_in_no_permission_set() -> None:
    """Salesforce refuses to deploy a permission on a required field, and knows none on the fields of events."""
    for mode in ("event", "record"):
        texts = source_folder(mode=mode)  # type: ignore[arg-type]
        for name in (name for name in texts if name.endswith(".permissionset-meta.xml")):
            fields = said(ET.fromstring(texts[name].encode()), "field")
            assert all(field.startswith("Case.") for field in fields)
            required = {f"Case.{column.name}" for column in CASE_COLUMNS if column.required}
            assert not required & set(fields)


@pytest.mark.parametrize(("mode", "writes"), [("event", "false"), ("record", "true")])
def test_gateway_may_write_cases_only_in_record_mode(mode: str, writes: str) -> None:
    root = parsed(source_folder(mode=mode), "permissionsets/Gateway_Publisher.permissionset-meta.xml")  # type: ignore[arg-type]
    rights = {node.findtext(NS + "object"): node for node in root.findall(NS + "objectPermissions")}
    assert rights["Case"].findtext(NS + "allowCreate") == writes
    assert rights["Case"].findtext(NS + "allowEdit") == writes
    assert rights["Gateway_Event__e"].findtext(NS + "allowCreate") == "true"
    assert [node.findtext(NS + "allowDelete") for node in rights.values()] == ["false", "false"]
    edits = {f.findtext(NS + "field") for f in root.findall(NS + "fieldPermissions") if f.findtext(NS + "editable") == "true"}
    assert ("Case.Gateway_Alarm_Id__c" in edits) == (writes == "true")
    assert "Case.Gateway_Verdict__c" not in edits


def test_certificate_turns_client_credentials_off_and_stands_in_the_app() -> None:
    name = "extlClntAppGlobalOauthSets/Edge_Gateway_glbloauth.ecaGlblOauth-meta.xml"
    with_it, without = parsed(source_folder(certificate=f"x\r\n{PEM}\r\n"), name), parsed(source_folder(), name)
    assert (said(with_it, "certificate"), said(with_it, "isClientCredentialsFlowEnabled")) == ([PEM], ["false"])
    assert (said(without, "certificate"), said(without, "isClientCredentialsFlowEnabled")) == ([], ["true"])


@pytest.mark.parametrize("pem", ["", "nonsense", PEM + PEM, PEM + "-----BEGIN PRIVATE KEY-----", "-----BEGIN RSA PRIVATE KEY-----"])
def test_what_is_no_single_certificate_is_refused(pem: str) -> None:
    with pytest.raises(ValueError, match=r"certificate"):
        source_folder(certificate=pem)


@pytest.mark.parametrize("columns", [EVENT_COLUMNS, FEEDBACK_COLUMNS, CASE_COLUMNS])
def test_columns_keep_to_the_types_and_lengths_there_are(columns: tuple[object, ...]) -> None:
    for column in columns:
        most = {"Text": 255, "LongTextArea": 131_072, "Number": 18}.get(column.kind)  # type: ignore[attr-defined]
        if most is not None:
            assert 0 < column.length <= most, column  # type: ignore[attr-defined]
    if columns is not CASE_COLUMNS:
        assert not [c for c in columns if c.kind == "Picklist" or c.key_of]  # type: ignore[attr-defined]


@given(st.text(alphabet=st.sampled_from("abcXYZ019_-. äß"), max_size=60))
def test_column_names_fit_the_platform_or_are_refused(key: str) -> None:
    try:
        name = column_name(key)
    except ValueError:
        return
    stem = name.removesuffix("__c")
    assert stem[0].isalpha()
    assert stem.isascii()
    assert len(stem) <= 40
    assert "__" not in stem
    assert not stem.endswith("_")


def test_two_keys_for_one_column_are_refused() -> None:
    assert column_names(["alarm_id", "title"]) == {"alarm_id": "Alarm_Id__c", "title": "Title__c"}
    with pytest.raises(ValueError, match="'alarm_id' and 'alarm-id' make the same field name"):
        column_names(["alarm_id", "alarm-id"])
    with pytest.raises(ValueError, match="same field name"):
        column_names(["gatewayid", "GatewayId"])
