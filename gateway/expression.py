"""The small language of `only_when`: comparisons of tags, joined by and, or, not."""

from __future__ import annotations

import ast
import math
import operator
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass

_COMPARE: dict[type[ast.cmpop], Callable[[float, float], bool]] = {
    ast.Eq: operator.eq,
    ast.NotEq: operator.ne,
    ast.Lt: operator.lt,
    ast.LtE: operator.le,
    ast.Gt: operator.gt,
    ast.GtE: operator.ge,
}
_ARITHMETIC: dict[type[ast.operator], Callable[[float, float], float]] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}
_LONGEST = 500


@dataclass(frozen=True)
class Expression:
    """A checked expression. A value that is missing or NaN makes every comparison with it false.

    >>> running = compile_expression("running == 1 and not speed < 300")
    >>> running({"running": 1, "speed": 1500}), running({"running": 1})
    (True, True)
    >>> compile_expression("speed > 300")({"speed": float("nan")})
    False
    """

    text: str
    names: frozenset[str]
    _root: ast.expr

    def __call__(self, values: Mapping[str, float]) -> bool:
        return _truth(self._root, values)


def compile_expression(text: str) -> Expression:
    """Raises ValueError, in words for a plant engineer, for anything but the small language."""
    if len(text) > _LONGEST:
        raise ValueError(f"longer than {_LONGEST} characters")
    try:
        root = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError) as exc:
        raise ValueError("cannot be read; write for example: running == 1 and speed > 300") from exc
    _check_truth(root)
    names = frozenset(node.id for node in ast.walk(root) if isinstance(node, ast.Name))
    if not names:
        raise ValueError("names no tag, so it would never change")
    return Expression(text, names, root)


def _check_truth(node: ast.expr) -> None:
    if isinstance(node, ast.BoolOp):
        for value in node.values:
            _check_truth(value)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
        _check_truth(node.operand)
    elif isinstance(node, ast.Compare):
        if not all(type(op) in _COMPARE for op in node.ops):
            raise ValueError("compare with ==, !=, <, <=, > or >=")
        for value in (node.left, *node.comparators):
            _check_number(value)
    elif not isinstance(node, ast.Name):
        raise ValueError(f"{ast.unparse(node)!r} is neither true nor false; write for example: speed > 300")


def _check_number(node: ast.expr) -> None:
    if isinstance(node, ast.BinOp) and type(node.op) in _ARITHMETIC:
        _check_number(node.left)
        _check_number(node.right)
    elif isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        _check_number(node.operand)
    elif isinstance(node, ast.Constant) and isinstance(node.value, int | float) and not isinstance(node.value, bool):
        if abs(node.value) > sys.float_info.max:
            raise ValueError("holds a number that is too large")
    elif not isinstance(node, ast.Name):
        raise ValueError(
            f"{ast.unparse(node)!r} is not allowed; tags, numbers, + - * / and comparisons are (a tag's name may not hold a '-')"
        )


def _truth(node: ast.expr, values: Mapping[str, float]) -> bool:
    if isinstance(node, ast.BoolOp):
        judge = all if isinstance(node.op, ast.And) else any
        return judge(_truth(value, values) for value in node.values)
    if isinstance(node, ast.UnaryOp):
        return not _truth(node.operand, values)
    if isinstance(node, ast.Compare):
        left = _number(node.left, values)
        for op, other in zip(node.ops, node.comparators, strict=True):
            right = _number(other, values)
            if math.isnan(left) or math.isnan(right) or not _COMPARE[type(op)](left, right):
                return False
            left = right
        return True
    value = _number(node, values)
    return not math.isnan(value) and value != 0


def _number(node: ast.expr, values: Mapping[str, float]) -> float:
    if isinstance(node, ast.Name):
        return float(values.get(node.id, math.nan))
    if isinstance(node, ast.Constant):
        return float(node.value)  # type: ignore[arg-type]  # checked by _check_number
    if isinstance(node, ast.UnaryOp):
        value = _number(node.operand, values)
        return -value if isinstance(node.op, ast.USub) else value
    assert isinstance(node, ast.BinOp)  # noqa: S101  checked by _check_number
    left, right = _number(node.left, values), _number(node.right, values)
    if isinstance(node.op, ast.Div) and right == 0:
        return math.nan
    return _ARITHMETIC[type(node.op)](left, right)
