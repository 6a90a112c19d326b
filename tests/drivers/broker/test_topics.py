from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from paho.mqtt.client import topic_matches_sub

from drivers.broker.topics import check_filter, covers, fewest, matches

level = st.sampled_from(["a", "b", ""])
topics = st.lists(level, min_size=1, max_size=4).map("/".join).filter(bool)
filters = st.tuples(st.lists(st.sampled_from(["a", "b", "+", ""]), min_size=1, max_size=4), st.booleans()).map(
    lambda parts: "/".join([*parts[0], "#"] if parts[1] else parts[0])
)


@given(pattern=filters.filter(bool), topic=topics)
def test_matches_as_paho_does(pattern: str, topic: str) -> None:
    assert matches(pattern, topic) == topic_matches_sub(pattern, topic)


@given(wide=filters.filter(bool), narrow=filters.filter(bool), topic=topics)
def test_a_filter_that_covers_another_has_all_its_topics(wide: str, narrow: str, topic: str) -> None:
    if covers(wide, narrow) and matches(narrow, topic):
        assert matches(wide, topic)


@given(given=st.lists(filters.filter(bool), max_size=6), topic=topics)
def test_the_fewest_filters_lose_no_topic(given: list[str], topic: str) -> None:
    assert any(matches(one, topic) for one in fewest(given)) == any(matches(one, topic) for one in given)


def test_fewest_leaves_out_what_another_covers() -> None:
    assert fewest(["p/1/t", "p/+/t", "p/#", "q"]) == ["p/#", "q"]
    assert fewest(["$share/g/a/#", "a/b"]) == ["$share/g/a/#", "a/b"]


def test_wildcards_do_not_reach_the_brokers_own_topics() -> None:
    assert not matches("#", "$SYS/broker/uptime")
    assert matches("$SYS/#", "$SYS/broker/uptime")


@pytest.mark.parametrize("text", ["", "a/#/b", "a#", "a+/b", "$share/g", "$share/+/a", "a\0"])
def test_a_filter_that_is_none_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"topic|#|\+|share"):
        check_filter(text)
