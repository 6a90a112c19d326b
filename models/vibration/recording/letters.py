"""Letters for pictures: three by five dots, doubled; capitals only. Each is five octal digits, a row each."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

_DOTS = {
    "0": "75557", "1": "26227", "2": "71747", "3": "71317", "4": "55711", "5": "74717", "6": "74757", "7": "71122", "8": "75757",
    "9": "75717", "A": "25755", "B": "65656", "C": "34443", "D": "65556", "E": "74647", "F": "74644", "G": "34553", "H": "55755",
    "I": "72227", "J": "11152", "K": "55655", "L": "44447", "M": "57755", "N": "57775", "O": "25552", "P": "65644", "Q": "25563",
    "R": "65655", "S": "34216", "T": "72222", "U": "55557", "V": "55552", "W": "55775", "X": "55255", "Y": "55222", "Z": "71247",
    ".": "00002", ",": "00024", "-": "00700", "+": "02720", "/": "11244", "%": "51245", ":": "02020", "(": "12221", ")": "42224",
    "=": "07070", "_": "00007", " ": "00000",
}  # fmt: skip
_SCALE = 2
WIDTH, HEIGHT = 4 * _SCALE, 5 * _SCALE


def pixels(text: str) -> NDArray[np.bool_]:
    """bool[HEIGHT, WIDTH * len(text)]; what has no dots of its own is a full box.

    >>> pixels("1").shape, int(pixels("-").sum())
    ((10, 8), 12)
    """
    rows = np.zeros((5, 4 * len(text)), dtype=np.bool_)
    for at, letter in enumerate(text.upper()):
        for row, digit in enumerate(_DOTS.get(letter, "77777")):
            rows[row, 4 * at : 4 * at + 3] = [int(digit) >> shift & 1 for shift in (2, 1, 0)]
    return np.kron(rows, np.ones((_SCALE, _SCALE), dtype=np.bool_))
