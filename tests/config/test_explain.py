"""Pydantic's errors in a plant engineer's words."""

from __future__ import annotations

from typing import Any, Literal

import pytest
from pydantic import BaseModel, Field, ValidationError

from gateway.config.explain import Explained, explain
from gateway.contract import Duration, SecretRef, StrictModel


class Inner(StrictModel):
    depth: int = Field(0, ge=0, le=10)
    name: str = Field("", max_length=5)


class Outer(StrictModel):
    page: Inner | Literal["off"] = "off"
    speed: str | float = 0.0
    good: list[int | str] = Field(default_factory=list, max_length=3)
    inner: dict[str, Inner] = Field(default_factory=dict)
    wait: Duration | None = None
    pin: SecretRef | None = None
    """A secret whose name does not tell it."""


def told(data: Any, model: type[BaseModel] = Outer) -> list[Explained]:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(data)
    return explain(caught.value.errors(include_url=False), model, data)


@pytest.mark.parametrize(
    ("data", "loc", "message"),
    [
        ({"page": 5}, ("page",), "must be a mapping of options or off, got 5"),
        ({"page": {"depth": 11}}, ("page", "depth"), "must be at most 10, got 11"),
        ({"page": {"name": "too long"}}, ("page", "name"), "must have at most 5 characters"),
        ({"speed": [1]}, ("speed",), "must be text or a number, got [1]"),
        ({"good": [1, {}]}, ("good", 1), "must be a whole number or text, got {}"),
        ({"good": [1, 2, 3, 4]}, ("good",), "must have at most 3 entries"),
        ({"inner": {"a": {"depth": "x"}}}, ("inner", "a", "depth"), "must be a whole number, got 'x'"),
        ({"inner": {"a": {"depth": float("inf")}}}, ("inner", "a", "depth"), "must be a number, got inf"),
        ({"inner": {"a": None}}, ("inner", "a"), "must be a mapping of options, got nothing"),
        ({"wait": 30}, ("wait",), "write a duration with its unit, for example 30s, 5m or 2h"),
    ],
    ids=str,
)
def test_one_problem_at_its_place(data: Any, loc: tuple[str | int, ...], message: str) -> None:
    assert [(problem.loc, problem.message) for problem in told(data)] == [(loc, message)]


def test_a_slip_in_a_key_inside_a_union_is_known_too() -> None:
    (problem,) = told({"page": {"dpeth": 1}})
    assert (problem.loc, problem.hint, problem.at_key) == (("page", "dpeth"), "did you mean 'depth'?", True)


@pytest.mark.parametrize("pin", ["1234", 1234, {"secret": "12 34"}, {"scret": "1234"}, ["1234"]], ids=str)
def test_a_secret_is_recognised_by_its_option_whatever_its_name(pin: Any) -> None:
    problems = told({"pin": pin})
    assert all(problem.secret for problem in problems)
    assert not any("34" in problem.message + problem.hint for problem in problems)


def test_the_value_of_a_slip_that_means_a_secret_is_hidden() -> None:
    (problem,) = told({"pni": "1234"})
    assert problem.secret


def test_credentials_in_an_address_are_not_repeated() -> None:
    (problem,) = told({"good": {"url": "mqtt://me:s3cret@broker"}})
    assert "s3cret" not in problem.message
    assert "mqtt://***@broker" in problem.message
