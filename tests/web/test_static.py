"""What the page is made of: shipped with the package, nothing from elsewhere, names never as markup."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.web.server import STATIC

OWN = sorted(path for path in STATIC.rglob("*") if path.suffix in {".html", ".css", ".js", ".svg"} and "vendor" not in path.parts)


def test_uplot_is_vendored_with_its_licence_and_version() -> None:
    folder = STATIC / "vendor" / "uplot"
    version = re.search(r"uPlot (\d+\.\d+\.\d+)", (folder / "VERSION").read_text())
    assert version is not None
    assert f"v{version[1]}" in (folder / "uPlot.esm.js").read_text()[:400]
    assert "MIT" in (folder / "LICENSE").read_text()


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_no_file_asks_for_anything_outside(path: Path) -> None:
    addresses = set(re.findall(r"(?:https?:)?//[a-z0-9][^\s\"'<>)`]*", path.read_text())) - {"http://www.w3.org/2000/svg"}
    assert addresses == set()


@pytest.mark.parametrize("path", [path for path in OWN if path.suffix == ".js"], ids=lambda path: path.name)
def test_no_script_turns_text_into_markup(path: Path) -> None:
    forbidden = r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|DOMParser|srcdoc"
    assert re.findall(forbidden, path.read_text()) == []


@pytest.mark.parametrize("path", OWN, ids=lambda path: path.name)
def test_every_file_that_is_named_exists(path: Path) -> None:
    for name in re.findall(r"[\"'](/static/[^\"']+|\./[^\"']+\.js)[\"']", path.read_text()):
        target = STATIC / name.removeprefix("/static/") if name.startswith("/static/") else path.parent / name
        assert target.is_file(), name


def test_the_page_has_no_inline_script_or_style() -> None:
    page = (STATIC / "index.html").read_text()
    assert re.findall(r"<script(?![^>]*\bsrc=)|<style|\sstyle=|\son[a-z]+=", page) == []
