"""Half a character in JSON of others. Pure.

Some programs cut a text in the middle of a surrogate pair (JavaScript's `slice` does), and write what is left of it as an escape.
That is no Unicode, but the rest of the document is none the worse for it.
"""

from __future__ import annotations

import re

_ESCAPES = re.compile(rb"\\\\|\\u[dD][89abAB][\da-fA-F]{2}\\u[dD][c-fC-F][\da-fA-F]{2}|(\\u[dD][89a-fA-F][\da-fA-F]{2})")


def mended(document: bytes) -> bytes:
    r"""With U+FFFD for each half.

    >>> mended(rb'"\ud83d\udd25 hot \ud83d"')
    b'"\\ud83d\\udd25 hot \\ufffd"'
    """
    if b"\\u" not in document:
        return document
    return _ESCAPES.sub(lambda found: rb"\ufffd" if found[1] else found[0], document)
