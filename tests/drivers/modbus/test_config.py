"""Addresses as manuals write them, and options that cannot work."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from drivers.modbus.config import ModbusOptions, ModbusTag, address
from gateway.contract import ConfigError
from gateway.testkit.servers.modbus import Plc


@pytest.mark.parametrize(
    ("given", "numbering", "expected"),
    [
        ({"at": 40001}, "modicon", ("holding", 0)),
        ({"at": 40011}, "modicon", ("holding", 10)),
        ({"at": 49999}, "modicon", ("holding", 9998)),
        ({"at": 400001}, "modicon", ("holding", 0)),
        ({"at": 465536}, "modicon", ("holding", 65535)),
        ({"at": 30020}, "modicon", ("input", 19)),
        ({"at": 300020}, "modicon", ("input", 19)),
        ({"at": 10003}, "modicon", ("discrete", 2)),
        ({"at": 1}, "modicon", ("coil", 0)),
        ({"at": 9999}, "modicon", ("coil", 9998)),
        ({"at": 17, "table": "holding"}, "modicon", ("holding", 16)),
        ({"at": 0}, "zero_based", ("holding", 0)),
        ({"at": 65535, "table": "input"}, "zero_based", ("input", 65535)),
        ({"at": 1, "table": "coil"}, "one_based", ("coil", 0)),
        ({"at": 40011}, "zero_based", ("holding", 40011)),
        ({"at": "40011"}, "modicon", ("holding", 10)),
        ({"at": "0x000A"}, "modicon", ("holding", 10)),
        ({"at": "0x000A", "table": "input"}, "one_based", ("input", 10)),
        ({"at": "0xffff"}, "zero_based", ("holding", 65535)),
        ({"at": "4x0011"}, "zero_based", ("holding", 10)),
        ({"at": "3X00020"}, "modicon", ("input", 19)),
    ],
)
def test_address_is_the_one_of_the_manual(given: dict[str, Any], numbering: str, expected: tuple[str, int]) -> None:
    assert address(ModbusTag.model_validate(given), numbering) == expected


@pytest.mark.parametrize(
    ("given", "numbering", "words"),
    [
        ({"at": 50001}, "modicon", "no Modicon address"),
        ({"at": 20001}, "modicon", "no Modicon address"),
        ({"at": 40000}, "modicon", "outside"),
        ({"at": 0}, "modicon", "outside"),
        ({"at": 0}, "one_based", "outside"),
        ({"at": 465537}, "modicon", "outside"),
        ({"at": 65536}, "zero_based", "outside"),
        ({"at": 10001, "as": "float32"}, "modicon", "is a bool"),
        ({"at": 40001, "as": "bool"}, "modicon", "needs bit"),
        ({"at": "0x1FFFF"}, "modicon", "outside"),
        ({"at": "3x0011", "table": "holding"}, "modicon", "is an input address, table says holding"),
        ({"at": 1, "bit": 3}, "modicon", "has no bit"),
    ],
)
def test_address_that_makes_no_sense_is_told_in_words(given: dict[str, Any], numbering: str, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        address(ModbusTag.model_validate(given), numbering)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"modbus": "10.1.4.7:502"}, "write tcp://host"),
        ({"modbus": "rtu://dev/ttyUSB0"}, "three slashes"),
        ({"modbus": "rtu:///dev/ttyUSB0?baud=19201"}, "no baud rate"),
        ({"modbus": "rtu:///dev/ttyUSB0?baud=fast"}, "whole numbers"),
        ({"modbus": "rtu:///dev/ttyUSB0?parity=X"}, "parity is E, O or N"),
        ({"modbus": "rtu:///dev/ttyUSB0?stop=3"}, "stop is 1 or 2"),
        ({"modbus": "rtu:///dev/ttyUSB0?speed=9600"}, "unknown speed"),
        ({"modbus": "rtu+tcp://moxa"}, "needs a port"),
        ({"modbus": "tcp://plc:0"}, "no valid port"),
        ({"modbus": "tcp://plc?baud=9600"}, "is not supported"),
        ({"modbus": "tcp://plc", "ca": "ca.pem"}, "tls:// only"),
        ({"modbus": "tls://plc", "key": "key.pem"}, "key needs certificate"),
        ({"modbus": "tcp://plc", "forbidden": ["40120-40100"]}, "from a lower to a higher"),
        ({"modbus": "tcp://plc", "forbidden": ["40100-30120"]}, "from a lower to a higher"),
        ({"modbus": "tcp://plc", "forbidden": ["here"]}, "is no address"),
        ({"modbus": "tcp://plc", "forbidden": ["1-20"], "coils_start_at_zero": True}, "none can be forbidden"),
        ({"modbus": "tcp://plc", "groups": {"Fast": "1s"}}, "match pattern"),
        ({"modbus": "tcp://plc", "groups": {"fast": "0s"}}, "greater than 0"),
        ({"modbus": "tcp://"}, "write tcp://host"),
        ({"modbus": "tcp://plc:99999"}, "no valid port"),
        ({"modbus": "tcp://plc/path"}, "write tcp://host"),
        ({"modbus": "tcp://plc", "max_registers": 126}, "less than or equal to 125"),
        ({"modbus": "tcp://plc", "unit_id": 256}, "less than or equal to 255"),
        ({"modbus": "tcp://plc", "timeout": "0s"}, "greater than 0"),
        ({"modbus": "tcp://plc", "poll_seconds": -1}, "greater than or equal to 0"),
    ],
)
def test_options_that_cannot_work_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ValidationError, match=words):
        ModbusOptions.model_validate(options)


@pytest.mark.parametrize(
    "given",
    [
        {"at": 40001, "bit": 3, "as": "int16"},
        {"at": 40001, "kind": "waveform"},
        {"at": 40001, "bit": 16},
        {"at": 40001, "bits": [5, 3]},
        {"at": 40001, "bits": [3, 16]},
        {"at": 40001, "bits": [3, 5], "bit": 1},
        {"at": 40001, "bits": [3, 5], "as": "int16"},
        {"at": 40001, "as": "text"},
        {"at": 40001, "as": "text", "registers": 4},
        {"at": 40001, "as": "text", "registers": 4, "states": {}},
        {"at": 40001, "registers": 4},
        {"at": "%MW10"},
        {"at": "4oo13"},
        {"at": 40001, "scale_from": "x"},
    ],
)
def test_tags_that_contradict_themselves_are_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        ModbusTag.model_validate(given)


def test_default_port_is_502() -> None:
    assert ModbusOptions.model_validate({"modbus": "tcp://plc"}).endpoint.peer == "plc:502"
    assert (
        ModbusOptions.model_validate({"modbus": "modbus://plc"}).endpoint == ModbusOptions.model_validate({"modbus": "tcp://plc"}).endpoint
    )
    assert ModbusOptions.model_validate({"modbus": "tls://plc"}).endpoint.peer == "plc:802"


@pytest.mark.parametrize(
    ("tag", "options", "words"),
    [
        ({"at": 50001}, {}, "m1/t: 50001 is no Modicon address"),
        ({"at": 465536, "as": "float32"}, {}, "m1/t: 465536 as float32 reaches beyond the last address"),
        ({"at": 40001, "as": "float64"}, {"max_registers": 3}, "m1/t: float64 takes 4 registers, max_registers is 3"),
        ({"at": 40110}, {"forbidden": ["40100-40120"]}, "m1/t: 40110 is forbidden"),
        ({"at": 40099, "as": "float32"}, {"forbidden": ["40100-40120"]}, "m1/t: 40099 is forbidden"),
        ({"at": 40001, "group": "slow"}, {"groups": {"fast": "1s"}}, "m1/t: there is no group 'slow'; the source has fast"),
        ({"at": 2001}, {"coils_start_at_zero": True, "max_coils": 2000}, "m1/t: 2001 cannot be read from the first coil on"),
        ({"at": 40001, "scale_from": 1}, {}, "m1/t: scale_from 1 is no register"),
        ({"at": 30001, "writable": [0, 1]}, {}, "m1/t: an input register cannot be written"),
        ({"at": 10001, "writable": [0, 1]}, {}, "m1/t: a discrete input cannot be written"),
        ({"at": 40001, "bit": 1, "writable": [0, 1]}, {}, "m1/t: bits of a register cannot be written"),
    ],
)
async def test_constructor_names_the_tag_that_cannot_be_read(make: Any, plc: Plc, tag: Any, options: Any, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        make(plc.url, {"t": tag}, **options)
