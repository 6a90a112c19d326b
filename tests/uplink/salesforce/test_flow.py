"""The exported drafts, run: one incident is one case, and its verdict comes back as an event."""

from __future__ import annotations

from typing import Any

from gateway.testkit.servers.salesforce import RecordFault, Salesforce

EVENT = "Gateway_Event__e"


def event(number: int, state: str, severity: int = 13, **more: Any) -> dict[str, Any]:
    return {
        "Event_Id__c": f"inc-1-{number:04d}",
        "Alarm_Id__c": "inc-1",
        "State__c": state,
        "Severity__c": severity,
        "Title__c": "Oil too hot",
        "Evidence__c": f"evidence {number}",
        **more,
    }


def test_one_incident_is_one_case_through_open_update_and_close() -> None:
    org = Salesforce()
    flow = org.activate("Gateway_Event_to_Case")
    for given in (event(1, "raised"), event(2, "updated", 17), event(2, "updated", 17), event(3, "cleared", 17)):
        org.org.create(EVENT, given)
    [case] = org.cases
    assert (case["Subject"], case["Description"], case["Origin"]) == ("Oil too hot", "evidence 1", "Gateway")
    assert (case["Gateway_State__c"], case["Gateway_Severity__c"], case["Gateway_Event_Id__c"]) == ("cleared", 17, "inc-1-0003")
    assert case["Gateway_Evidence__c"] == "evidence 3"
    assert case["Status"] == "New"  # closing is for people, unless somebody changes the flow
    assert flow.mails == []


def test_what_people_wrote_stays() -> None:
    org = Salesforce()
    org.activate("Gateway_Event_to_Case")
    org.org.create(EVENT, event(1, "raised"))
    org.org.update(org.cases[0], {"Subject": "Pump 3: bearing", "Status": "Working"})
    org.org.create(EVENT, event(2, "updated", 17))
    assert (org.cases[0]["Subject"], org.cases[0]["Status"]) == ("Pump 3: bearing", "Working")


def test_a_fact_opens_no_case() -> None:
    org = Salesforce()
    org.activate("Gateway_Event_to_Case")
    org.org.create(EVENT, event(1, "raised", Alarm_Id__c=None))
    assert org.cases == []


def test_of_two_that_find_no_case_the_second_updates() -> None:
    """Both looked before either had written: the unique id lets only one create."""
    org = Salesforce()
    flow = org.activate("Gateway_Event_to_Case")
    org.org.create(EVENT, event(1, "raised"))
    find, blind = org.org.find, [True]

    def find_once_nothing(type_: str, key: str, value: object) -> list[dict[str, Any]]:
        return [] if blind and blind.pop() else find(type_, key, value)

    org.org.find = find_once_nothing  # type: ignore[method-assign]
    org.org.create(EVENT, event(2, "updated", 17))
    assert [case["Gateway_State__c"] for case in org.cases] == ["updated"]
    assert flow.mails == []


def test_a_case_the_org_refuses_is_told_to_the_administrator() -> None:
    org = Salesforce()
    flow = org.activate("Gateway_Event_to_Case")
    org.faults.records.append(RecordFault("FIELD_CUSTOM_VALIDATION_EXCEPTION", when=lambda record: "Origin" in record))
    org.org.create(EVENT, event(1, "raised"))
    assert org.cases == []
    assert [mail.split(":")[0] for mail in flow.mails] == ["FIELD_CUSTOM_VALIDATION_EXCEPTION"]


def test_a_verdict_is_published_when_it_is_set_or_changed_and_not_otherwise() -> None:
    org = Salesforce()
    org.org.create("Case", {"Subject": "x", "Gateway_Alarm_Id__c": "inc-1", "Gateway__c": "press-01"})
    org.org.create("Case", {"Subject": "not ours"})
    org.activate("Gateway_Case_Feedback")
    ours, other = org.cases
    org.org.update(ours, {"Subject": "y"})
    org.org.update(ours, {"Gateway_Verdict__c": "False_Alarm"})
    org.org.update(ours, {"Subject": "z"})
    org.org.update(other, {"Gateway_Verdict__c": "False_Alarm"})
    [told] = org.events
    assert (told["Alarm_Id__c"], told["Verdict__c"], told["Gateway__c"]) == ("inc-1", "False_Alarm", "press-01")
    assert told["Case_Number__c"] == ours["CaseNumber"]
