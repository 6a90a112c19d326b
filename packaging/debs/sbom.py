"""The bill of materials of a package: CycloneDX 1.6, from the lock and the wheels' own metadata."""

from __future__ import annotations

from base64 import b64decode
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.contrib.license.factories import LicenseFactory
from cyclonedx.model import HashAlgorithm, HashType
from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.output.json import JsonV1Dot6
from packageurl import PackageURL

from debs.target import ROOT
from debs.wheels import Wheel


def sbom(package: str, version: str, licence: str, wheels: Iterable[Wheel], epoch: int) -> str:
    """As JSON. Its serial number is made of name, version, time and what is in it: the same build gives the same file."""
    wheels = list(wheels)
    content = " ".join([package, version, str(epoch), *(wheel.sha256 for wheel in wheels)])
    bom = Bom(components=[*map(_component, wheels), *_vendored(package)], serial_number=uuid5(NAMESPACE_URL, content))
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


def _vendored(package: str) -> Iterator[Component]:
    """What the page carries, of which no lock knows; its note says version and integrity of the npm package."""
    if package == "lineside":
        note = (ROOT / "gateway/web/static/vendor/uplot/VERSION").read_text(encoding="utf-8")
        version, integrity = note.split()[1].rstrip(","), note.partition("sha512-")[2].split()[0]
        yield Component(
            type=ComponentType.LIBRARY,
            name="uplot",
            version=version,
            purl=PackageURL("npm", name="uplot", version=version),
            bom_ref=f"uplot@{version}",
            hashes=[HashType(alg=HashAlgorithm.SHA_512, content=b64decode(integrity).hex())],
            licenses=[LicenseFactory().make_from_string("MIT")],
        )


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
