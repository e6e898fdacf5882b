"""Feature vectors of documents, at the cost of the trainable layers only.

Batches are trimmed to their longest document and sorted by length. The output of the frozen lower layers comes from a
cache that outlives the classifier; the layers above run on it, and the last one computes only the token that the head
reads. Each of these shortcuts is compared with the whole model on a few of the first documents, and one that the
architecture does not allow is not taken; where that costs much, a note says so.
"""

from __future__ import annotations

import functools
import hashlib
import json
import warnings
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor, nn
from tqdm import tqdm

from small_text_comal.encoder.documents import Documents, length_sorted_batches
from small_text_comal.encoder.feature_cache import FeatureCache
from small_text_comal.encoder.layer_split import (
    LayerStack,
    Prefix,
    feature_view,
    find_head,
    find_layers,
    first_token_last,
    freeze,
    split_at,
)
from small_text_comal.method.label_space import FeatureBatch

__all__ = ["DocumentEncoder", "default_frozen_layers", "weights_state"]

_TOLERANCE = 1e-4  # of a shortcut against the whole model, relative to the largest feature; measured errors are ~1e-6
_ROUNDINGS = 8  # of products, that two right ways through a model may lie apart
_NO_SPLIT = (
    "the frozen layers of {} cannot be computed apart from the rest: every pass runs the whole model, and nothing "
    "is cached"
)
_PADDING_MATTERS = (
    "the features of {} depend on how far a document is padded: all keep the padding of their dataset, every pass runs "
    "the whole model, and nothing is cached"
)
_NOTHING_FROZEN = (
    "the layers of {} cannot be found: all of it is trained, every pass runs the whole model, and nothing is cached "
    "(freeze what you like with requires_grad_(False))"
)
_OUT_OF_MEMORY = "out of CUDA memory: going on with half as many documents a batch, as often as needed"
_CONFIG_WITHOUT_EFFECT = {
    "_name_or_path", "architectures", "dtype", "torch_dtype", "id2label", "label2id", "num_labels", "problem_type",
    "transformers_version", "finetuning_task",
}  # fmt: skip


def default_frozen_layers(depth: int) -> int:
    """Return how many of `depth` layers the paper freezes: three quarters, 9 of BERT-base's 12."""
    return depth * 3 // 4


class DocumentEncoder:
    """Computes the feature vectors v (D) of documents with a sequence-classification model.

    Parameters
    ----------
    model : a model as AutoModelForSequenceClassification makes it, on its device
    num_classes : C
    frozen_layers : layers to freeze together with the embeddings; None: three quarters; 0: nothing
    cache : where the frozen layers' output is kept; None computes it anew each time
    autocast : makes the context in which the model runs (mixed precision)
    compile_model : run the trainable layers through `torch.compile`

    Raises
    ------
    ValueError
        When frozen_layers is more than the encoder has, or the encoder's layers cannot be found.
    """

    def __init__(
        self,
        model: nn.Module,
        num_classes: int,
        *,
        frozen_layers: int | None = None,
        cache: FeatureCache | None = None,
        autocast: Callable[[], AbstractContextManager] = nullcontext,
        compile_model: bool = False,
    ) -> None:
        self.model = model
        self.head = find_head(model, num_classes)[1]
        self.plain = feature_view(model, num_classes)
        # decoders find a document's last token by it
        self.pad_id: int = getattr(getattr(model, "config", None), "pad_token_id", None) or 0
        self.stack = find_layers(model)
        self.frozen_layers = _checked_depth(frozen_layers, self.stack, type(model).__name__)
        self.frozen_parameters = [] if self.stack is None else freeze(model, self.stack, self.frozen_layers)
        parameters = dict(self.plain.named_parameters())
        self._frozen_weights = [parameters[name] for name in self.frozen_parameters]
        self.cache = cache if self.frozen_layers else None
        self.autocast = autocast
        self.compile_model = compile_model
        self.route: _Route | None = None
        self._fingerprinted: tuple[Any, str] = ((), "")

    @property
    def device(self) -> torch.device:
        """Where the model is."""
        return self.head.weight.device

    def set_training(self, training: bool) -> None:
        """Put the trainable layers into training or evaluation mode; frozen ones are always in evaluation mode."""
        route = self.route or _Route(None, self.plain)
        if route.prefix is not None:
            route.prefix.model.eval()
        route.trainable.train(training)
        if route.prefix is None and self.stack is not None and self.frozen_layers:
            route.trainable.get_submodule(self.stack.embeddings).eval()
            for layer in list(route.trainable.get_submodule(self.stack.layers))[: self.frozen_layers]:  # type: ignore
                layer.eval()

    def prepare(self, documents: Documents, batch_size: int, *, progress: bool = False) -> None:
        """Choose the shortcuts that hold on these documents, and cache the frozen layers' output of all of them."""
        if self.route is None and len(documents):
            self.route = self._choose_route(documents)
        if self.cache is None or self.route is None or self.route.prefix is None:
            return
        self.cache.use(self._fingerprint())
        missing = self.cache.missing(documents.keys)
        if not missing:
            return
        rows = np.array(list({documents.keys[row]: row for row in reversed(missing)}.values()))[::-1]
        self.set_training(False)
        for batch, hidden in self._batches(documents, rows, batch_size, self._prefix, progress):
            trimmed = [states[:length] for states, length in zip(hidden, documents.lengths[batch], strict=True)]
            self.cache.put([documents.keys[row] for row in batch], trimmed)
        self.cache.close_segment()

    def features(self, documents: Documents, rows: np.ndarray) -> Tensor:
        """Return the feature vectors (b, D) of the documents `rows`; differentiable, in the mode that is set.

        `prepare` must have seen the documents.
        """
        route = self.route
        assert route is not None, "prepare() comes first"
        with self.autocast():
            if route.prefix is None:
                ids, mask = documents.padded(rows, self.device, self.pad_id, trimmed=route.trims)
                return route.run(input_ids=ids, attention_mask=mask).logits
            hidden = self._prefix(documents, rows) if self.cache is None else self._cached(documents, rows)
            mask = documents.padded_mask(rows, self.device)
            return route.run(inputs_embeds=hidden, attention_mask=mask).logits

    def logits(self, features: Tensor) -> Tensor:
        """Return the logits (b, C) float32 of `features` (b, D)."""
        return self.head(features.to(self.head.weight.dtype)).float()

    def dropout_modules(self) -> list[nn.Module]:
        """Return the dropout modules that training uses: those of the frozen layers are not among them."""
        frozen: set[nn.Module] = set()
        if self.stack is not None and self.frozen_layers:
            layers = list(self.plain.get_submodule(self.stack.layers))[: self.frozen_layers]  # type: ignore[call-overload]
            frozen = {m for part in [self.plain.get_submodule(self.stack.embeddings), *layers] for m in part.modules()}
        return [m for m in self.plain.modules() if isinstance(m, nn.Dropout) and m.p > 0 and m not in frozen]

    def stream(self, documents: Documents, batch_size: int, *, progress: bool = False) -> Iterator[FeatureBatch]:
        """Yield the feature vectors of all documents in evaluation mode, in batches of similar length.

        `batch_size` counts documents padded to the caller's full length: as many tokens make a batch here.
        """
        self.prepare(documents, batch_size, progress=progress)
        self.set_training(False)
        rows = np.arange(len(documents))
        for batch, features in self._batches(documents, rows, batch_size, self.features, progress):
            yield FeatureBatch(batch, features.to(torch.float32, copy=True))  # a normal tensor, that autograd can use

    def _batches(
        self,
        documents: Documents,
        rows: np.ndarray,
        batch_size: int,
        compute: Callable[[Documents, np.ndarray], Tensor],
        progress: bool,
    ) -> Iterator[tuple[np.ndarray, Tensor]]:
        """Run `compute` over the documents `rows`; out of CUDA memory halves the batches and goes on."""
        lengths = documents.lengths if self.route is None or self.route.trims else documents.full_lengths
        with tqdm(total=len(rows), unit="doc", leave=False, disable=None if progress else True) as bar:
            waiting = _stacked(rows, lengths, batch_size * documents.padded_length)
            while waiting:
                batch = waiting.pop()
                try:
                    with torch.inference_mode():  # never across the yield: the caller's code is not to run in it
                        result = compute(documents, batch)
                except torch.cuda.OutOfMemoryError:
                    if len(batch) == 1:
                        raise
                    _note_once(_OUT_OF_MEMORY)
                    left = np.concatenate([batch, *reversed(waiting)])
                    waiting = _stacked(left, lengths, len(batch) * int(lengths[batch].max()) // 2)
                    continue
                yield batch, result
                bar.update(len(batch))

    def _prefix(self, documents: Documents, rows: np.ndarray) -> Tensor:
        assert self.route is not None and self.route.prefix is not None
        with torch.no_grad(), self.autocast():
            return self.route.prefix(*documents.padded(rows, self.device, self.pad_id)).to(self.head.weight.dtype)

    def _cached(self, documents: Documents, rows: np.ndarray) -> Tensor:
        assert self.cache is not None
        if self.cache.fingerprint != self._fingerprint():  # another model shares the cache and was the last to use it
            return self._prefix(documents, rows).to(self.cache.dtype).to(self.head.weight.dtype)
        states = [self.cache.get(documents.keys[row]) for row in rows]
        padded = torch.nn.utils.rnn.pad_sequence(states, batch_first=True)
        return padded.to(self.device, non_blocking=True).to(self.head.weight.dtype)

    def _fingerprint(self) -> str:
        """A digest of all that decides the frozen layers' output; made anew when a frozen weight was written to."""
        state = weights_state(self._frozen_weights)
        if state != self._fingerprinted[0]:
            self._fingerprinted = state, self._new_fingerprint()
        return self._fingerprinted[1]

    def _new_fingerprint(self) -> str:
        assert self.route is not None and self.route.prefix is not None
        config = {k: v for k, v in self.plain.config.to_dict().items() if k not in _CONFIG_WITHOUT_EFFECT}  # type: ignore
        with self.autocast():
            one = torch.ones(1, 1, device=self.device)
            precision = str((one @ one).dtype)
        output = [self.frozen_layers, self.route.prefix.first_token_only, precision, config]
        digest = hashlib.blake2b(json.dumps(output, sort_keys=True, default=str).encode())
        for name, weight in zip(self.frozen_parameters, self._frozen_weights, strict=True):
            digest.update(name.encode())
            values = weight.detach().cpu().reshape(-1).contiguous()
            digest.update(values.view(torch.uint8).numpy().data)
        return digest.hexdigest()

    def _choose_route(self, documents: Documents) -> _Route:
        """The fastest way through the model that gives the whole model's features on some of these documents."""
        *compared, padded_in_full = self._probes(documents)
        self.route = None
        self.set_training(False)
        with torch.no_grad():
            close = functools.partial(_close, tolerance=_tolerance(self.head.weight))
            whole = _Route(None, self.plain)
            expected = [_run(whole, *probe) for probe in compared]
            self._check_head(*compared[0], expected[0], close)
            trims = close(_run(whole, *padded_in_full), expected[1])
            route = whole._replace(trims=trims)
            if trims:  # else the frozen layers' output would depend on the batch that a document happened to be in
                same = (way for way in self._routes() if _same_features(way, compared, expected, close))
                route = next(same, route)
        if torch.isfinite(expected[0]).all():  # else nothing is close to anything, and fit says so
            if not trims:
                _note_once(_PADDING_MATTERS.format(type(self.plain).__name__))
            elif self.frozen_layers and route.prefix is None:
                _note_once(_NO_SPLIT.format(type(self.plain).__name__))
        return route._replace(compiled=torch.compile(route.trainable, dynamic=True) if self.compile_model else None)

    def _probes(self, documents: Documents) -> list[tuple[Tensor, Tensor]]:
        """Ids and mask of a padded batch, and of one of its documents alone: without padding, and padded in full."""
        spread = np.argsort(documents.lengths, kind="stable")[np.linspace(0, len(documents) - 1, 4).astype(int)]
        ids, mask = documents.padded(np.unique(spread), self.device, self.pad_id)
        if ids.shape[1] < 3:  # one token, or two of which one is masked below, would not show which the head reads
            ids = torch.arange(3, device=self.device)[None]
            mask = torch.ones_like(ids)
        mask[0, -1] = 0  # documents of one length would show nothing of how padding is treated
        length = int(mask[0].nonzero().max()) + 1
        short = ids[:1, :length], mask[:1, :length]
        padding = max(documents.padded_length, ids.shape[1]) - length
        full = [nn.functional.pad(part, (0, padding), value=v) for part, v in zip(short, (self.pad_id, 0), strict=True)]
        return [(ids, mask), short, (full[0], full[1])]

    def _check_head(self, ids: Tensor, mask: Tensor, features: Tensor, close: _Comparison) -> None:
        logits = self.model(input_ids=ids, attention_mask=mask).logits
        if torch.isfinite(logits).all() and not close(self.logits(features), logits.float()):
            raise ValueError(
                f"expected a classifier that ends in its last linear layer, but {type(self.model).__name__} does "
                "something to that layer's output: choose a model, or a configuration of it, without that"
            )

    def _routes(self) -> Iterator[_Route]:
        """Candidates, fastest first."""
        if self.stack is None:
            return
        trunks = (first_token_last(self.plain, self.stack), self.plain)
        for trunk in trunks if self.frozen_layers else ():
            prefix, suffix = split_at(trunk, self.stack, self.frozen_layers)
            if self.frozen_layers == self.stack.depth:  # only the head is left, and most heads read the first token
                yield _Route(Prefix(prefix.model, first_token_only=True), suffix)
            yield _Route(prefix, suffix)
        yield from (_Route(None, trunk) for trunk in trunks)


class _Route(NamedTuple):
    """A way through the model: the frozen prefix (None: the whole model is `trainable`) and the rest.

    `trims` says whether padding can be cut off without an effect on the features.
    """

    prefix: Prefix | None
    trainable: nn.Module
    trims: bool = True
    compiled: Callable[..., Any] | None = None

    @property
    def run(self) -> Callable[..., Any]:
        return self.trainable if self.compiled is None else self.compiled  # a compiled module has no truth value


_Comparison = Callable[[Tensor, Tensor], bool]


def _same_features(
    route: _Route, probes: list[tuple[Tensor, Tensor]], expected: list[Tensor], close: _Comparison
) -> bool:
    try:
        return all(close(_run(route, ids, mask), want) for (ids, mask), want in zip(probes, expected, strict=True))
    except Exception:  # whatever an unknown architecture raises, the whole model still works
        return False


def _run(route: _Route, ids: Tensor, mask: Tensor) -> Tensor:
    """The features by way of `route`; hidden states are cut behind the last token and padded with 0, as when cached."""
    if route.prefix is None:
        return route.trainable(input_ids=ids, attention_mask=mask).logits
    hidden = route.prefix(ids, mask)
    behind = mask.flip(1).cumsum(dim=1).flip(1) == 0
    hidden = hidden.masked_fill(behind[:, : hidden.shape[1], None], 0)
    return route.trainable(inputs_embeds=hidden, attention_mask=mask).logits


def _close(got: Tensor, expected: Tensor, *, tolerance: float) -> bool:
    difference = float((got - expected).abs().max()) if got.shape == expected.shape else torch.inf
    return difference <= tolerance * float(expected.abs().max())


def _tolerance(like: Tensor) -> float:
    """`_TOLERANCE`, or more where products of such weights are rounded to fewer bits: TF32, weights in 16 bits."""
    values = torch.linspace(0, 1, 64 * 64).reshape(64, 64).to(like)
    exact = values.cpu().double() @ values.cpu().double()
    error = float(((values @ values).cpu().double() - exact).abs().max() / exact.abs().max())
    return max(_TOLERANCE, _ROUNDINGS * error)


def _stacked(rows: np.ndarray, lengths: np.ndarray, token_budget: int) -> list[np.ndarray]:
    """The documents `rows` in batches of similar length, the longest on top."""
    return [rows[batch] for batch in length_sorted_batches(lengths[rows], token_budget)][::-1]


def weights_state(weights: Iterable[Tensor]) -> tuple[tuple[int, int], ...]:
    """Return what changes when one of `weights` is written to (but through ``.data``), moved or exchanged."""
    return tuple((weight.data_ptr(), weight._version) for weight in weights)


def _checked_depth(frozen_layers: int | None, stack: LayerStack | None, name: str) -> int:
    if stack is None:
        if frozen_layers:
            raise ValueError(
                f"frozen_layers={frozen_layers}: the layers of {name} cannot be found; "
                "pass frozen_layers=0, or freeze them yourself with requires_grad_(False)"
            )
        if frozen_layers is None:
            _note_once(_NOTHING_FROZEN.format(name))
        return 0
    if frozen_layers is None:
        return default_frozen_layers(stack.depth)
    if not 0 <= frozen_layers <= stack.depth:
        raise ValueError(f"frozen_layers: expected a number within [0, {stack.depth}] (layers), got {frozen_layers}")
    return frozen_layers


@functools.cache
def _note_once(message: str) -> None:
    warnings.warn(message, stacklevel=5)
