"""Strategies by name."""

import doctest

import numpy as np
import pytest

from small_text_comal.query_strategies import registry
from small_text_comal.query_strategies.registry import make_strategy, strategy_class, strategy_names


def test_docstring_examples():
    assert doctest.testmod(registry).failed == 0


@pytest.mark.parametrize("name", [name for name in strategy_names() if name != "CoMAL"])
def test_a_name_gives_its_class_with_its_own_generator(name):
    strategy = make_strategy(name.lower(), seed=4)
    assert type(strategy).__name__ == name
    assert str(strategy) == f"{name}()"
    assert strategy.rng.integers(1000) == np.random.default_rng(4).integers(1000)


def test_options_reach_the_strategy():
    assert make_strategy("gpb2m", components=3).components == 3


@pytest.mark.parametrize(
    ("name", "hint"),
    [("BADGE", "did you mean 'MultiLabelBADGE'"), ("core-set", "did you mean 'CoreSet'"), ("zzz", "expected one of")],
)
def test_an_unknown_name_suggests_the_nearest(name, hint):
    with pytest.raises(ValueError, match=hint):
        strategy_class(name)
