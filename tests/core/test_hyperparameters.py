"""Declarations: intervals, refusals, constructors."""

import inspect
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from talweg.core.hyperparameters import Declared, Interval, hyper, static
from talweg.testing import values_of

NOTATIONS = ["[0, 1)", "(0, 1]", "[0, inf)", "(0, inf)", "[0, 1e10]", "(-1, 1)", "[2, 5]"]


@given(st.sampled_from(NOTATIONS), st.floats(width=32))
def test_interval_contains_what_its_notation_says(notation, value):
    low, high = (float(part) for part in notation[1:-1].split(","))
    above = value >= low if notation[0] == "[" else value > low
    below = value <= high if notation[-1] == "]" else value < high
    assert (value in Interval.parse(notation)) == (above and below and math.isfinite(value))


@pytest.mark.parametrize("notation", NOTATIONS)
def test_values_outside_are_outside(notation):
    interval = Interval.parse(notation)
    assert not any(value in interval for value in interval.outside())


class Base(Declared):
    rate: float = hyper(default=0.1, interval="[0, 1e10]", hint="Usual: 0.1.")
    decay: float | None = hyper(default=None, interval="[0, inf)")
    factor: float = hyper(default=1.0, interval="(0, 1]", init=False)


class Derived(Base):
    beta: float = hyper(default=0.9, interval="[0, 1)", hint="0.9 is the usual choice.")
    steps: int | None = static(default=None, interval="[1, inf)")
    flag: bool = static(default=False)


@pytest.mark.parametrize("name", ["rate", "beta", "factor"])
def test_drawn_values_are_accepted_and_refused_ones_are_not(name):
    declaration = Derived.hypers[name]

    @given(values_of(declaration))
    def accepted(value):
        target = Derived()
        setattr(target, name, value)
        assert getattr(target, name) == value

    accepted()
    for value in [*declaration.interval.outside(), "a", None, True, np.bool_(True), [0.5], 1j]:
        with pytest.raises((ValueError, TypeError), match=f"Derived: {name} must be"):
            setattr(Derived(), name, value)


@pytest.mark.parametrize(("name", "value"), [("beta", 0.99999999), ("factor", 1e-60)])
def test_values_that_float32_rounds_out_of_the_interval_are_refused(name, value):
    with pytest.raises(ValueError, match=name):
        setattr(Derived(), name, value)


def test_own_arguments_come_before_inherited_ones():
    names = ["beta", "steps", "flag", "rate", "decay"]
    assert list(inspect.signature(Derived).parameters) == names
    target = Derived(0.5, 3, True, 0.2, decay=0.1)
    assert target.get_config() == {
        "beta": 0.5, "steps": 3, "flag": True, "rate": 0.2, "decay": 0.1
    }  # fmt: skip
    assert Derived.from_config(target.get_config()).get_config() == target.get_config()
    assert repr(Derived(flag=True)) == "Derived(flag=True)"


def test_a_written_constructor_has_its_own_signature():
    class Written(Derived):
        def __init__(self, rate=0.5, **kwargs):
            super().__init__(rate=rate, **kwargs)

    assert list(inspect.signature(Written).parameters) == ["rate", "kwargs"]


@pytest.mark.parametrize("value", [0, 2.5, "2", True])
def test_integers_are_integers(value):
    with pytest.raises((ValueError, TypeError), match="steps must be"):
        Derived(steps=value)
    assert Derived(steps=np.int64(4)).steps == 4


def test_messages_have_expected_got_and_remedy():
    with pytest.raises(ValueError) as caught:  # noqa: PT011 - the whole message is compared
        Derived(beta=1.0)
    message = "Derived: beta must be in [0, 1), got 1.0. 0.9 is the usual choice."
    assert str(caught.value) == message
