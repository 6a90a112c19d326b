"""`lineside vibration`, as an engineer types it."""

import json
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result

from gateway.testkit.rigs.vibration import BPFO, RATE_HZ, RPM, bursts, noise
from models.vibration.recording.command import vibration

DAMAGED, HEALTHY = bursts(1, BPFO, 60_000), noise(1, 60_000, 0.03)


def run(*arguments: object) -> Result:
    return CliRunner().invoke(vibration, [str(one) for one in arguments])


def examined(*arguments: object) -> dict[str, Any]:
    result = run(*arguments, "--json")
    assert result.exit_code == 0, result.output
    found: dict[str, Any] = json.loads(result.stdout)
    return found


@pytest.fixture
def npz(tmp_path: Path) -> Path:
    path = tmp_path / "pump.npz"
    np.savez(path, x=DAMAGED, fs=int(RATE_HZ), rpm=RPM)
    return path


def test_the_damaged_part_is_named_with_its_lines(npz: Path) -> None:
    found = examined(npz, "--bearing", "SKF 6205")
    assert (found["speed_rpm"], found["velocity"]["zone"], found["bearing"]["fault"]) == (RPM, "A", "outer_race")
    assert found["bearing"]["lines"][0]["hz"] == pytest.approx(BPFO * RPM / 60, rel=0.02)
    said = run(npz, "--bearing", "SKF 6205").stdout
    assert "outer race damage" in said
    assert "BPFO" in said


def test_geometry_stands_in_for_a_designation(npz: Path) -> None:
    found = examined(npz, "--geometry", "balls=9,ball_diameter=7.94,pitch_diameter=39.04,contact_angle=0")
    assert found["bearing"]["fault"] == "outer_race"


@pytest.mark.parametrize("band", ["kurtogram", "2000-5000"])
def test_the_band_may_be_chosen(npz: Path, band: str) -> None:
    assert examined(npz, "--bearing", "6205", "--band", band)["bearing"]["fault"] == "outer_race"


def test_a_healthy_recording_shows_no_damage(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=HEALTHY, fs=RATE_HZ, rpm=RPM)
    assert examined(tmp_path / "x.npz", "--bearing", "6205")["bearing"]["fault"] is None
    assert "no damage shown" in run(tmp_path / "x.npz", "--bearing", "6205").stdout


@pytest.mark.parametrize("scale", [0.1, -3.0])
def test_scale_and_polarity_change_no_diagnosis(npz: Path, scale: float) -> None:
    assert examined(npz, "--bearing", "6205", "--scale", scale)["bearing"]["fault"] == "outer_race"


@pytest.mark.parametrize("width", [1, 2, 3, 4])
def test_wav(tmp_path: Path, width: int) -> None:
    full = DAMAGED / np.abs(DAMAGED).max() * 0.9
    with wave.open(str(tmp_path / "x.wav"), "wb") as file:
        file.setparams((2, width, int(RATE_HZ), 0, "NONE", ""))
        whole = np.round(full * (2.0 ** (8 * width - 1) - 1)).astype(np.int64) + (128 if width == 1 else 0)
        both = np.repeat(whole, 2)
        raw = both.astype("<i8").view(np.uint8).reshape(-1, 8)[:, :width]
        file.writeframes(raw.tobytes())
    found = examined(tmp_path / "x.wav", "--bearing", "6205", "--speed-rpm", RPM, "--channel", 1, "--scale", 5)
    assert found["bearing"]["fault"] == "outer_race"
    assert found["overall"]["peak"] == pytest.approx(4.5, rel=0.02)


@pytest.mark.parametrize("head", [True, False])
def test_csv_with_and_without_a_head(tmp_path: Path, head: bool) -> None:
    rows = [f"{i / RATE_HZ:.6f},{value:.5f}" for i, value in enumerate(DAMAGED)]
    (tmp_path / "x.csv").write_text("\n".join([*(["time,acceleration"] if head else []), *rows]))
    more = [] if head else ["--rate-hz", RATE_HZ, "--channel", 1]
    assert examined(tmp_path / "x.csv", "--bearing", "6205", "--speed-rpm", RPM, *more)["bearing"]["fault"] == "outer_race"


def test_mat_with_the_names_of_a_laboratory(tmp_path: Path) -> None:
    from scipy.io import savemat

    savemat(tmp_path / "97.mat", {"X097_DE_time": DAMAGED[:, None], "X097RPM": RPM})
    found = examined(tmp_path / "97.mat", "--bearing", "6205", "--rate-hz", RATE_HZ)
    assert (found["speed_rpm"], found["bearing"]["fault"]) == (RPM, "outer_race")


def test_the_picture_is_a_png_with_the_lines(npz: Path, tmp_path: Path) -> None:
    plot = tmp_path / "out.png"
    assert run(npz, "--bearing", "6205", "--plot", plot).exit_code == 0
    data = plot.read_bytes()
    assert data.startswith(b"\x89PNG\r\n\x1a\n")
    assert 5_000 < len(data) < 200_000
    assert run(npz, "--bearing", "6205", "--plot", plot, "--zoom", "20-40").exit_code == 0
    assert plot.read_bytes() != data


@pytest.mark.parametrize(
    ("samples", "more", "trouble"),
    [
        (np.zeros(20_000), [], "zeros"),
        (np.full(20_000, 0.4), [], "dead"),
        (np.clip(DAMAGED, -0.1, 0.1), [], "clipped"),
        (DAMAGED + 20, [], "offset"),
        (DAMAGED * 20_000, [], "unit"),
        (DAMAGED, ["--rate-hz", 1], "too_slow"),
    ],
)
def test_what_cannot_be_believed_gets_its_name_and_no_diagnosis(
    tmp_path: Path, samples: np.ndarray, more: list[object], trouble: str
) -> None:
    np.savez(tmp_path / "x.npz", x=samples.astype(np.float32), fs=RATE_HZ, rpm=RPM)
    found = examined(tmp_path / "x.npz", "--bearing", "6205", *more)
    assert found["trouble"]["name"] == trouble
    assert found["bearing"] == {"fault": None, "silent": f"{trouble}: {found['trouble']['said']}"}
    assert found["velocity"] is None


def test_a_pump_is_judged_by_the_zones_of_pumps(npz: Path) -> None:
    assert examined(npz, "--pump", 1)["velocity"]["limits"] == [2.5, 4.0, 6.6]
    assert examined(npz, "--pump", 2, "--above-200-kw")["velocity"]["limits"] == [4.2, 6.1, 9.5]
    assert examined(npz, "--zones", "1,2,3")["velocity"]["limits"] == [1, 2, 3]


def test_gravity_is_no_offset(tmp_path: Path) -> None:
    np.savez(tmp_path / "x.npz", x=DAMAGED + 1, fs=RATE_HZ, rpm=RPM)
    assert examined(tmp_path / "x.npz", "--bearing", "6205")["bearing"]["fault"] == "outer_race"


def test_a_speed_the_spectrum_contradicts_gets_no_diagnosis(tmp_path: Path) -> None:
    t = np.arange(60_000) / RATE_HZ
    shaft = sum(0.2 / k * np.sin(2 * np.pi * k * RPM / 60 * t + k) for k in (1, 2, 3, 4))
    np.savez(tmp_path / "x.npz", x=(DAMAGED + shaft).astype(np.float32), fs=RATE_HZ)
    assert examined(tmp_path / "x.npz", "--bearing", "6205", "--speed-rpm", RPM)["bearing"]["fault"] == "outer_race"
    for wrong in (RPM * 1.05, RPM / 1.05):
        found = examined(tmp_path / "x.npz", "--bearing", "6205", "--speed-rpm", wrong)["bearing"]
        assert found["fault"] is None
        assert found["silent"].startswith("speed: the spectrum shows 1797 rpm")


@pytest.mark.parametrize(
    ("rpm", "said"), [(0, "the shaft stands still"), (12, "the shaft stands still"), (1e8, "too few revolutions, or the sampling")]
)
def test_a_speed_no_bearing_can_be_judged_at_gets_no_diagnosis(npz: Path, rpm: float, said: str) -> None:
    found = examined(npz, "--bearing", "6205", "--speed-rpm", rpm)["bearing"]
    assert found["fault"] is None
    assert said in found["silent"]


def test_a_shaft_that_turns_backwards_is_a_turning_shaft(npz: Path) -> None:
    assert examined(npz, "--bearing", "6205", "--speed-rpm", -RPM)["bearing"]["fault"] == "outer_race"


def test_without_a_speed_it_is_taken_from_a_spectrum_that_shows_it_surely(tmp_path: Path) -> None:
    t = np.arange(60_000) / RATE_HZ
    shaft = sum(0.2 / k * np.sin(2 * np.pi * k * RPM / 60 * t + k) for k in (1, 2, 3, 4))
    np.savez(tmp_path / "x.npz", x=(DAMAGED + shaft).astype(np.float32), fs=RATE_HZ)
    np.savez(tmp_path / "y.npz", x=noise(1, 60_000), fs=RATE_HZ)
    found = examined(tmp_path / "x.npz", "--bearing", "6205")
    assert (found["speed_from"], found["bearing"]["fault"]) == ("spectrum", "outer_race")
    assert examined(tmp_path / "y.npz", "--bearing", "6205")["bearing"]["silent"].startswith("the speed is not known")


def test_a_speed_that_varies_is_followed_by_its_tacho(tmp_path: Path) -> None:
    """From 1500 to 1980 rpm in five seconds: its lines are smeared over a quarter of their frequency."""
    t = np.arange(60_000) / RATE_HZ
    turns = 25 * t + 0.8 * t**2
    strikes = np.searchsorted(BPFO * turns, np.arange(1, int(BPFO * turns[-1])))
    ringing = np.exp(-t[:120] / 0.0008) * np.sin(2 * np.pi * 3300 * t[:120])
    hits = np.zeros(60_000)
    hits[strikes] = 0.3
    x = np.convolve(hits, ringing)[:60_000] + np.random.default_rng(1).normal(0, 0.1, 60_000)
    np.savez(tmp_path / "x.npz", x=x.astype(np.float32), key=(turns % 1 < 0.05).astype(np.float32), fs=RATE_HZ)
    found = examined(tmp_path / "x.npz", "--channel", "x", "--tacho", "key", "--bearing", "6205")
    assert (found["bearing"]["fault"], found["speed_rpm"]) == ("outer_race", pytest.approx(1740, abs=15))
    assert found["bearing"]["parts"]["outer_race"]["slip_percent"] == pytest.approx(0, abs=0.5)
    blind = examined(tmp_path / "x.npz", "--channel", "x", "--speed-rpm", 1740, "--bearing", "6205")
    assert blind["bearing"]["fault"] != "outer_race" or blind["bearing"]["score"] < found["bearing"]["score"]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (["absent.npz"], "No such file or directory"),
        (["x.xls"], "cannot read .xls; give .npz, .wav, .csv, .mat"),
        (["short.csv"], "channel 0 has 3 samples; 1024 are the fewest that tell anything"),
        (["words.csv"], "line 3 is not 2 numbers"),
        (["gaps.csv"], "not evenly spaced"),
        (["norate.npz"], "does not tell its sampling rate; give --rate-hz"),
        (["broken.npz"], "is no npz file that can be read"),
        (["broken.mat"], "is no mat file that can be read"),
        (["broken.wav"], "is no wav file that can be read"),
        (["nan.npz"], "holds values that are no numbers"),
        (["norate.npz", "--channel", "y"], "has no channel 'y'; there are x"),
        (["ok.npz", "--bearing", "SKF 6250"], "did you mean"),
        (["ok.npz", "--bearing", "6205", "--geometry", "balls=8"], "not both"),
        (["ok.npz", "--geometry", "balls=8,diameter=3"], "--geometry knows no 'diameter'"),
        (["ok.npz", "--geometry", "balls=8"], "--geometry needs ball_diameter, pitch_diameter above 0"),
        (["ok.npz", "--geometry", "balls=80,ball_diameter=10,pitch_diameter=50"], "do not fit"),
        (["ok.npz", "--geometry", "balls=x,ball_diameter=10,pitch_diameter=50"], "'x' is no number that can be meant"),
        (["ok.npz", "--tacho", "quiet"], "pulses; 10 revolutions are the fewest"),
        (["ok.npz", "--geometry", "balls=9,ball_diameter=8,pitch_diameter=39,contact_angle=95"], "below 90"),
        (["ok.npz", "--rate-hz", "inf"], "--rate-hz: inf cannot be meant"),
        (["ok.npz", "--speed-rpm", "nan"], "--speed-rpm: nan cannot be meant"),
        (["ok.npz", "--scale", "nan"], "--scale: nan cannot be meant"),
        (["ok.npz", "--level", "nan"], "--level: nan cannot be meant"),
        (["ok.npz", "--zones", "3,2,1"], "three rising limits"),
        (["ok.npz", "--band", "5000"], "LOW-HIGH"),
        (["ok.npz", "--band", "5000-100"], "begin below its end"),
        (["ok.npz", "--plot", "no/such/folder/x.png"], "No such file or directory"),
    ],
)
def test_wrong_input_is_one_clear_line(tmp_path: Path, arguments: list[str], problem: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    np.savez("ok.npz", x=HEALTHY, fs=RATE_HZ, quiet=np.zeros(50_000))
    np.savez("norate.npz", x=HEALTHY)
    np.savez("nan.npz", x=np.where(np.arange(60_000) == 7, np.nan, HEALTHY), fs=RATE_HZ)
    for name, text in (
        ("x.xls", "x"),
        ("short.csv", "1\n2\n3\n"),
        ("words.csv", "t,x\n1,2\n3,four\n"),
        ("gaps.csv", "t,x\n0,1\n1,1\n9,1\n"),
    ):
        Path(name).write_text(text)
    for name in ("broken.npz", "broken.mat", "broken.wav"):
        Path(name).write_bytes(b"RIFF but nothing else of it" * 30)
    result = run(*arguments)
    assert result.exit_code == 2
    assert problem in result.stderr
    assert result.stderr.count("\n") == 1
    assert result.stderr.startswith("vibration: ")
    assert result.stdout == ""


@pytest.mark.parametrize("ending", ["npz", "mat", "csv", "wav"])
def test_a_damaged_file_is_one_clear_line_or_examined_all_the_same(tmp_path: Path, ending: str) -> None:
    from scipy.io import savemat

    x, whole, spoilt = HEALTHY[:3000], tmp_path / f"a.{ending}", tmp_path / f"b.{ending}"
    if ending == "npz":
        np.savez(whole, x=x, fs=RATE_HZ)
    elif ending == "mat":
        savemat(whole, {"x": x, "fs": RATE_HZ})
    elif ending == "csv":
        whole.write_text("time,x\n" + "\n".join(f"{i / RATE_HZ},{value}" for i, value in enumerate(x)))
    else:
        with wave.open(str(whole), "wb") as file:
            file.setparams((1, 2, int(RATE_HZ), 0, "NONE", ""))
            file.writeframes((x * 10_000).astype("<i2").tobytes())
    random = np.random.default_rng(1)
    for number in range(40):
        data = bytearray(whole.read_bytes())
        if number % 3 == 0 or ending == "mat":
            del data[int(random.integers(len(data))) :]
        # SciPy's reader of mat files ends the process on some flipped bytes.
        for at in () if ending == "mat" else random.integers(0, max(1, min(len(data), 600)), 4):
            if at < len(data):
                data[at] = int(random.integers(256))
        spoilt.write_bytes(data)
        result = run(spoilt, "--bearing", "6205", "--speed-rpm", RPM)
        assert result.exit_code == 0 or (result.exit_code == 2 and result.stderr.count("\n") == 1), (number, result.exception)
