"""The bill of materials of a package: CycloneDX 1.6, from the lock and the wheels' own metadata."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from debs.wheels import Wheel


def sbom(package: str, version: str, licence: str, wheels: Iterable[Wheel], epoch: int) -> str:
    """As JSON. Its serial number is made of name, version and time: the same build gives the same file."""
    bom = Bom(components=[_component(wheel) for wheel in wheels], serial_number=uuid5(NAMESPACE_URL, f"{package} {version} {epoch}"))
    bom.metadata.timestamp = datetime.fromtimestamp(epoch, UTC)
    bom.metadata.component = Component(
        type=ComponentType.APPLICATION,
        name=package,
        version=version,
        licenses=[LicenseFactory().make_from_string(licence)],
        purl=PackageURL("deb", "lineside", package, version),
        bom_ref=package,
    )
    bom.register_dependency(bom.metadata.component, bom.components)
    return JsonV1Dot6(bom).output_as_string(indent=2) + "\n"


def _component(wheel: Wheel) -> Component:
    return Component(
        type=ComponentType.LIBRARY,
        name=wheel.name,
        version=wheel.version,
        purl=PackageURL("pypi", name=wheel.name, version=wheel.version),
        bom_ref=f"{wheel.name}@{wheel.version}",
        hashes=[HashType(alg=HashAlgorithm.SHA_256, content=wheel.sha256)],
        licenses=[LicenseFactory().make_from_string(licence_of(wheel))],
    )


def licence_of(wheel: Wheel) -> str:
    """An SPDX expression where the wheel states one, otherwise its own words, if they are not the whole text."""
    classifiers = [text.split(" :: ")[-1] for text in wheel.metadata.get_all("Classifier", []) if text.startswith("License :: ")]
    stated = str(wheel.metadata["License"] or "").strip()
    words = stated if stated and "\n" not in stated else ", ".join(classifiers)
    return str(wheel.metadata["License-Expression"] or words or "see its metadata")
