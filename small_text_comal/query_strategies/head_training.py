"""Small heads on frozen feature vectors, for the strategies that bring a model of their own (AUDI, LearningLoss)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import linear, relu

__all__ = ["Head", "HeadOptions", "train_head"]


@dataclass(frozen=True)
class HeadOptions:
    """How a head is built and trained.

    Parameters
    ----------
    hidden_size : width of the one hidden ReLU layer; 0 for a linear head
    steps, batch_size, learning_rate, weight_decay : of AdamW at a constant rate. Steps and not epochs, as a labeled
        pool of 20 documents needs as many as one of 2,000.
    """

    hidden_size: int = 0
    steps: int = 500
    batch_size: int = 64
    learning_rate: float = 2e-2
    weight_decay: float = 1e-2


@dataclass(frozen=True)
class Head:
    """A trained head: features are shifted and scaled, then pass through one or two linear layers.

    Calling it with features (N, D) gives outputs (N, K) float64.
    """

    shift: np.ndarray
    scale: float
    weights: tuple[Tensor, ...]

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Return the outputs (N, K) of features (N, D)."""
        with torch.no_grad():
            return _forward(_standardised(features, self.shift, self.scale), self.weights).double().numpy()


def train_head(
    features: np.ndarray,
    targets: np.ndarray,
    loss: Callable[[Tensor, Tensor], Tensor],
    outputs: int,
    *,
    rng: np.random.Generator,
    options: HeadOptions,
) -> Head:
    """Return a head with `outputs` outputs that minimises `loss` on the labeled pool.

    Parameters
    ----------
    features : (L, D) float; a constant
    targets : (L, ...) float
    loss : takes outputs (B, K) and targets (B, ...) of a batch, gives a scalar; the last batch may be smaller
    outputs : K
    rng : draws the hidden layer and the batches. PyTorch's global generator is neither read nor changed.
    options : see `HeadOptions`

    Returns
    -------
    head : `Head`. Features without variance give it nothing but its bias to learn.

    Notes
    -----
    Features are centered and divided by ONE number, which brings them to a mean squared length of 1: a scale for each
    component would blow up those that hardly vary in a small labeled pool. The last layer starts at zero, so that
    directions that the labeled pool never shows have no say.

    Examples
    --------
    >>> x, y = np.array([[0.0], [1.0]]), np.array([[0.0], [1.0]])
    >>> head = train_head(x, y, torch.nn.functional.mse_loss, 1, rng=np.random.default_rng(0), options=HeadOptions())
    >>> head(x).round(1).tolist()
    [[0.0], [1.0]]
    """
    shift, scale = _shift_and_scale(features)
    x = _standardised(features, shift, scale)
    y = torch.as_tensor(targets, dtype=torch.float32)
    weights = _initial_weights(x.shape[1], outputs, hidden_size=options.hidden_size, rng=rng)
    optimizer = torch.optim.AdamW(weights, lr=options.learning_rate, weight_decay=options.weight_decay)
    for batch in islice(_batches(len(x), options.batch_size, rng), options.steps):
        optimizer.zero_grad()
        loss(_forward(x[batch], weights), y[batch]).backward()
        optimizer.step()
    return Head(shift, scale, tuple(weight.detach() for weight in weights))


def _batches(documents: int, size: int, rng: np.random.Generator) -> Iterator[Tensor]:
    while True:
        yield from torch.from_numpy(rng.permutation(documents)).split(size)


def _shift_and_scale(features: np.ndarray) -> tuple[np.ndarray, float]:
    # Counted from the first document, so that identical documents have a variance of exactly zero.
    offset = np.asarray(features, dtype=np.float64) - features[0]
    return features[0] + offset.mean(axis=0), float(np.sqrt(offset.var(axis=0).sum())) or 1.0


def _standardised(features: np.ndarray, shift: np.ndarray, scale: float) -> Tensor:
    return torch.as_tensor((features - shift) / scale, dtype=torch.float32)


def _initial_weights(inputs: int, outputs: int, *, hidden_size: int, rng: np.random.Generator) -> list[Tensor]:
    weights = []
    if hidden_size:
        # He's initialization for documents of length 1, whatever their number of components.
        first = rng.standard_normal((hidden_size, inputs)) * np.sqrt(2)
        weights = [torch.tensor(first, dtype=torch.float32), torch.zeros(hidden_size)]
        inputs = hidden_size
    weights += [torch.zeros(outputs, inputs), torch.zeros(outputs)]
    return [weight.requires_grad_() for weight in weights]


def _forward(x: Tensor, weights: list[Tensor] | tuple[Tensor, ...]) -> Tensor:
    *hidden, weight, bias = weights
    if hidden:
        x = relu(linear(x, *hidden))
    return linear(x, weight, bias)
