"""The messages of the Sparkplug B payload: names and numbers of the fields of the specification's .proto, for Google's runtime.

As in the .proto, this is proto2: a text that is no UTF-8 is given as bytes and spoils nothing beside it.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError

PACKAGE = "lineside.sparkplug"
_VALUE = "int_value=uint32 long_value=uint64 float_value=float double_value=double boolean_value=bool string_value=string"
# name -> fields in the order of their numbers: a star repeats; after a bar: the oneof `value`.
_MESSAGES = {
    "Payload": "1 timestamp=uint64 metrics=*Metric seq=uint64 uuid=string body=bytes",
    "Metric": "1 name=string alias=uint64 timestamp=uint64 datatype=uint32 is_historical=bool is_transient=bool is_null=bool 9 "
    f"properties=PropertySet | {_VALUE} bytes_value=bytes dataset_value=DataSet template_value=Template",
    "PropertySet": "1 keys=*string values=*PropertyValue",
    "PropertyValue": f"1 type=uint32 is_null=bool | {_VALUE}",
    "DataSet": "1 num_of_columns=uint64 columns=*string types=*uint32 rows=*Row",
    "Row": "1 elements=*Cell",
    "Cell": f"1 | {_VALUE}",
    "Template": "1 version=string metrics=*Metric 4 template_ref=string is_definition=bool",
}
_SCALARS = {"uint32": 13, "uint64": 4, "float": 2, "double": 1, "bool": 8, "string": 9, "bytes": 12}
_MESSAGE, _OPTIONAL, _REPEATED = 11, 1, 3
COMPRESSED = "SPBV1.0_COMPRESSED"
"""The uuid of a payload whose body is another one, by zlib or gzip: a convention of the first libraries."""
MOST_BYTES, CROWDED_BYTES = 16 << 20, 1 << 20
_ZLIB_OR_GZIP = 47
_NESTING = (b"\x0a", b"\x12", b"\x22")
"""First bytes of metrics, rows and cells inside what holds them."""


def _fields(text: str) -> Iterator[tuple[int, str, str, bool]]:
    """(number, name, type, whether it is one of `value`); a number in the text is that of the next field."""
    number, chosen = 1, False
    for word in text.split():
        if word.isdigit():
            number = int(word)
        elif word == "|":
            chosen = True
        else:
            name, kind = word.split("=")
            yield number, name, kind, chosen
            number += 1


def _classes() -> dict[str, Any]:
    file = descriptor_pb2.FileDescriptorProto(name=f"{PACKAGE}.proto", package=PACKAGE, syntax="proto2")
    for message, text in _MESSAGES.items():
        made = file.message_type.add(name=message)
        if "|" in text:
            made.oneof_decl.add(name="value")
        for number, name, kind, chosen in _fields(text):
            label = _REPEATED if kind[0] == "*" else _OPTIONAL
            kind = kind.lstrip("*")
            field = made.field.add(name=name, number=number, label=label, type=_SCALARS.get(kind, _MESSAGE))
            if kind not in _SCALARS:
                field.type_name = f".{PACKAGE}.{kind}"
            if chosen:
                field.oneof_index = 0
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return {name: message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{PACKAGE}.{name}")) for name in _MESSAGES}


Payload: Any = _classes()["Payload"]
_parse: Callable[[bytes], Any] = Payload.FromString


def decode(raw: bytes, most_bytes: int = MOST_BYTES) -> Any | None:
    """A Payload, unpacked if it is compressed; None if the bytes are none, or more than `most_bytes` once unpacked."""
    if _is_crowded(raw):
        return None
    try:
        payload = _parse(raw)
        if payload.uuid != COMPRESSED:
            return payload
        inflate = zlib.decompressobj(wbits=_ZLIB_OR_GZIP)
        inner = inflate.decompress(payload.body, most_bytes)
        return _parse(inner) if inflate.eof and not _is_crowded(inner) else None
    except (DecodeError, zlib.error):
        return None


def _is_crowded(raw: bytes) -> bool:
    """Larger than any birth of a sane node and made of almost nothing but messages in messages: two bytes each, a hundred in memory."""
    return len(raw) > CROWDED_BYTES and sum(map(raw.count, _NESTING)) > len(raw) // 8
