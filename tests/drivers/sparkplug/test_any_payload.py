"""No bytes do more than to be counted; a node and its tags go on."""

from __future__ import annotations

from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.contract import BAD, Quality
from gateway.testkit.servers.sparkplug import DOUBLE, block, metric, number, payload

TAGS: dict[str, dict[str, Any]] = {
    "load": {"metric": "A"},
    "word": {"metric": "A", "states": {"RUN": 1}},
    "cell": {"metric": "A", "column": "c", "row": "r"},
    "element": {"metric": "A", "element": 1},
    "member": {"metric": "A", "member": "A/A"},
    "wave": {"metric": "A", "kind": "waveform", "rate_hz": 10},
    "speed": {"metric": "B", "device": "press"},
}
REASONS = {"payload_malformed", "birth_missing", "alias_unknown", "sequence_gap"}
small = st.integers(0, 5)
scalars = st.builds(number, st.integers(1, 19), st.integers(0, 2**64 - 1))
blobs = st.builds(block, st.integers(1, 19), st.binary(max_size=20))
nested = st.recursive(
    st.one_of(scalars, blobs), lambda inner: st.builds(block, st.sampled_from([2, 9, 17, 18]), st.lists(inner, max_size=4).map(b"".join))
)
datatypes = st.integers(0, 40)
raws = st.one_of(nested, st.builds(block, st.sampled_from([15, 16]), st.binary(max_size=40)), st.just(metric(0, 1.5)))
metrics = st.builds(
    lambda name, alias, kind, t_ms, raw: metric(kind, None, name=name, alias=alias, t_ms=t_ms, raw=raw or b"\x38\x00"),
    st.sampled_from(["", "A", "B", "bdSeq"]),
    st.one_of(st.none(), small),
    datatypes,
    st.one_of(st.none(), st.integers(0, 2**64 - 1)),
    raws,
)
sane = st.builds(
    lambda parts, seq, t_ms: payload(*parts, seq=seq, t_ms=t_ms),
    st.lists(metrics, max_size=4),
    st.one_of(st.none(), small),
    st.integers(0, 2**64 - 1),
)
kinds = st.sampled_from(["NBIRTH", "NDATA", "NDEATH", "DBIRTH", "DDATA", "DDEATH", "NCMD"])
steps = st.tuples(kinds, st.one_of(sane, nested, st.binary(max_size=60)), st.floats(0, 3), st.sampled_from(["", "press", "x"]))


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(said=st.lists(steps, max_size=12))
def test_any_bytes_are_counted_and_the_node_is_read_afterwards(talk: Any, said: list[tuple[str, bytes, float, str]]) -> None:
    those = type(talk)(TAGS)
    for kind, raw, seconds, device in said:
        for found in (those.say(kind, raw, device if kind[0] == "D" else ""), those.wait(seconds)):
            assert set(found.lost) <= REASONS
            for _, t_ns, value, quality in found.readings:
                assert quality in set(Quality)
                assert (quality >= BAD) == (value != value)
                assert -(2**63) <= t_ns < 2**63
            found.items()
            found.filled()
        those.node.load(those.node.dump())
        those.asks()
    born = those.say("NBIRTH", payload(metric(DOUBLE, 4.0, name="A", alias=1), seq=0, t_ms=1_790_000_000_000))
    assert [value for tag, _, value, _ in born.readings if tag == 0][-1] == 4.0
