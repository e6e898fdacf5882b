"""Multi-label predictions with small-text's contract on each release, from dense probabilities and cuts."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import csr_matrix
from small_text.utils.classification import empty_result, prediction_result

from small_text_comal.host.versions import IS_HOST_2

__all__ = ["MultiLabelPredictions"]


class MultiLabelPredictions:
    """`predict` and `predict_proba` of a classifier that has `label_probabilities` (N, C) and `thresholds` (C,).

    `predict` uses the thresholds on both releases; `predict_proba` gives what the installed release gives: all
    probabilities on 1.x, a CSR matrix of those above `multi_label_threshold` on 2.x.
    """

    num_classes: int

    @property
    def thresholds(self) -> np.ndarray:
        """The cut at which each label is predicted, (C,) float32."""
        raise NotImplementedError

    def label_probabilities(self, dataset: Any) -> np.ndarray:
        """Return the probability of every label, (N, C) float32."""
        raise NotImplementedError

    def _opinions(self, dataset: Any, samples: int) -> np.ndarray:
        """What `predict_proba` returns for ``dropout_sampling=samples`` above 1."""
        raise NotImplementedError

    if IS_HOST_2:

        def predict(self, dataset: Any, return_proba: bool = False, multi_label_threshold: float | None = None) -> Any:
            """Predict as small-text 2.x: CSR labels and, if wanted, the CSR of the predicted labels' probabilities.

            Parameters
            ----------
            dataset : N documents
            return_proba : whether to return the probabilities as well
            multi_label_threshold : one cut for all labels; None: the classifier's own `thresholds`
            """
            if len(dataset) == 0:
                return empty_result(True, self.num_classes, return_prediction=True, return_proba=return_proba)
            proba = self.label_probabilities(dataset).astype(float)
            cuts = self.thresholds if multi_label_threshold is None else multi_label_threshold
            return prediction_result(
                proba, True, self.num_classes, return_proba=return_proba, multi_label_threshold=cuts
            )

        def predict_proba(self, dataset: Any, multi_label_threshold: float = 0.5, dropout_sampling: int = 1) -> Any:
            """Return the CSR of probabilities above the threshold, as small-text 2.x does."""
            if dropout_sampling > 1:
                return self._opinions(dataset, dropout_sampling)
            if len(dataset) == 0:
                return empty_result(True, self.num_classes, return_prediction=False, return_proba=True)
            return self.predict(dataset, return_proba=True, multi_label_threshold=multi_label_threshold)[1]

    else:

        def predict(self, dataset: Any, return_proba: bool = False) -> Any:  # type: ignore[misc]
            """Predict as small-text 1.x: CSR labels and, if wanted, the dense probabilities.

            Parameters
            ----------
            dataset : N documents
            return_proba : whether to return the probabilities as well
            """
            if len(dataset) == 0:
                return empty_result(True, self.num_classes, return_prediction=True, return_proba=return_proba)
            proba = self.label_probabilities(dataset).astype(float)
            labels = csr_matrix((proba > self.thresholds).astype(np.int64))
            return (labels, proba) if return_proba else labels

        def predict_proba(self, dataset: Any, dropout_sampling: int = 1) -> Any:  # type: ignore[misc]
            """Return the dense probabilities (N, C), as small-text 1.x does."""
            if dropout_sampling > 1:
                return self._opinions(dataset, dropout_sampling)
            if len(dataset) == 0:
                return empty_result(True, self.num_classes, return_prediction=False, return_proba=True)
            return self.label_probabilities(dataset).astype(float)
