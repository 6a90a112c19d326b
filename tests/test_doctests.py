"""The examples in docstrings are true."""

from __future__ import annotations

import doctest
import importlib
import pkgutil
from pathlib import Path

import pytest

import drivers
import gateway
import models

PACKAGES = (gateway, drivers, models)


def _with_examples() -> list[str]:
    """Modules; those without an example are not imported for it by each worker."""
    root = Path(gateway.__path__[0]).parent
    files = [file for package in PACKAGES for file in Path(package.__path__[0]).rglob("*.py") if b">>> " in file.read_bytes()]
    return sorted(".".join(file.relative_to(root).with_suffix("").parts).removesuffix(".__init__") for file in files)


@pytest.mark.parametrize("name", _with_examples())
def test_examples(name: str) -> None:
    module, runner = importlib.import_module(name), doctest.DocTestRunner()
    for test in doctest.DocTestFinder().find(module):
        if test.examples:  # to run none takes a debugger, a hundred times as long as to see that there is none
            runner.run(test)
    assert runner.summarize().failed == 0
    assert runner.tries, "there is none"


def test_every_module_can_be_imported() -> None:
    names = [found.name for package in PACKAGES for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")]
    for name in names:
        if not name.endswith("__main__") and "_child" not in name:
            importlib.import_module(name)
    assert len(names) > 500
