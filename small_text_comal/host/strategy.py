"""small-text's interface of a query strategy, the same on both releases."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any

import numpy as np
import small_text
from small_text.query_strategies import QueryStrategy

from small_text_comal.host.versions import IS_HOST_2

__all__ = ["QueryStrategy", "ScoringMixin", "built_in_strategy", "check_query_input"]

if IS_HOST_2:
    from small_text.query_strategies.base import ScoringMixin
else:

    class ScoringMixin(ABC):  # type: ignore[no-redef]
        """What small-text 2.x calls a strategy that scores documents; 1.x has no such class."""

        @property
        @abstractmethod
        def last_scores(self) -> np.ndarray | None:
            """The scores of the last `score` or `query`."""

        @abstractmethod
        def score(self, clf: Any, dataset: Any, indices_unlabeled: Any, indices_labeled: Any, y: Any) -> np.ndarray:
            """Return a score for each unlabeled document."""


def check_query_input(strategy: QueryStrategy, indices_unlabeled: np.ndarray, n: int) -> None:
    """Raise small-text's own exceptions when the pool is empty or holds fewer than `n` documents."""
    strategy._validate_query_input(indices_unlabeled, n)


def built_in_strategy(name: str) -> Any:
    """Return the class of a strategy of the installed small-text; None where it has none of that name."""
    return getattr(small_text, name, None)
