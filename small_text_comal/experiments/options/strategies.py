"""Query strategies by name: this package's and small-text's built-ins."""

from __future__ import annotations

import ast
import warnings
from dataclasses import dataclass, field
from inspect import signature
from typing import Any

from small_text_comal import host
from small_text_comal.experiments.data.names import known_name
from small_text_comal.experiments.data.user_error import UserError
from small_text_comal.query_strategies.dense import WithDenseProbabilities
from small_text_comal.query_strategies.registry import make_strategy, strategy_names

__all__ = [
    "StrategySpec",
    "new_strategy",
    "parse_strategy",
    "quiet_query_keywords",
    "reason_to_skip",
    "runnable_names",
]

# strategies of small-text that run on multi-label data, in the releases that have them
BUILT_IN = (
    "RandomSampling",
    "LeastConfidence",
    "PredictionEntropy",
    "BreakingTies",
    "BALD",
    "GreedyCoreset",
    "LightweightCoreset",
    "EmbeddingKMeans",
    "ContrastiveActiveLearning",
    "CategoryVectorInconsistencyAndRanking",
    "LabelCardinalityInconsistency",
    "AdaptiveActiveLearning",
)
_SINGLE_LABEL = "small-text restricts it to single-label data"
_WRAPPER = "it only thins out the pool for another strategy: name that strategy"
UNFIT = {
    "BADGE": f"{_SINGLE_LABEL}; MultiLabelBADGE is this package's",
    "ExpectedGradientLength": _SINGLE_LABEL,
    "ExpectedGradientLengthLayer": _SINGLE_LABEL,
    "ExpectedGradientLengthMaxWord": _SINGLE_LABEL,
    "ClassBalancer": _SINGLE_LABEL,
    "DiscriminativeActiveLearning": "small-text raises NotImplementedError for it on multi-label data",
    "DiscriminativeRepresentationLearning": "it trains on single-label targets",
    "SubsamplingQueryStrategy": _WRAPPER,
    "AnchorSubsampling": _WRAPPER,
    "SEALS": _WRAPPER,
    "ProbCover": "it needs a vector index (hnswlib), which small-text does not install",
    "TypiClust": "it needs a vector index (hnswlib), which small-text does not install",
}
# names that the paper uses
ALIASES = {"Random": "RandomSampling", "LLoss": "LearningLoss", "GP-B2M": "GPB2M", "Core-Set": "CoreSet"}
NEEDS_BRANCH = ("CoMAL",)


@dataclass(frozen=True)
class StrategySpec:
    """A strategy with its options.

    Parameters
    ----------
    name : a known name
    options : keywords of its constructor
    """

    name: str
    options: dict[str, Any] = field(default_factory=dict)

    @property
    def needs_branch(self) -> bool:
        """Whether the strategy needs the contrastive branch; without it, a round is much cheaper."""
        return self.name in NEEDS_BRANCH

    def __str__(self) -> str:
        options = ", ".join(f"{name}={value!r}" for name, value in sorted(self.options.items()))
        return f"{self.name}({options})" if options else self.name


def runnable_names() -> list[str]:
    """Return all names that can be compared on the installed small-text."""
    return [*strategy_names(), *(name for name in BUILT_IN if host.built_in_strategy(name) is not None)]


def parse_strategy(text: str) -> StrategySpec:
    """Read a name, optionally with options in parentheses.

    Raises
    ------
    UserError
        On an unknown name, with the nearest, and on options that are not plain values.

    Examples
    --------
    >>> str(parse_strategy("comal(criterion='paper', gamma=1)"))
    "CoMAL(criterion='paper', gamma=1)"
    >>> str(parse_strategy("Random"))
    'RandomSampling'
    """
    bare, parenthesis, _ = text.partition("(")
    known = [*strategy_names(), *BUILT_IN, *UNFIT, *ALIASES]
    name = known_name(bare.strip(), known, kind="strategy")
    name = ALIASES.get(name, name)
    return StrategySpec(name, _options(text) if parenthesis else {})


def _options(text: str) -> dict[str, Any]:
    bare, _, options = text.partition("(")
    try:
        call = ast.parse(f"f({options}", mode="eval").body
        if not isinstance(call, ast.Call) or call.args:
            raise UserError("options need names")
        return {str(keyword.arg): ast.literal_eval(keyword.value) for keyword in call.keywords}
    except (SyntaxError, ValueError) as error:
        example = f"{bare.strip()}(gamma=0.5, criterion='paper')"
        raise UserError(f"strategy {text!r}: expected options like {example} ({error})") from None


def reason_to_skip(spec: StrategySpec) -> str | None:
    """Return why a strategy cannot run on multi-label data here, None when it can."""
    if spec.name in UNFIT:
        return UNFIT[spec.name]
    if spec.name not in runnable_names():
        return f"small-text {host.HOST_VERSION} does not have it"
    return None


def new_strategy(spec: StrategySpec, seed: int) -> Any:
    """Return a query strategy for one round.

    small-text's built-ins draw from NumPy's global generator, which the runner seeds; they see a classifier whose
    probabilities are dense.

    Raises
    ------
    UserError
        When the options are not the strategy's.
    """
    try:
        if spec.name in BUILT_IN:
            return WithDenseProbabilities(_built_in(host.built_in_strategy(spec.name), spec.options))
        return make_strategy(spec.name, seed=seed, **spec.options)
    except (TypeError, ValueError) as error:
        raise UserError(f"strategy {spec}: {error}") from None


def _built_in(strategy: type, options: dict[str, Any]) -> Any:
    """Return one of small-text's strategies without its progress bar: runs have their own."""
    quiet = {"pbar": None} if "pbar" in signature(strategy).parameters else {}
    with warnings.catch_warnings():
        # GreedyCoreset of 1.x warns of a default that changed years ago
        warnings.filterwarnings("ignore", message="Default distance metric has changed")
        return strategy(**{**quiet, **options})


def quiet_query_keywords(strategy: Any) -> dict[str, Any]:
    """Return the keywords that keep a strategy's `query` from drawing a progress bar.

    Examples
    --------
    >>> quiet_query_keywords(new_strategy(StrategySpec("GreedyCoreset"), 0))
    {'pbar': None}
    """
    query = strategy.query_strategy.query if isinstance(strategy, WithDenseProbabilities) else strategy.query
    return {"pbar": None} if "pbar" in signature(query).parameters else {}
