"""What a query strategy may ask of a classifier beyond probabilities, and the error that names the way out."""

from __future__ import annotations

from typing import Any

import numpy as np

__all__ = ["dropout_passes", "feature_vectors"]


def feature_vectors(clf: Any, dataset: Any, *, strategy: str) -> np.ndarray:
    """Return v, what the final linear layer of `clf` sees, for every document: (len(dataset), D) float32.

    Parameters
    ----------
    clf : a trained classifier with a ``features(dataset)`` method
    dataset : documents in the classifier's format
    strategy : the name that the error message gives

    Raises
    ------
    ValueError
        When the classifier has no feature vectors, or they are not a finite (len(dataset), D) array.
    """
    read = _required_method(clf, "features", need="feature vectors", strategy=strategy)
    features = np.asarray(read(dataset))
    if features.ndim != 2 or len(features) != len(dataset):
        raise ValueError(f"{strategy}: expected features ({len(dataset)}, D), got {features.shape}")
    if not np.isfinite(features).all():
        raise ValueError(f"{strategy}: the classifier's features hold NaN or infinity: did its training diverge?")
    return features


def dropout_passes(clf: Any, dataset: Any, samples: int, *, strategy: str, rng: np.random.Generator) -> np.ndarray:
    """Return the probabilities of `samples` passes with dropout switched on: (T, len(dataset), C) float32.

    Parameters
    ----------
    clf : a trained classifier with a ``dropout_probabilities(dataset, samples, seed=None)`` method
    dataset : documents in the classifier's format
    samples : T, number of passes
    strategy : the name that the error message gives
    rng : draws the seed of the passes

    Raises
    ------
    ValueError
        When the classifier has no dropout passes, or they are not a (T, len(dataset), C) array.
    """
    read = _required_method(clf, "dropout_probabilities", need="passes with dropout on", strategy=strategy)
    passes = np.asarray(read(dataset, samples, seed=int(rng.integers(2**31))))
    if passes.ndim != 3 or passes.shape[:2] != (samples, len(dataset)):
        raise ValueError(f"{strategy}: expected passes ({samples}, {len(dataset)}, C), got {passes.shape}")
    return passes


def _required_method(clf: Any, method: str, *, need: str, strategy: str) -> Any:
    found = getattr(clf, method, None)
    if found is None:
        raise ValueError(
            f"{strategy} needs {need} (a method `{method}`), and {type(clf).__name__} has none: "
            "build the classifier with CoMALClassificationFactory"
        )
    return found
