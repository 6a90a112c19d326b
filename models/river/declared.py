"""What river says it has, read from its source: importing river costs too much for a mere check.

Nothing else of it can be named in a configuration, so a name in a file never becomes an import.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

KINDS = {
    "anomaly": ("AnomalyDetector",),
    "drift": ("DriftDetector",),
    "time_series": ("Forecaster",),
    "linear_model": ("Regressor",),
    "preprocessing": ("Transformer",),
    "feature_extraction": ("Transformer",),
    "neighbors": ("BaseNN",),
    "optim": ("Optimizer",),
    "optim.losses": ("RegressionLoss",),
    "optim.schedulers": ("Scheduler",),
}
"""Module of river, and the classes whose children can be used here: no target but a tag, a number for a row."""
NEVER = frozenset(
    {"DummyDriftDetector", "NoDrift"}  # they tell drift by the calendar, or not at all
    | {"FeatureHasher", "GapEncoder", "OneHotEncoder", "OrdinalEncoder", "BagOfWords", "TFIDF", "LDA"}  # texts and classes
    | {"PreviousImputer", "StatImputer"}  # rows with missing values are never learnt
    | {"Agg", "TargetAgg", "RandomTreesEmbedding", "SWINN"}  # want functions, grow, or only come near to what they are for
)


def declared() -> dict[str, tuple[str, ...]]:
    """Parameters of each usable class by its name, ``anomaly.LODA``; empty where river's source cannot be read."""
    spec = find_spec("river")
    folders = [Path(folder) for folder in spec.submodule_search_locations or ()] if spec else []
    return {
        f"{module}.{name}": parameters
        for module, parents in KINDS.items()
        for folder in folders
        for file in _files(folder, module)
        for name, parameters in _children(ast.parse(file.read_bytes()), {*parents, *(f"MiniBatch{parent}" for parent in parents)})
        if name not in NEVER
    }


def _files(folder: Path, module: str) -> list[Path]:
    place = folder.joinpath(*module.split("."))
    return sorted(place.glob("*.py")) if place.is_dir() else [place.with_suffix(".py")]


def _children(tree: ast.Module, parents: set[str]) -> Iterator[tuple[str, tuple[str, ...]]]:
    """Classes that name one of `parents` as a base, and what their constructors take."""
    for node in tree.body:
        if isinstance(node, ast.ClassDef) and parents & {_last(base) for base in node.bases}:
            yield node.name, tuple(name for member in node.body for name in _arguments(member))


def _last(base: ast.expr) -> str:
    """``base.AnomalyDetector`` and ``AnomalyDetector`` are one name."""
    return base.attr if isinstance(base, ast.Attribute) else base.id if isinstance(base, ast.Name) else ""


def _arguments(member: ast.stmt) -> list[str]:
    if not (isinstance(member, ast.FunctionDef) and member.name == "__init__"):
        return []
    return [argument.arg for argument in (*member.args.args, *member.args.kwonlyargs) if argument.arg != "self"]
