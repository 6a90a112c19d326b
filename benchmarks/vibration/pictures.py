"""Draws the pictures of `models/vibration/README.md` from signals that are made up, with the command an engineer types.

python -m benchmarks.vibration.pictures
"""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np
from click.testing import CliRunner

from gateway.testkit.rigs.vibration import BPFI, BPFO, RATE_HZ, RPM, bursts, noise
from models.vibration.recording.command import vibration

FOLDER = Path(__file__).parents[2] / "models" / "vibration" / "pictures"


def main() -> None:
    n = int(5 * RATE_HZ)
    t = np.arange(n) / RATE_HZ
    shaft = sum(0.03 / k * np.sin(2 * np.pi * k * RPM / 60 * t + k) for k in (1, 2, 3, 4))
    signals = {
        "healthy": noise(1, n) + shaft,
        "outer_race": bursts(1, BPFO, n) + shaft,
        "inner_race": bursts(1, BPFI, n, modulation=0.7) + shaft,
    }
    FOLDER.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        for name, samples in signals.items():
            file = Path(folder) / f"{name}.npz"
            np.savez(file, x=samples.astype(np.float32), fs=RATE_HZ, rpm=RPM)
            result = CliRunner().invoke(vibration, [str(file), "--bearing", "SKF 6205", "--plot", str(FOLDER / f"{name}.png")])
            print(result.output)


if __name__ == "__main__":
    main()
