"""The examples in docstrings are true."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import drivers
import gateway
import models

MODULES = sorted(
    found.name
    for package in (gateway, drivers, models)
    for found in pkgutil.walk_packages(package.__path__, f"{package.__name__}.")
    if not found.name.endswith("__main__") and "_child" not in found.name
)


@pytest.mark.parametrize("name", MODULES)
def test_examples(name: str) -> None:
    module, runner = importlib.import_module(name), doctest.DocTestRunner()
    for test in doctest.DocTestFinder().find(module):
        if test.examples:  # to run none takes a debugger, a hundred times as long as to see that there is none
            runner.run(test)
    assert runner.summarize().failed == 0


def test_there_are_examples() -> None:
    finder = doctest.DocTestFinder(exclude_empty=True)
    modules = [importlib.import_module(name) for name in MODULES]
    assert sum(bool(test.examples) for module in modules for test in finder.find(module)) > 30
