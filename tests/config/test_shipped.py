"""Profiles that come with a driver."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.config import ConfigErrors, Settings, load, render

HEAD = "version: 1\nsite: {enterprise: acme, site: dresden, gateway: g1}\n"
MACHINE = 'machines:\n  meter:\n    profile: eastron-sdm630\n    source: {modbus: "tcp://10.1.4.7", unit_id: 3}\n'


def loaded(folder: Path, text: str) -> Settings:
    file = folder / "lineside.yaml"
    file.write_text(HEAD + text)
    return load(file, secrets=False)


def test_profile_of_the_driver_is_found_by_name(tmp_path: Path) -> None:
    (source,) = loaded(tmp_path, MACHINE).sources
    assert (source.options.unit_id, source.options.max_registers) == (3, 80)
    assert {tag.name: tag.options.at for tag in source.tags}["power"] == 30053


def test_machine_adds_to_it_and_goes_first(tmp_path: Path) -> None:
    (source,) = loaded(tmp_path, MACHINE + "    tags: {power: {unit: kW, scale: 0.001}, extra: {at: 30100}}\n").sources
    tags = {tag.name: tag.options for tag in source.tags}
    assert (tags["power"].at, tags["power"].unit, tags["extra"].at) == (30053, "kW", 30100)


def test_profile_of_the_file_goes_before_the_drivers(tmp_path: Path) -> None:
    own = "profiles: {eastron-sdm630: {tags: {mine: {at: 40001}}}}\n"
    (source,) = loaded(tmp_path, own + MACHINE).sources
    assert [tag.name for tag in source.tags] == ["mine"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (MACHINE.replace("sdm630", "sdm63"), "did you mean 'eastron-sdm630'"),
        (MACHINE.replace('modbus: "tcp://10.1.4.7", unit_id: 3', 'opcua: "opc.tcp://10.1.4.7"'), "there is no profile 'eastron-sdm630'"),
        (MACHINE.replace("unit_id: 3", "numbering: zero_based, forbidden: [holding 30053-30060]"), ":5:14: "),
    ],
)
def test_what_is_wrong_is_shown_where_the_profile_is_named(tmp_path: Path, text: str, words: str) -> None:
    with pytest.raises(ConfigErrors) as caught:
        loaded(tmp_path, text)
    assert words in render(caught.value.problems)
