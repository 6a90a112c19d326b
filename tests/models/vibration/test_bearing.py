import csv
from pathlib import Path

import pytest

from gateway.contract import Bearing, ConfigError
from models.vibration import bearing
from models.vibration.bearing import look_up, orders, orders_of


@pytest.mark.parametrize(
    ("designation", "bpfo", "bpfi", "two_bsf", "ftf"),
    [
        ("6205", 3.5848, 5.4152, 4.7135, 0.39828),  # CWRU Bearing Data Center, drive end
        ("6203", 3.0530, 4.9469, 3.9874, 0.3816),  # CWRU Bearing Data Center, fan end
        ("ZA-2115", 7.092, 8.908, 8.395, 0.443),  # NASA/IMS at 2000 rpm: 236.4, 296.9, 279.8, 14.8 Hz
    ],
)
def test_published_multiples(designation: str, bpfo: float, bpfi: float, two_bsf: float, ftf: float) -> None:
    found = look_up(designation)
    assert found.bpfo == pytest.approx(bpfo, abs=6e-4)
    assert found.bpfi == pytest.approx(bpfi, abs=6e-4)
    assert 2 * found.bsf == pytest.approx(two_bsf, abs=6e-4)
    assert found.ftf == pytest.approx(ftf, abs=3e-4)


def test_6205_to_four_digits() -> None:
    found = look_up("6205")
    assert [round(value, 4) for value in (found.bpfo, found.bpfi, 2 * found.bsf)] == [3.5848, 5.4152, 4.7135]


DESIGNATIONS = [
    "6203",
    "6204",
    "6205",
    "6206",
    "6207",
    "6210",
    *(f"63{bore:02}" for bore in range(6, 15)),
    "6804",
    "UER204",
    "ER16K",
    "ZA-2115",
]


@pytest.mark.parametrize("designation", DESIGNATIONS)
def test_identities_of_the_kinematics(designation: str) -> None:
    found = look_up(designation)
    balls = round(found.bpfo + found.bpfi)
    assert found.bpfo + found.bpfi == pytest.approx(balls)
    assert found.bpfo == pytest.approx(balls * found.ftf)


@pytest.mark.parametrize("text", ["SKF 6205", "SKF 6205-2RS", "skf6205-2rsh/c3", "FAG 6205.2ZR", " 6205 "])
def test_maker_and_suffix_do_not_matter(text: str) -> None:
    assert look_up(text) == look_up("6205")


@pytest.mark.parametrize("text", ["62052", "16205", "NSK 7", ""])
def test_a_number_that_only_contains_a_known_one_is_unknown(text: str) -> None:
    with pytest.raises(ConfigError, match="not in the table"):
        look_up(text)


def test_an_unknown_designation_suggests_a_near_one() -> None:
    with pytest.raises(ConfigError, match=r"did you mean '62\d\d'\? Give balls"):
        look_up("SKF 6250")
    with pytest.raises(ConfigError, match="is not in the table; give balls"):
        look_up("SKF 9999")


def test_geometry_goes_before_the_designation() -> None:
    given = Bearing(designation="own 17", balls=8, ball_diameter=10, pitch_diameter=50, contact_angle=15, speed=1500)
    assert orders_of(given) == orders(8, 10, 50, 15)


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"balls": 8, "ball_diameter": 10}, "together"),
        ({"designation": "6205", "balls": 8}, "together"),
        ({}, "give a designation"),
        ({"balls": 20, "ball_diameter": 10, "pitch_diameter": 50}, "do not fit"),
    ],
)
def test_a_bearing_that_says_too_little_is_a_configuration_error(given: dict[str, float], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        orders_of(Bearing.model_validate({**given, "speed": 1500}))


@pytest.mark.parametrize(("designation", "bore", "outside"), [("6210", 50, 90), ("6306", 30, 72), ("6310", 50, 110), ("6314", 70, 150)])
def test_derived_geometry_fits_between_bore_and_outside(designation: str, bore: float, outside: float) -> None:
    """The static load rating of the catalogues, within what a slip of two percent forgives."""
    rating_kn = {"6210": 23.2, "6306": 16.0, "6310": 38.0, "6314": 68.0}[designation]
    with (Path(bearing.__file__).with_name("bearings.csv")).open(encoding="utf-8") as file:
        row = next(row for row in csv.DictReader(file) if row["designation"] == designation)
    balls, ball, pitch = int(row["balls"]), float(row["ball_diameter_mm"]), float(row["pitch_diameter_mm"])
    assert pitch == (bore + outside) / 2
    assert ball < (outside - bore) / 2
    assert (14 if designation == "6210" else 13) * balls * ball**2 / 1000 == pytest.approx(rating_kn, rel=0.03)
