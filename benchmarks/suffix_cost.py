"""What computing only the first token of the last layer saves on the trainable layers."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from report import Table, Target, seconds_cells
from timing import ratio, take_turns
from torch import Tensor, nn
from workload import Settings, SkippedError, Workload, comal_factory

from small_text_comal.encoder.documents import Documents, length_sorted_batches
from small_text_comal.encoder.frozen.layer_split import first_token_last, split_at

__all__ = ["suffix_tables"]

DOCUMENTS, PREDICT_BATCH, TRAIN_BATCH = 256, 32, 12
GAIN = 1.15
ALL, FIRST = "all tokens", "first token in the last layer"


def suffix_tables(workload: Workload, settings: Settings) -> Iterator[Table]:
    """Yield the table of the trainable layers, forward and in a training step."""
    clf = comal_factory(workload, settings, branch=None).new()
    clf.load_model()
    clf.model = clf.model.to(clf.device)
    encoder = clf.document_encoder().layered
    if encoder.stack is None:
        raise SkippedError(f"the layers of {type(clf.plain_model).__name__} cannot be found")
    trunks = {ALL: encoder.plain, FIRST: first_token_last(encoder.plain, encoder.stack)}
    views = {name: split_at(trunk, encoder.stack, encoder.frozen_layers) for name, trunk in trunks.items()}
    documents = Documents(workload.dataset[workload.pool[:DOCUMENTS]].data)
    rows, targets = [], []
    for what, size, make in (("forward", PREDICT_BATCH, _forward), ("training step", TRAIN_BATCH, _training)):
        budget = size * documents.padded_length
        batches = [documents.padded(b, clf.device) for b in length_sorted_batches(documents.lengths, budget)]
        with torch.inference_mode():
            states = [views[ALL].prefix(*batch) for batch in batches]
        inputs = [(hidden.clone(), mask) for hidden, (_, mask) in zip(states, batches, strict=True)]
        variants = {name: make(view.suffix, inputs) for name, view in views.items()}
        measured = take_turns(variants, max(settings.repeats, 3), settings.device)
        gains = [ratio(*([getattr(s, k) for s in measured[n]] for n in (ALL, FIRST))) for k in ("main", "wall")]
        for name in views:
            rows.append([f"{what}, {name}", *seconds_cells(measured[name]), *(gains if name == FIRST else ["1", "1"])])
        targets.append(Target(f"{workload.name}: first token only, {what}", gains[0].median, GAIN))
    title = f"{workload.name}: the trainable layers on {len(documents)} documents"
    yield Table(title, ["", "process s", "wall s", "x faster: process", "wall"], rows, targets)


def _forward(suffix: nn.Module, inputs: list[tuple[Tensor, Tensor]]) -> Callable[[], None]:
    def action() -> None:
        suffix.eval()
        with torch.inference_mode():
            for hidden, mask in inputs:
                suffix(inputs_embeds=hidden, attention_mask=mask)

    return action


def _training(suffix: nn.Module, inputs: list[tuple[Tensor, Tensor]]) -> Callable[[], None]:
    def action() -> None:
        suffix.train()
        for hidden, mask in inputs:
            suffix(inputs_embeds=hidden, attention_mask=mask).logits.square().mean().backward()
            suffix.zero_grad(set_to_none=True)

    return action
