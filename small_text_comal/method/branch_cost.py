"""What fitting a contrastive branch costs, before it is done."""

from __future__ import annotations

import warnings
from typing import NamedTuple

from small_text_comal.config import ContrastiveBranchArguments

__all__ = ["BranchCost", "branch_cost", "warn_of_a_costly_fit"]

_FLOPS_PER_SECOND = 50e9  # one current CPU core in float32 matrix products of these shapes
_SECONDS_PER_UPDATE = 1.5e-9  # AdamW, per parameter and step
_SECONDS_PER_PAIR = 1e-9  # its exponential, forward and backward
_SECONDS_PER_STEP = 1.5e-3  # calls, whatever the size
_LABELS_PER_DOCUMENT = 3  # assumed; decides how many positive pairs there are beside the sampled negatives
_COPIES = 5  # weights, gradient, two moments of AdamW, the best epoch
_LONG_SECONDS = 300
_MUCH_MEMORY = 4 * 2**30


class BranchCost(NamedTuple):
    """About how many `seconds` a fit takes on one CPU core, and how many `bytes` of memory."""

    seconds: float
    bytes: float


def branch_cost(
    num_classes: int, feature_size: int, arguments: ContrastiveBranchArguments, n_documents: int
) -> BranchCost:
    """Return about what training a branch for all its epochs on fixed features costs on one CPU core.

    Each step multiplies the batch with the maps m_j and a, 10 B C U D operations with the gradients, and with e and d,
    12 B C U Z; takes the products of the pairs of the contrastive loss; and updates 2 C U D parameters. So the cost
    is linear in C with `sampled_negatives`, and quadratic without.

    Parameters
    ----------
    num_classes : C
    feature_size : D
    arguments : sizes, epochs and sampled negatives
    n_documents : labeled documents

    Examples
    --------
    >>> cost = branch_cost(62, 384, ContrastiveBranchArguments(), 300)
    >>> round(cost.seconds, 1), round(cost.bytes / 2**20)
    (0.5, 17)
    """
    maps = num_classes if arguments.decoupling == "label" else 1
    sub_features, latent = arguments.sub_feature_size, arguments.latent_size
    ways = 2 if arguments.reconstruction else 1  # to the latent vectors, and back
    batch = min(arguments.batch_size, max(n_documents, 1))
    steps = arguments.max_epochs * -(-n_documents // batch)
    parameters = ways * maps * sub_features * (feature_size + 1) + ways * sub_features * latent
    parameters += (ways - 1) * feature_size * num_classes
    pairs = _pairs_of_a_batch(num_classes, arguments, batch)
    flops = (5 * ways if ways == 2 else 4) * batch * maps * sub_features * feature_size
    flops += 6 * ways * batch * maps * sub_features * latent + 3 * pairs * latent
    step = flops / _FLOPS_PER_SECOND + parameters * _SECONDS_PER_UPDATE + pairs * _SECONDS_PER_PAIR + _SECONDS_PER_STEP
    activations = 2 * batch * maps * (ways * sub_features + latent)
    return BranchCost(steps * step, 4 * (_COPIES * parameters + activations))


def _pairs_of_a_batch(num_classes: int, arguments: ContrastiveBranchArguments, batch: int) -> int:
    """Ordered pairs of anchors, m^2."""
    if not arguments.contrastive:
        return 0
    if arguments.decoupling == "none":
        return batch**2
    positives = batch * min(_LABELS_PER_DOCUMENT, num_classes)
    negatives = batch * num_classes - positives
    if arguments.negatives == "none":
        negatives = 0
    elif arguments.sampled_negatives is not None:
        negatives = min(negatives, arguments.sampled_negatives)
    return (positives + negatives) ** 2


def warn_of_a_costly_fit(
    num_classes: int, feature_size: int, arguments: ContrastiveBranchArguments, n_documents: int, *, on_cpu: bool = True
) -> None:
    """Warn when a fit will take more than 5 minutes of a CPU core or 4 GiB of memory, and say what makes it cheaper.

    `on_cpu` False leaves the time out: a GPU's is not known.
    """
    cost = branch_cost(num_classes, feature_size, arguments, n_documents)
    found = []
    if on_cpu and cost.seconds > _LONG_SECONDS:
        found.append(f"about {cost.seconds / 60:,.0f} minutes on one CPU core")
    if cost.bytes > _MUCH_MEMORY:
        found.append(f"about {cost.bytes / 2**30:,.1f} GiB of memory")
    if not found:
        return
    warnings.warn(
        f"fitting the contrastive branch takes {' and '.join(found)} for {num_classes:,} labels, features of size "
        f"{feature_size} and {n_documents:,} documents: {_way_out(arguments)}",
        RuntimeWarning,
        stacklevel=3,  # where fit is called
    )


def _way_out(arguments: ContrastiveBranchArguments) -> str:
    default = ContrastiveBranchArguments()
    ways = []
    all_negatives = arguments.negatives != "none" and arguments.decoupling == "label" and arguments.contrastive
    if all_negatives and arguments.sampled_negatives is None:
        ways.append(f"set sampled_negatives={default.sampled_negatives}")
    if arguments.sub_feature_size > default.sub_feature_size:
        ways.append(f"set sub_feature_size={default.sub_feature_size}")
    if arguments.max_epochs > default.max_epochs:
        ways.append(f"set max_epochs={default.max_epochs}")
    return ", ".join(ways) or "lower sub_feature_size or max_epochs, or train without a branch (branch=None)"
