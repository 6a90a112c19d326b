"""A posted body, by its type, to what is in it: all of it or none. Pure."""

from __future__ import annotations

import codecs
import io
from collections.abc import Iterator
from email.message import Message

from drivers.rows.documents import document_rows, line_rows
from drivers.rows.mapper import Mapper, Taken
from drivers.rows.places import Steps
from drivers.rows.row import Refused, Row, Unreadable
from drivers.rows.table import table_rows

TYPES = {
    "application/json": "json",
    "application/x-ndjson": "ndjson",
    "application/ndjson": "ndjson",
    "application/jsonl": "ndjson",
    "text/csv": "csv",
}
MOST_TOLD = 20
# Those that are decoded in one pass; Python knows others, such as punycode, that take hours for a megabyte.
_CHARSETS = {"utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "ascii", "cp437", "cp850", "cp852", "mac-roman"}
_CHARSETS |= (
    {f"cp125{n}" for n in range(9)} | {f"iso8859-{n}" for n in range(1, 17)} | {"gbk", "gb18030", "big5", "shift_jis", "cp932", "euc_jp"}
)
_CHARSETS |= {"euc_kr", "koi8-r"}


def form(content_type: str) -> tuple[str, str] | None:
    """(form, charset), or None for a type we do not take.

    >>> form("text/csv; charset=windows-1252"), form("application/JSON"), form("text/html")
    (('csv', 'windows-1252'), ('json', 'utf-8-sig'), None)
    """
    message = Message()
    message["content-type"] = content_type
    kind = TYPES.get(message.get_content_type()) if content_type else None
    if kind is None:
        return None
    charset = str(message.get_content_charset() or "utf-8")
    return kind, "utf-8-sig" if charset in ("utf-8", "utf8") else charset


def read(body: bytes, kind: str, charset: str, mapper: Mapper, *, inside: Steps, delimiter: str, now_ns: int) -> Taken:
    """Of a body that is not wholly good only `refused` is to be used.

    raises Unreadable
    """
    taken = Taken()
    for row in _rows(body, kind, charset, mapper, inside, delimiter):
        if isinstance(row, Refused):
            taken.refused.append(row)
        else:
            mapper.take(row, now_ns, taken)
        if len(taken.refused) > MOST_TOLD:
            break
    return taken


def _rows(body: bytes, kind: str, charset: str, mapper: Mapper, inside: Steps, delimiter: str) -> Iterator[Row | Refused]:
    if kind == "csv":
        return table_rows(io.StringIO(_text(body, charset), newline=""), delimiter, mapper.columns)
    plain = _text(body, charset).encode() if charset != "utf-8-sig" else body.removeprefix(b"\xef\xbb\xbf")
    return document_rows(plain, inside) if kind == "json" else line_rows(plain.split(b"\n"))


def _text(body: bytes, charset: str) -> str:
    try:
        if codecs.lookup(charset).name not in _CHARSETS:
            raise LookupError
        return body.decode(charset)
    except UnicodeDecodeError as exc:
        raise Unreadable(f"line {body[: exc.start].count(10) + 1}", f"byte {body[exc.start]:#x} is not {charset}") from exc
    except LookupError as exc:
        raise Unreadable("", f"the charset {charset[:40]!r} is not taken") from exc
