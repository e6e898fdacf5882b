"""A label space made of random numbers, with a label that nothing is known about."""

import numpy as np

from small_text_comal.method.label_space import LabelSpace


def random_space(seed, N=7, L=9, C=5):
    """A label space, labels and thresholds; label 1 has no positive, and hence no prototype."""
    rng = np.random.default_rng(seed)
    labels = rng.random((L, C)) < 0.4
    labels[:, 1] = False
    similarity, labeled = (rng.uniform(-1, 1, (rows, C)).astype(np.float32) for rows in (N, L))
    similarity[:, ~labels.any(axis=0)] = labeled[:, ~labels.any(axis=0)] = np.nan
    probabilities = rng.uniform(0.01, 0.99, (N, C)).astype(np.float32)
    return LabelSpace(similarity, labeled, probabilities, None), labels, rng.uniform(0.1, 0.9, C).astype(np.float32)
