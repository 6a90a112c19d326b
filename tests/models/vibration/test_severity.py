import pytest

from models.vibration.severity import GOOD, ZONE_C, ZONE_D, Zones, iso_zones, pump_zones

ZONES = Zones((1.4, 2.8, 4.5), "test")


@pytest.mark.parametrize(("value", "letter"), [(0.0, "A"), (1.4, "A"), (1.41, "B"), (2.8, "B"), (2.81, "C"), (4.5, "C"), (4.51, "D")])
def test_letters(value: float, letter: str) -> None:
    assert ZONES.letter(value) == letter


@pytest.mark.parametrize(
    ("value", "before", "level"),
    [
        (2.75, GOOD, GOOD),
        (2.75, ZONE_C, ZONE_C),  # 2.8 * 0.9 = 2.52
        (2.5, ZONE_C, GOOD),
        (4.2, ZONE_C, ZONE_C),
        (4.2, ZONE_D, ZONE_D),  # 4.5 * 0.9 = 4.05
        (4.0, ZONE_D, ZONE_C),
        (2.5, ZONE_D, GOOD),
        (5.0, -1, ZONE_D),
        (2.75, -1, GOOD),
    ],
)
def test_a_zone_is_left_only_below_its_limit_less_the_hysteresis(value: float, before: int, level: int) -> None:
    assert ZONES.level(value, before, 0.1) == level


def test_the_shipped_table_has_four_rising_rows_and_names_its_source() -> None:
    rows = [iso_zones(group, support) for group in (1, 2) for support in ("rigid", "flexible")]
    assert all(row.limits == tuple(sorted(row.limits)) and "ISO 20816-3" in row.source for row in rows)
    assert rows[0].limits == (2.3, 4.5, 7.1)
    assert iso_zones(2, "rigid").limits == (1.4, 2.8, 4.5)


def test_a_baseline_brings_the_warning_forward_but_not_the_zones() -> None:
    zones = iso_zones(2, "rigid").with_alarm(0.5)
    assert zones.warning == pytest.approx(1.2)
    assert [zones.level(value, 0, 0.1) for value in (1.1, 1.3, 4.4, 4.6)] == [0, 1, 1, 2]
    assert zones.letter(1.3) == "A"


@pytest.mark.parametrize("category", [1, 2])
@pytest.mark.parametrize("power", ["up to 200 kW", "above 200 kW"])
def test_pumps_have_zones_of_their_own(category: int, power: str) -> None:
    zones = pump_zones(category, power)
    assert zones.limits == tuple(sorted(zones.limits))
    assert zones.source == f"ISO 10816-7:2009 category {category} {power}"
