"""Strategies by name."""

import pytest

from small_text_comal.experiments.options.strategies import (
    BUILT_IN,
    UNFIT,
    new_strategy,
    parse_strategy,
    reason_to_skip,
    runnable_names,
)
from small_text_comal.query_strategies.dense import WithDenseProbabilities
from small_text_comal.query_strategies.registry import strategy_names


def test_every_runnable_strategy_can_be_made():
    for name in runnable_names():
        spec = parse_strategy(name)
        assert reason_to_skip(spec) is None
        strategy = new_strategy(spec, seed=1)
        assert isinstance(strategy, WithDenseProbabilities) == (name in BUILT_IN)
    assert set(strategy_names()) < set(runnable_names())


def test_options_and_spelling():
    spec = parse_strategy("co-mal( gamma = 0.25, criterion='paper' )")
    assert (spec.name, spec.options) == ("CoMAL", {"gamma": 0.25, "criterion": "paper"})
    assert parse_strategy(str(spec)) == spec
    strategy = new_strategy(spec, seed=0)
    assert (strategy.gamma, strategy.criterion) == (0.25, "paper")
    assert spec.needs_branch
    assert not parse_strategy("Random").needs_branch


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("CoMALL", r"unknown strategy 'CoMALL'. Did you mean 'CoMAL'\?"),
        ("LeastConfidense", r"Did you mean 'LeastConfidence'\?"),
        ("CoMAL(0.5)", r"expected options like CoMAL\(gamma=0.5, criterion='paper'\)"),
        ("CoMAL(gamma=", "expected options like"),
        ("CoMAL(gamma=open('x'))", "expected options like"),
    ],
)
def test_errors(text, message):
    with pytest.raises(ValueError, match=message):
        parse_strategy(text)


def test_options_that_the_strategy_does_not_have():
    with pytest.raises(ValueError, match=r"strategy MMC\(gamma=1\): .*unexpected keyword argument"):
        new_strategy(parse_strategy("MMC(gamma=1)"), seed=0)


@pytest.mark.parametrize("name", sorted(UNFIT))
def test_strategies_that_cannot_run_say_why(name):
    reason = reason_to_skip(parse_strategy(name))
    assert reason
    assert name not in runnable_names()


def test_a_strategy_of_another_release_says_so():
    missing = [name for name in BUILT_IN if name not in runnable_names()]
    if not missing:
        pytest.skip("the installed small-text has all of them")
    assert "does not have it" in reason_to_skip(parse_strategy(missing[0]))
