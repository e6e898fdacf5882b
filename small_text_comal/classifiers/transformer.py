"""CoMALClassification: small-text's transformer classifier with a contrastive branch, and its factory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from small_text_comal.classifiers.training_data import training_sets
from small_text_comal.classifiers.transformer_training import (
    BestWeights,
    ClassifierTrainer,
    KeepLast,
    LabeledDocuments,
    TrainingPlan,
)
from small_text_comal.config import ContrastiveBranchArguments, FeatureCacheArguments
from small_text_comal.encoder.document_encoder import DocumentEncoder
from small_text_comal.encoder.documents import Documents
from small_text_comal.encoder.dropout_masks import one_sampled_network
from small_text_comal.encoder.feature_cache import FeatureCache
from small_text_comal.encoder.layered_model import weights_state
from small_text_comal.encoder.precision import Precision
from small_text_comal.host import AbstractClassifierFactory, HostClassification, HostSelection
from small_text_comal.method.branch import ContrastiveBranch, FoldedBranch
from small_text_comal.method.branch_training import BranchTrainer, LabeledFeatures
from small_text_comal.method.label_space import (
    FeatureBatch,
    LabeledSpace,
    LabelSpace,
    labeled_space,
    latent_blocks,
    project,
)

__all__ = ["CoMALClassification", "CoMALClassificationFactory"]


class _FittedFeatures(NamedTuple):
    """Features of the documents of the last fit: `rows` by content key, and the state of the weights they come from."""

    rows: dict[bytes, int]
    features: Tensor
    weights: tuple


class CoMALClassification(HostClassification):
    """A multi-label transformer classifier that carries the contrastive branch of CoMAL.

    `fit`, `predict`, `predict_proba` and `embed` keep the contract of the installed small-text release. The frozen
    layers run in evaluation mode, once for each document, and their output is kept (see FeatureCacheArguments).

    Parameters
    ----------
    transformer_model_args : small-text's TransformerModelArguments
    num_classes : C
    branch : options of the contrastive branch; None trains the classifier alone, which is all that strategies
        without a branch need
    frozen_layers : layers to freeze with the embeddings; None: the embeddings and three quarters of the layers, as in
        the paper; 0: nothing
    feature_cache : options of the cache of frozen-layer output, or a cache to share
    multi_label : must be True
    num_epochs, lr : at most 50 epochs, AdamW at a constant 1e-4
    patience : epochs without a better validation loss before training stops, unless `fit` is told otherwise
    **host_keywords : every other keyword of the host's TransformerBasedClassification, with the host's meaning

    Attributes
    ----------
    branch : the fitted ContrastiveBranch, or None
    history : measured values of the last fit, {"classifier": [...], "branch": [...]}, one record an epoch

    Raises
    ------
    ValueError
        When multi_label is False or an option is out of range.
    """

    def __init__(
        self,
        transformer_model_args: Any,
        num_classes: int,
        *,
        branch: ContrastiveBranchArguments | None = ContrastiveBranchArguments(),  # noqa: B008 (frozen)
        frozen_layers: int | None = None,
        feature_cache: FeatureCache | FeatureCacheArguments | None = None,
        multi_label: bool = True,
        num_epochs: int = 50,
        lr: float = 1e-4,
        patience: int = 6,
        **host_keywords: Any,
    ) -> None:
        if not multi_label:
            raise ValueError(
                "multi_label: expected True, got False: CoMAL is a multi-label method; "
                "use small-text's TransformerBasedClassification for single-label data"
            )
        if not isinstance(num_classes, (int, np.integer)) or num_classes < 1:
            raise ValueError(f"num_classes: expected an integer >= 1, got {num_classes!r}")
        if branch is not None and not isinstance(branch, ContrastiveBranchArguments):
            raise ValueError(f"branch: expected ContrastiveBranchArguments or None, got {type(branch).__name__}")
        super().__init__(
            transformer_model_args, num_classes, multi_label=True, num_epochs=num_epochs, lr=lr, **host_keywords
        )
        self.branch_arguments = branch
        self.frozen_layers = frozen_layers
        self.patience = patience
        cache = feature_cache if isinstance(feature_cache, FeatureCache) else FeatureCache(feature_cache)
        self.feature_cache = cache
        self.branch: ContrastiveBranch | None = None
        self.history: dict[str, list[dict[str, Any]]] = {}
        self._encoder: DocumentEncoder | None = None
        self._fitted: _FittedFeatures | None = None
        self._folded: tuple[tuple, FoldedBranch | ContrastiveBranch] | None = None

    def __getstate__(self) -> dict[str, Any]:
        made_anew = {"_encoder": None, "_folded": None}
        return {**self.__dict__, **made_anew, "_fitted": self._known_features()}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if self._fitted is not None:  # the loaded weights are those that were saved, at other addresses
            self._fitted = self._fitted._replace(weights=weights_state(self.plain_model.parameters()))

    def _model_loaded(self) -> None:
        self._encoder = None
        self.encoder.freeze()  # before an optimizer is made

    @property
    def encoder(self) -> DocumentEncoder:
        """The engine that turns documents into feature vectors.

        Raises
        ------
        ValueError
            Before the first fit.
        """
        if self.model is None:
            raise ValueError("the classifier has no model yet: call fit() first")
        precision = Precision(**self.autocast_options)
        encoder = self._encoder
        if encoder is None or encoder.model is not self.plain_model or encoder.precision != precision:
            self._encoder = encoder = DocumentEncoder(
                self.plain_model,
                self.num_classes,
                frozen_layers=self.frozen_layers,
                cache=self.feature_cache if self.feature_cache.arguments.enabled else None,
                precision=precision,
                compile_model=self.wants_compile,
            )
        return encoder

    def fit(
        self,
        train_set: Any,
        validation_set: Any = None,
        weights: np.ndarray | None = None,
        early_stopping: Any = None,
        model_selection: Any = None,
        optimizer: Any = None,
        scheduler: Any = None,
    ) -> CoMALClassification:
        """Train the classifier and its branch (paper Algorithm 2), and return self.

        Parameters
        ----------
        train_set, validation_set : TransformersDataset, multi-label; without a validation set a share of
            `validation_set_size` is split off, and no label loses its last positive by that
        weights : (N,) sample weights of the classifier's loss, or None
        early_stopping : a small-text handler, 'none', or None for patience on the validation loss
        model_selection : a small-text handler, 'none', or None for the best weights by validation loss, in memory
        optimizer, scheduler : of PyTorch, or None for AdamW at a constant rate

        Raises
        ------
        ValueError
            On an empty training set, one without any positive label, labels outside the classes, single-label data.
        FloatingPointError
            On a NaN or infinite loss.
        """
        self.check_training_data(train_set, validation_set, weights)
        train, valid = training_sets(
            train_set,
            validation_set,
            num_classes=self.num_classes,
            validation_share=self.validation_set_size,
            weights=weights,
        )
        self._fitted = self._folded = None
        if self.model is None:
            self.load_model()
        self.model = self.model.to(self.device)
        self.encoder.freeze()  # again, for a model that was replaced by hand
        trainer = self._branch_trainer()
        plan = self._plan(train_set, len(train.documents), early_stopping, optimizer, scheduler, valid is not None)
        plan.selection = self._selection(model_selection)
        self.history = {"classifier": ClassifierTrainer(self.encoder, plan, trainer).fit(train, valid), "branch": []}
        if trainer is not None:
            self._fit_branch(trainer, train, valid)
        return self

    def _plan(
        self, train_set: Any, n_train: int, early_stopping: Any, optimizer: Any, scheduler: Any, has_validation: bool
    ) -> TrainingPlan:
        optimizer, scheduler = self.optimizer_and_scheduler(optimizer, scheduler, n_train)
        return TrainingPlan(
            optimizer=optimizer,
            scheduler=scheduler,
            early_stopping=self.stopping(early_stopping, patience=self.patience, has_validation=has_validation),
            selection=KeepLast(),
            epochs=self.num_epochs,
            batch_size=self.train_batch,
            predict_batch=self.predict_batch,
            pos_weight=self.positive_weights(train_set),
            validations_per_epoch=self.validations_per_epoch,
            mixed_precision=self.mixed_precision,
            progress=self.wants_progress,
            on_epoch=lambda epoch, measured: self.log(f"Epoch {epoch}: {measured}"),
        )

    def _selection(self, model_selection: Any) -> Any:
        if not self.selects_models(model_selection):
            return KeepLast()
        if hasattr(model_selection, "add_model"):
            return HostSelection(model_selection, self.plain_model)
        return BestWeights(self.plain_model)

    def _branch_trainer(self) -> BranchTrainer | None:
        if self.branch_arguments is None:
            return None
        generator = _generator_beside_the_global_one()
        if self.branch is None:
            feature_size = self.encoder.head.in_features
            self.branch = ContrastiveBranch(
                self.num_classes, feature_size, self.branch_arguments, generator=generator
            ).to(self.device)
        return BranchTrainer(self.branch, generator)

    def _fit_branch(self, trainer: BranchTrainer, train: LabeledDocuments, valid: LabeledDocuments | None) -> None:
        """Phase 2: the classifier stands still, so each document's features are computed once."""
        sets = [train] if valid is None else [train, valid]
        inputs = [LabeledFeatures(self._features(part.documents), part.labels.to(self.encoder.device)) for part in sets]
        self.history["branch"] = trainer.fit(*inputs, progress=self.wants_progress)
        keys = [key for part in sets for key in part.documents.keys]
        self._fitted = _FittedFeatures(
            rows={key: row for row, key in enumerate(keys)},
            features=torch.cat([part.features for part in inputs]),
            weights=weights_state(self.plain_model.parameters()),
        )

    def label_probabilities(self, dataset: Any) -> np.ndarray:
        """Return the probability of every label, (N, C) float32, dense on every release.

        Raises
        ------
        ValueError
            Before `fit`.
        """
        documents = Documents(dataset.data)
        probabilities = np.empty((len(documents), self.num_classes), dtype=np.float32)
        for batch in self._batches(documents):
            with torch.inference_mode():
                probabilities[batch.rows] = torch.sigmoid(self.encoder.logits(batch.features)).cpu().numpy()
        return probabilities

    def dropout_probabilities(self, dataset: Any, samples: int = 10, *, seed: int | None = None) -> np.ndarray:
        """Return the probabilities of `samples` passes with dropout on, (samples, N, C) float32.

        A pass is one sampled network: the same units are dropped for all documents. Dropout acts in the layers that
        are not frozen, on their outputs; attention weights are not dropped. The global random state is not touched.

        Raises
        ------
        ValueError
            Before `fit`, or when samples < 1.
        """
        if samples < 1:
            raise ValueError(f"samples: expected an integer >= 1, got {samples}")
        documents, generator = Documents(dataset.data), torch.Generator()
        if seed is None:
            generator.seed()
        else:
            generator.manual_seed(seed)
        result = np.empty((samples, len(documents), self.num_classes), dtype=np.float32)
        self.encoder.prepare(documents, self.predict_batch, progress=self.wants_progress)
        for sample in range(samples):
            with torch.inference_mode(), one_sampled_network(self.encoder.dropout_modules(), generator):
                for rows, features in self.encoder.stream(documents, self.predict_batch):
                    result[sample, rows] = torch.sigmoid(self.encoder.logits(features)).cpu().numpy()
        return result

    def features(self, dataset: Any) -> np.ndarray:
        """Return the feature vectors v, what enters the classifier's final linear layer, (N, D) float32.

        Raises
        ------
        ValueError
            Before `fit`.
        """
        return self._features(Documents(dataset.data)).cpu().numpy()

    def label_embeddings(self, dataset: Any) -> Iterator[Tensor]:
        """Yield the raw latent vectors z in blocks (b, C, Z), in the dataset's order.

        Raises
        ------
        ValueError
            Before `fit`, or without a branch.
        """
        branch = self._fitted_branch()
        for latent in latent_blocks(self._features(Documents(dataset.data)), branch):
            yield latent.cpu()

    def labeled_space(self, dataset: Any, labels: np.ndarray) -> LabeledSpace:
        """Return label prototypes (C, Z), NaN without positives, and similarities (L, C) of labeled documents.

        Parameters
        ----------
        dataset : L documents
        labels : (L, C) of 0 and 1

        Raises
        ------
        ValueError
            Before `fit`, without a branch, or when the labels have another shape.
        """
        branch, documents = self._fitted_branch(), Documents(dataset.data)
        if labels.shape != (len(documents), self.num_classes):
            raise ValueError(f"expected labels (L, C) = {(len(documents), self.num_classes)}, got {labels.shape}")
        features = self._features(documents)
        with torch.inference_mode():
            return labeled_space(features, torch.as_tensor(labels).to(features.device), branch)

    def prototypes(self, dataset: Any, labels: np.ndarray) -> np.ndarray:
        """Return the label prototypes (C, Z) of `labeled_space`."""
        return self.labeled_space(dataset, labels).prototypes.cpu().numpy()

    def label_space(
        self, dataset: Any, prototypes: np.ndarray | Tensor, *, with_branch_probabilities: bool = True
    ) -> LabelSpace:
        """Return similarities to `prototypes` (C, Z) and probabilities, each (N, C) float32, in one streaming pass.

        Raises
        ------
        ValueError
            Before `fit`, without a branch, or when the prototypes have another shape than the branch's.
        """
        branch, documents = self._fitted_branch(), Documents(dataset.data)
        wanted = (self.num_classes, branch.latent_size)
        if tuple(prototypes.shape) != wanted:
            raise ValueError(f"expected prototypes (C, Z) = {wanted}, got {tuple(prototypes.shape)}")
        with torch.inference_mode():
            return project(
                self._batches(documents),
                len(documents),
                branch,
                head=self.encoder.logits,
                prototypes=torch.as_tensor(prototypes).to(self.encoder.device),
                with_branch_probabilities=with_branch_probabilities,
            )

    def _fitted_branch(self) -> FoldedBranch | ContrastiveBranch:
        """The branch as it scores fastest, made once a fit."""
        if self.branch is None:
            reason = "call fit() first" if self.branch_arguments is not None else "create it with a branch"
            raise ValueError(f"{type(self).__name__} has no contrastive branch: {reason}")
        weights = weights_state(self.branch.parameters())
        if self._folded is None or self._folded[0] != weights:
            self._folded = weights, self.branch.folded()
        return self._folded[1]

    def _features(self, documents: Documents) -> Tensor:
        """(N, D) float32 on the model's device."""
        shape = (len(documents), self.encoder.head.in_features)
        features = torch.empty(shape, dtype=torch.float32, device=self.encoder.device)
        for batch in self._batches(documents):
            features[torch.from_numpy(batch.rows).to(features.device)] = batch.features
        return features

    def _known_features(self) -> _FittedFeatures | None:
        """Those of the last fit, while the weights are still the same."""
        fitted = self._fitted
        return fitted if fitted and fitted.weights == weights_state(self.plain_model.parameters()) else None

    def _batches(self, documents: Documents) -> Iterator[FeatureBatch]:
        """Features of all documents; those of the last fit are known and not computed again."""
        encoder, fitted = self.encoder, self._known_features()
        is_known = np.array([key in fitted.rows for key in documents.keys] if fitted else [], dtype=bool)
        if fitted is None or not is_known.any():
            yield from encoder.stream(documents, self.predict_batch, progress=self.wants_progress)
            return
        rows = np.flatnonzero(is_known)
        for block in np.array_split(rows, max(1, len(rows) // 256)):
            yield FeatureBatch(block, fitted.features[[fitted.rows[documents.keys[row]] for row in block]])
        rest = np.flatnonzero(~is_known)
        for batch in encoder.stream(documents.subset(rest), self.predict_batch, progress=self.wants_progress):
            yield FeatureBatch(rest[batch.rows], batch.features)


class CoMALClassificationFactory(AbstractClassifierFactory):
    """Makes a new CoMALClassification for each round, and keeps the frozen layers' output for all of them.

    Parameters
    ----------
    transformer_model_args : small-text's TransformerModelArguments
    num_classes : C
    classification_kwargs : keywords of CoMALClassification
    kwargs : the same under the name that small-text 1.x uses
    feature_cache : options of the cache that all classifiers share; may also stand in classification_kwargs

    Raises
    ------
    ValueError
        When a keyword is given twice, or a classifier's option is out of range.

    Examples
    --------
    >>> from small_text import TransformerModelArguments
    >>> factory = CoMALClassificationFactory(TransformerModelArguments("google-bert/bert-base-uncased"), 54)
    >>> factory.new().num_classes
    54
    """

    def __init__(
        self,
        transformer_model_args: Any,
        num_classes: int,
        classification_kwargs: dict[str, Any] | None = None,
        *,
        kwargs: dict[str, Any] | None = None,
        feature_cache: FeatureCache | FeatureCacheArguments | None = None,
    ) -> None:
        if classification_kwargs and kwargs:
            raise ValueError("expected classification_kwargs or kwargs (its name in small-text 1.x), got both")
        self.transformer_model_args = transformer_model_args
        self.num_classes = num_classes
        self.classification_kwargs = dict(classification_kwargs or kwargs or {})
        # a cache of each classifier's own would be empty in every round
        of_classifier = self.classification_kwargs.pop("feature_cache", None)
        if feature_cache is not None and of_classifier is not None:
            raise ValueError("expected feature_cache once, got it as an argument and in classification_kwargs")
        cache = feature_cache if feature_cache is not None else of_classifier
        self.feature_cache = cache if isinstance(cache, FeatureCache) else FeatureCache(cache)
        self.new()  # options that are wrong fail here, before any document is labeled

    def new(self) -> CoMALClassification:
        """Return a new, unfitted classifier."""
        keywords = {"feature_cache": self.feature_cache, **self.classification_kwargs}
        return CoMALClassification(self.transformer_model_args, self.num_classes, **keywords)


def _generator_beside_the_global_one() -> torch.Generator:
    """A generator that follows the global seed but takes nothing from it.

    A classifier trained with a branch thereby sees the same random numbers as one trained without.
    """
    with torch.random.fork_rng(devices=[]):
        return torch.Generator().manual_seed(int(torch.randint(2**62, ()).item()))
