"""The pictures of models/anomaly/README.md, drawn by the code they explain: python -m benchmarks.analytics.pictures"""

from __future__ import annotations

import re
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parents[2]
TARGET = ROOT / "models/anomaly/pictures"
_COMMAND = (
    *("lineside", "backtest", "docs/examples/sensitivity/usual.yaml", "tests/data/nab/machine_temperature_system_failure.csv"),
    *("--labels", "tests/data/nab/windows.json", "--report"),
)
_PICTURE = re.compile(r"<svg .*?</svg>", re.DOTALL)


def main() -> int:
    """The whole recording of docs/sensitivity.md, and one of its alarms."""
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "report.html"
        subprocess.run([*_COMMAND, str(report)], cwd=ROOT, check=True)
        page = report.read_text(encoding="utf-8")
    style = page[page.index("<style>") + 7 : page.index("</style>")]
    drawn = _PICTURE.findall(page)
    TARGET.mkdir(exist_ok=True)
    for name, picture in (("recording", drawn[0]), ("alarm", drawn[3])):
        alone = picture.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1)
        alone = alone.replace(">", f'><style>{style}</style><rect width="100%" height="100%" fill="#fff"/>', 1)
        (TARGET / f"{name}.svg").write_text(alone + "\n", encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
