"""Births, data by alias, deaths, and when births are asked for; without a broker."""

from __future__ import annotations

import json
from typing import Any

import pytest

from drivers.sparkplug.gathered import Gathered
from gateway.contract import BAD, GOOD, UNCERTAIN, Health, Quality, Trouble
from gateway.testkit.servers.sparkplug import DOUBLE, INT64, metric, payload

T_MS = 1_790_000_000_000
LOAD, SPEED = 0, 1


def values(found: Gathered) -> list[tuple[int, float, int]]:
    return [(tag, value, quality) for tag, _, value, quality in found.readings]


def bad(found: Gathered) -> list[int]:
    return [tag for tag, _, value, quality in found.readings if quality == BAD and value != value]


def levels(found: Gathered) -> dict[tuple[Trouble, str], bool]:
    return {(health.trouble, health.device): health.active for health in found.health}


def test_births_give_values_and_aliases(talk: Any) -> None:
    assert values(talk.births()) == [(LOAD, 1.0, GOOD), (SPEED, 2.0, GOOD)]
    assert values(talk.load(5.0, 2)) == [(LOAD, 5.0, GOOD)]
    assert values(talk.speed(6.0, 3)) == [(SPEED, 6.0, GOOD)]
    assert talk.load(7.0, 4, alias=2).readings == []
    assert talk.asks() == 0


def test_data_by_name_is_read_too(talk: Any) -> None:
    talk.births()
    assert values(talk.say("NDATA", payload(metric(DOUBLE, 8.0, name="Load"), seq=2))) == [(LOAD, 8.0, GOOD)]


def test_the_time_is_the_metrics_else_the_messages_else_ours(talk: Any) -> None:
    talk.births()
    assert talk.load(1.0, 2, t_ms=T_MS - 7).readings[0][1] == (T_MS - 7) * 10**6
    assert talk.load(1.0, 3).readings[0][1] == T_MS * 10**6
    untimed = talk.say("NDATA", payload(metric(DOUBLE, 1.0, alias=1), seq=4, t_ms=0))
    assert untimed.readings[0][1] == T_MS * 10**6


def test_what_comes_without_a_birth_is_counted_and_asked_for_at_most_every_ten_seconds(talk: Any) -> None:
    assert talk.asks() == 1
    for _ in range(50):
        found = talk.load(1.0, 7)
        assert (found.readings, found.lost) == ([], {"birth_missing": 1})
        assert talk.asks() == 0
    talk.at += 10
    assert talk.asks() == 1
    assert talk.asks() == 0
    talk.births()
    assert talk.load(1.0, 2).lost == {}
    talk.at += 100
    assert talk.asks() == 0


def test_an_alias_nobody_told_is_counted_and_asked_for(talk: Any) -> None:
    talk.asks()
    talk.births()
    talk.at += 10
    found = talk.load(1.0, 2, alias=99)
    assert (found.readings, found.lost) == ([], {"alias_unknown": 1})
    assert talk.asks() == 1
    assert values(talk.load(5.0, 3)) == [(LOAD, 5.0, UNCERTAIN)]
    talk.births()
    assert values(talk.load(5.0, 2)) == [(LOAD, 5.0, GOOD)]


def test_a_device_that_was_not_born_is_asked_for(talk: Any) -> None:
    talk.asks()
    talk.say("NBIRTH", payload(metric(INT64, 0, name="bdSeq"), seq=0))
    talk.at += 10
    assert talk.speed(1.0, 1).lost == {"birth_missing": 1}
    assert talk.asks() == 1


def test_a_gap_is_waited_for_counted_and_asked_for(talk: Any) -> None:
    talk.asks()
    talk.births()
    assert talk.load(7.0, 4).readings == []
    assert talk.node.due is not None
    found = talk.wait(1.0)
    assert (values(found), found.lost) == ([(LOAD, 7.0, UNCERTAIN)], {"sequence_gap": 2})
    talk.at += 10
    assert talk.asks() == 1


def test_what_overtook_another_is_put_behind_it(talk: Any) -> None:
    talk.births()
    assert talk.load(2.0, 3).readings == []
    assert values(talk.speed(1.0, 2)) == [(SPEED, 1.0, GOOD), (LOAD, 2.0, GOOD)]
    assert talk.wait(5.0).lost == {}


def test_a_node_that_dies_takes_its_devices_along_as_one_trouble(talk: Any) -> None:
    talk.births(bd_seq=4)
    talk.at += 5
    found = talk.say("NDEATH", payload(metric(INT64, 4, name="bdSeq")))
    assert bad(found) == [LOAD, SPEED]
    assert {t_ns for _, t_ns, _, _ in found.readings} == {(T_MS + 5000) * 10**6}
    assert found.health == [Health(trouble=Trouble.LOST, active=True, why="it died (bdSeq 4)", device="g/n")]
    assert talk.load(1.0, 2).lost == {"birth_missing": 1}
    back = talk.births(bd_seq=5)
    assert values(back) == [(LOAD, 1.0, GOOD), (SPEED, 2.0, GOOD)]
    assert levels(back)[Trouble.LOST, "g/n"] is False


def test_a_death_of_an_earlier_connection_is_not_one(talk: Any) -> None:
    talk.births(bd_seq=5)
    found = talk.say("NDEATH", payload(metric(INT64, 4, name="bdSeq")))
    assert (found.readings, found.health) == ([], [])
    assert values(talk.load(3.0, 2)) == [(LOAD, 3.0, GOOD)]


def test_a_death_that_does_not_tell_its_number_counts(talk: Any) -> None:
    talk.births(bd_seq=5)
    assert bad(talk.say("NDEATH", payload())) == [LOAD, SPEED]


def test_a_device_that_dies_is_alone(talk: Any) -> None:
    talk.births()
    found = talk.say("DDEATH", payload(seq=2), "press")
    assert bad(found) == [SPEED]
    assert levels(found) == {(Trouble.LOST, "g/n/press"): True}
    assert values(talk.load(3.0, 3)) == [(LOAD, 3.0, GOOD)]
    back = talk.say("DBIRTH", payload(metric(DOUBLE, 4.0, name="Speed", alias=3), seq=4), "press")
    assert (values(back), levels(back)) == ([(SPEED, 4.0, GOOD)], {(Trouble.LOST, "g/n/press"): False})


def test_devices_without_tags_count_in_the_sequence_only(talk: Any) -> None:
    """Of ten machines behind one edge node each speaks of its own."""
    assert talk.say("DDATA", payload(metric(DOUBLE, 4.0, alias=9), seq=9), "other").lost == {}
    talk.births()
    for seq, kind in enumerate(("DDATA", "DBIRTH", "DDATA", "DDEATH", "DDATA"), start=2):
        found = talk.say(kind, payload(metric(DOUBLE, 4.0, name="Speed", alias=9), seq=seq), "other")
        assert (found.readings, found.health, found.lost) == ([], [], {})
    assert values(talk.load(3.0, 7)) == [(LOAD, 3.0, GOOD)]
    assert set(talk.node.dump()["births"]) == {"", "press"}


def test_its_death_is_told_by_its_own_clock_and_a_birth_is_never_before_it(talk: Any) -> None:
    """Else what a node says whose clock is behind ours would be late for as long as that."""
    ago = T_MS - 300_000
    births = [metric(DOUBLE, 1.0, name="Load", alias=1, t_ms=ago - 50_000)]
    first = talk.say("NBIRTH", payload(*births, seq=0, t_ms=ago))
    assert first.readings[0][1] == (ago - 50_000) * 10**6
    talk.at += 2
    assert {t_ns for _, t_ns, _, _ in talk.say("NDEATH", payload()).readings} == {(ago + 2000) * 10**6}
    again = talk.say("NBIRTH", payload(*births, seq=0, t_ms=ago + 3000))
    assert again.readings[0][1] == (ago + 3000) * 10**6


def test_tags_without_a_metric_are_refused(talk: Any) -> None:
    found = talk.say("NBIRTH", payload(metric(DOUBLE, 1.0, name="Other", alias=1), seq=0))
    assert [(tag, quality) for tag, _, _, quality in found.readings] == [(LOAD, Quality.BAD_DEVICE)]


def test_a_request_nobody_answers_is_a_lost_node(talk: Any) -> None:
    assert talk.asks() == 1
    assert talk.wait(9).health == []
    found = talk.wait(1)
    assert (bad(found), levels(found)) == ([LOAD, SPEED], {(Trouble.LOST, "g/n"): True})
    assert levels(talk.births())[Trouble.LOST, "g/n"] is False


def test_a_device_that_is_not_born_with_its_node_is_lost(talk: Any) -> None:
    talk.say("NBIRTH", payload(metric(DOUBLE, 1.0, name="Load", alias=1), seq=0))
    found = talk.wait(10)
    assert (bad(found), levels(found)) == ([SPEED], {(Trouble.LOST, "g/n/press"): True})


def test_a_node_that_sends_and_gives_no_births_is_degraded(talk: Any) -> None:
    talk.births()
    talk.load(1.0, 2, alias=99)
    assert talk.asks() == 1
    found = talk.wait(10)
    assert levels(found) == {(Trouble.DEGRADED, "g/n"): True}
    assert found.health[0].facts == {"requests": 1}
    assert levels(talk.births())[Trouble.DEGRADED, "g/n"] is False


def test_after_a_connection_that_was_lost_the_next_number_tells_whether_something_was_missed(talk: Any) -> None:
    talk.births()
    talk.node.connected(talk.now)
    assert values(talk.load(2.0, 2)) == [(LOAD, 2.0, GOOD)]
    assert talk.asks() == 0
    talk.node.connected(talk.now)
    found = talk.load(3.0, 9)
    assert (values(found), found.lost) == ([(LOAD, 3.0, UNCERTAIN)], {})
    assert talk.asks() == 1


def test_a_node_that_is_silent_after_we_connected_is_asked_and_then_lost(talk: Any) -> None:
    talk.births()
    talk.node.connected(talk.now)
    assert (talk.wait(10).health, talk.asks()) == ([], 1)
    found = talk.wait(10)
    assert (bad(found), levels(found)) == ([LOAD, SPEED], {(Trouble.LOST, "g/n"): True})


@pytest.mark.parametrize("closing", [True, False])
def test_births_outlive_a_restart(talk: Any, closing: bool) -> None:
    """After a proper end the next number shows that nothing was missed; else values are uncertain until the next birth."""
    talk.births(bd_seq=7)
    known = json.loads(json.dumps(talk.node.dump(closing=closing)))
    after = type(talk)()
    after.asks()
    after.node.load(known)
    after.at += 10
    assert values(after.load(4.0, 2)) == [(LOAD, 4.0, GOOD if closing else UNCERTAIN)]
    assert values(after.speed(5.0, 3)) == [(SPEED, 5.0, GOOD if closing else UNCERTAIN)]
    assert after.asks() == (0 if closing else 1)
    assert after.say("NDEATH", payload(metric(INT64, 6, name="bdSeq"))).health == []
    assert bad(after.say("NDEATH", payload(metric(INT64, 7, name="bdSeq")))) == [LOAD, SPEED]


@pytest.mark.parametrize("away", [True, False], ids=["while we were away", "in a gap"])
def test_a_death_after_a_birth_that_was_missed_is_one(talk: Any, away: bool) -> None:
    talk.births(bd_seq=255)
    assert talk.say("NDEATH", payload(metric(INT64, 0, name="bdSeq"))).health == []
    if away:
        talk.node.connected(talk.now)
    else:
        talk.load(1.0, 9)
        talk.wait(2.0)
    assert talk.say("NDEATH", payload(metric(INT64, 254, name="bdSeq"))).health == []
    assert bad(talk.say("NDEATH", payload(metric(INT64, 0, name="bdSeq")))) == [LOAD, SPEED]


def test_births_kept_for_other_tags_are_not_used(talk: Any) -> None:
    """They know the alias of a metric that nobody read then, and not its name."""
    talk.births()
    more = type(talk)({"load": {"metric": "Load"}, "speed": {"metric": "Speed", "device": "press"}, "other": {"metric": "Other"}})
    more.node.load(talk.node.dump())
    assert more.load(1.0, 2).lost == {"birth_missing": 1}


def test_what_was_lost_when_the_gateway_ended_is_told_again_at_once(talk: Any) -> None:
    talk.births()
    talk.say("DDEATH", payload(seq=2), "press")
    device = type(talk)({"other": {"metric": "Other", "device": "press"}})
    device.node.load(json.loads(json.dumps(talk.node.dump())))
    assert device.node.due == 0.0
    assert levels(device.wait(0.0)) == {(Trouble.LOST, "g/n/press"): True}
    assert device.wait(0.0).health == []
    talk.say("NDEATH", payload())
    node = type(talk)()
    node.node.load(talk.node.dump())
    assert levels(node.wait(0.0)) == {(Trouble.LOST, "g/n"): True, (Trouble.LOST, "g/n/press"): True}
    assert levels(node.births()) == {(Trouble.LOST, "g/n"): False, (Trouble.LOST, "g/n/press"): False, (Trouble.DEGRADED, "g/n"): False}
    assert node.node.dump()["lost"] == []


@pytest.mark.parametrize("known", [None, 3, {}, {"tags": 1, "births": []}, {"tags": "", "births": {"": 0}, "bd_seq": {}, "seq": 0}])
def test_a_file_that_is_damaged_is_as_none(talk: Any, known: Any) -> None:
    sound = talk.node.dump()
    for each in (known, sound | {"births": {"": {"others": [], "metrics": [["x", 1, 1]]}}}, sound | {"bd_seq": []}):
        talk.node.load(each)
    assert talk.load(1.0, 0).lost == {"birth_missing": 1}


def test_history_is_marked_and_told(talk: Any) -> None:
    talk.births()
    found = talk.load(3.0, 2, t_ms=T_MS - 60_000, historical=True)
    assert values(found) == [(LOAD, 3.0, Quality.BACKFILLED)]
    assert found.filled() == ((T_MS - 60_000) * 10**6,) * 2 + (1,)
    assert talk.load(3.0, 3).filled() is None


def test_too_large_malformed_and_foreign_messages_are_alone(talk: Any) -> None:
    assert talk.say("NDATA", None).lost == {"message_too_large": 1}
    assert talk.say("NDATA", b"\xff").lost == {"payload_malformed": 1}
    for kind in ("NCMD", "DCMD", "STATE", "NBIRTH/x/y"):
        assert talk.say(kind, payload()).lost == {}


def test_few_requests_at_once() -> None:
    from drivers.sparkplug.config import SparkplugOptions, SparkplugTag
    from drivers.sparkplug.host import ASKED_SECONDS, MOST_ASKED, Host
    from drivers.sparkplug.node import Now
    from gateway.contract import Tag

    tags = [Tag(at, "m", "t", SparkplugTag(node=f"n{at}")) for at in range(25)]
    host = Host(SparkplugOptions.model_validate({"sparkplug": "mqtt://h", "group": "g"}), tags)
    for node in host.nodes.values():
        node.connected(Now(0, 0.0))
    asked = [host.asks(Now(0, at)) for at in (0.0, 0.0, ASKED_SECONDS, 2 * ASKED_SECONDS, 3 * ASKED_SECONDS)]
    assert list(map(len, asked)) == [MOST_ASKED, 0, MOST_ASKED, 5, 0]
    assert len({topic for part in asked for topic in part}) == 25
