"""The contrastive branch (paper section 3.1, Algorithm 1): decouple, project, decode, aggregate, classify.

It needs feature vectors and labels only, never the encoder they came from.
"""

from __future__ import annotations

import math
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional

from small_text_comal.config import ContrastiveBranchArguments
from small_text_comal.method.contrastive import document_supcon_loss, multi_label_supcon_loss

__all__ = ["BranchLoss", "BranchOutput", "ContrastiveBranch", "FoldedBranch", "branch_loss"]

_ACTIVATIONS = {None: nn.Identity, "relu": nn.ReLU, "gelu": nn.GELU}


class BranchOutput(NamedTuple):
    """What the branch computes: raw latent (B, C, Z), reconstruction (B, D) and logits (B, C), the last two or None."""

    latent: Tensor
    reconstruction: Tensor | None
    logits: Tensor | None


class BranchLoss(NamedTuple):
    """Scalars of eq. 6: their weighted sum and its three parts; a part that is switched off is 0."""

    total: Tensor
    contrastive: Tensor
    reconstruction: Tensor
    classification: Tensor


class ContrastiveBranch(nn.Module):
    """Label-wise latent vectors of a document's feature vector, and its reconstruction from them.

    C maps m_j: D -> U, a shared encoder e: U -> Z and decoder d: Z -> U, an aggregation a: C * U -> D and a head
    h': D -> C, each one linear layer with bias. All m_j act on the same vector, so they are one product D -> C * U.

    Parameters
    ----------
    num_classes : C
    feature_size : D
    arguments : sizes and variants; with ``decoupling="none"`` there is one m: D -> U and a: U -> D, and all labels of
        a document share its latent vector; with ``reconstruction=False`` there is no d, a and h'
    generator : CPU generator of the initial weights; None takes the global one

    Examples
    --------
    >>> branch = ContrastiveBranch(3, 8, ContrastiveBranchArguments(sub_feature_size=6, latent_size=4))
    >>> tuple(branch(torch.ones(2, 8)).latent.shape)
    (2, 3, 4)
    """

    def __init__(
        self,
        num_classes: int,
        feature_size: int,
        arguments: ContrastiveBranchArguments | None = None,
        *,
        generator: torch.Generator | None = None,
    ) -> None:
        super().__init__()
        self.num_classes = num_classes
        self.feature_size = feature_size
        self.arguments = arguments = arguments or ContrastiveBranchArguments()
        self.maps = num_classes if arguments.decoupling == "label" else 1
        sub_features, latent = arguments.sub_feature_size, arguments.latent_size
        self.decouple = _linear(feature_size, self.maps * sub_features, generator)
        self.encode = _linear(sub_features, latent, generator)
        self.activation = _ACTIVATIONS[arguments.activation]()
        if arguments.reconstruction:
            self.decode = _linear(latent, sub_features, generator)
            self.aggregate = _linear(self.maps * sub_features, feature_size, generator)
            self.classify = _linear(feature_size, num_classes, generator)

    @property
    def latent_size(self) -> int:
        """Z."""
        return self.arguments.latent_size

    @property
    def reconstructs(self) -> bool:
        """Whether there are logits."""
        return self.arguments.reconstruction

    def latent(self, features: Tensor) -> Tensor:
        """Return the raw latent vectors (B, C, Z) of `features` (B, D); a view where the labels share one.

        Raises
        ------
        ValueError
            When the features have another size than the branch was made for.
        """
        return self._project(features).expand(-1, self.num_classes, -1)

    def _project(self, features: Tensor) -> Tensor:
        """(B, D) -> (B, C, Z), or (B, 1, Z) without decoupling."""
        _check_features(features, self.feature_size)
        sub_features = self.activation(self.decouple(features)).view(
            len(features), self.maps, self.arguments.sub_feature_size
        )
        return self.encode(sub_features)

    def forward(self, features: Tensor) -> BranchOutput:
        """Run Algorithm 1 on `features` (B, D)."""
        latent = self._project(features)
        expanded = latent.expand(-1, self.num_classes, -1)
        if not self.arguments.reconstruction:
            return BranchOutput(expanded, None, None)
        reconstruction = self.aggregate(self.activation(self.decode(latent)).flatten(1))
        return BranchOutput(expanded, reconstruction, self.classify(reconstruction))

    def logits(self, features: Tensor) -> Tensor | None:
        """Return the branch logits (B, C) of `features` (B, D), or None without reconstruction.

        Without an activation h'(a(d(e(m(v))))) is affine in v, and from about min(C, D) documents on it is cheaper to
        make its matrix first.
        """
        _check_features(features, self.feature_size)
        affine = self.arguments.activation is None and self.arguments.reconstruction
        few = min(self.num_classes, self.feature_size)
        if affine and len(features) > few and not torch.is_grad_enabled():
            return functional.linear(features, *self._folded_logits())
        return self(features).logits

    def folded(self) -> FoldedBranch | ContrastiveBranch:
        """Return the branch for scoring, its chains of linear layers multiplied out; with an activation, itself."""
        return self if self.arguments.activation is not None else FoldedBranch(self)

    @torch.no_grad()
    def _folded_latent(self) -> tuple[Tensor, Tensor]:
        """Matrix (C or 1, Z, D) and bias (C or 1, Z) from features to latent vectors."""
        maps = self.decouple.weight.view(self.maps, -1, self.feature_size)
        # a batched product of these shapes runs at half the speed on the CPU; this is done once a fit
        weight = torch.stack([self.encode.weight @ one for one in maps])
        return weight, self.decouple.bias.view(self.maps, -1) @ self.encode.weight.T + self.encode.bias

    @torch.no_grad()
    def _folded_logits(self) -> tuple[Tensor, Tensor]:
        """Matrix (C, D) and bias (C,) from features to logits, multiplied from the top: min(C, D) rows all the way."""
        head_first = self.num_classes <= self.feature_size
        rows = self.classify.weight @ self.aggregate.weight if head_first else self.aggregate.weight
        rows = rows.view(len(rows), self.maps, -1) @ (self.decode.weight @ self.encode.weight)
        rows = rows.flatten(1) @ self.decouple.weight
        zero = torch.zeros(1, self.feature_size, device=rows.device, dtype=rows.dtype)
        bias = self(zero).logits
        assert bias is not None
        return rows if head_first else self.classify.weight @ rows, bias[0]


class FoldedBranch:
    """A fitted branch without activation with its chains of linear layers multiplied out where that is cheaper.

    The map to the latent vectors is one matrix where C * Z * D values are fewer than the layers' own; the map to the
    logits always is.

    Parameters
    ----------
    branch : its weights must not change afterwards
    """

    def __init__(self, branch: ContrastiveBranch) -> None:
        self.num_classes = branch.num_classes
        self.latent_size = branch.latent_size
        self.reconstructs = branch.reconstructs
        self._branch = branch
        sub_features, latent = branch.arguments.sub_feature_size, branch.latent_size
        pays = latent * branch.feature_size < sub_features * (branch.feature_size + latent)
        self._latent_map = branch._folded_latent() if pays else None

    @cached_property
    def _logit_map(self) -> tuple[Tensor, Tensor]:
        return self._branch._folded_logits()

    @torch.no_grad()
    def latent(self, features: Tensor) -> Tensor:
        """Return the raw latent vectors (B, C, Z) of `features` (B, D)."""
        if self._latent_map is None:
            return self._branch.latent(features)
        _check_features(features, self._branch.feature_size)
        weight, bias = self._latent_map
        flat = functional.linear(features, weight.flatten(0, 1), bias.flatten())
        return flat.view(len(features), *bias.shape).expand(-1, self.num_classes, -1)

    def logits(self, features: Tensor) -> Tensor | None:
        """Return the branch logits (B, C) of `features` (B, D), or None without reconstruction."""
        _check_features(features, self._branch.feature_size)
        return functional.linear(features, *self._logit_map) if self.reconstructs else None


def branch_loss(
    output: BranchOutput,
    features: Tensor,
    labels: Tensor,
    arguments: ContrastiveBranchArguments,
    *,
    generator: torch.Generator | None = None,
) -> BranchLoss:
    """Return L = L_msc + alpha L_rec + beta L_cls (eq. 6).

    L_rec and L_cls are means over batch AND components, as in the authors' code; the sums that the paper prints would
    multiply alpha by D and beta by C.

    Parameters
    ----------
    output : of the branch for `features`
    features : (B, D)
    labels : (B, C) of 0 and 1
    arguments : weights and variants
    generator : CPU generator that draws the sampled negatives; None takes the global one

    Examples
    --------
    >>> arguments = ContrastiveBranchArguments(sub_feature_size=4, latent_size=3, contrastive=False)
    >>> branch, features = ContrastiveBranch(2, 5, arguments), torch.ones(3, 5)
    >>> loss = branch_loss(branch(features), features, torch.ones(3, 2), arguments)
    >>> bool(torch.isclose(loss.total, loss.reconstruction + loss.classification)), loss.contrastive.item()
    (True, 0.0)
    """
    zero = features.new_zeros((), dtype=torch.float32)
    contrastive = reconstruction = classification = zero
    if arguments.contrastive:
        contrastive = _contrastive_loss(output.latent, labels, arguments, generator)
    if output.reconstruction is not None and output.logits is not None:
        precise = torch.promote_types(features.dtype, torch.float32)
        reconstruction = functional.mse_loss(output.reconstruction.to(precise), features.to(precise))
        classification = functional.binary_cross_entropy_with_logits(output.logits.to(precise), labels.to(precise))
    total = contrastive + arguments.alpha * reconstruction + arguments.beta * classification
    return BranchLoss(total, contrastive, reconstruction, classification)


def _contrastive_loss(
    latent: Tensor, labels: Tensor, arguments: ContrastiveBranchArguments, generator: torch.Generator | None
) -> Tensor:
    if arguments.decoupling == "none":
        return document_supcon_loss(latent[:, 0], labels, temperature=arguments.temperature)
    return multi_label_supcon_loss(
        latent,
        labels,
        temperature=arguments.temperature,
        negatives=arguments.negatives,
        sampled_negatives=arguments.sampled_negatives,
        generator=generator,
    )


def _linear(in_features: int, out_features: int, generator: torch.Generator | None) -> nn.Linear:
    """A linear layer with PyTorch's default weights from `generator`; the global one is not touched."""
    layer = nn.utils.skip_init(nn.Linear, in_features, out_features, dtype=torch.float32)
    bound = 1 / math.sqrt(in_features)
    with torch.no_grad():
        layer.weight.uniform_(-bound, bound, generator=generator)
        layer.bias.uniform_(-bound, bound, generator=generator)
    return layer


def _check_features(features: Tensor, feature_size: int) -> None:
    if features.ndim != 2 or features.shape[1] != feature_size:
        raise ValueError(
            f"expected features (N, {feature_size}), got {tuple(features.shape)}: "
            "was the branch fitted on another encoder?"
        )
