"""An epoch of the branch against the matrix products that it cannot do without."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from report import Table, Target, seconds_cells
from timing import ratio, take_turns
from workload import Settings, Workload, dense_labels

from small_text_comal.config import ContrastiveBranchArguments
from small_text_comal.method.branch import ContrastiveBranch
from small_text_comal.method.branch_training import BranchTrainer, LabeledFeatures

__all__ = ["branch_products", "branch_tables"]

FEATURE_SIZE = 384  # MiniLM's


class Product(NamedTuple):
    """(rows, inner) times (inner, columns), `times` times."""

    name: str
    rows: int
    inner: int
    columns: int
    times: int = 1

    @property
    def operations(self) -> float:
        """Multiplications and additions."""
        return 2.0 * self.rows * self.inner * self.columns * self.times


def branch_products(batch: int, num_classes: int, feature_size: int, arguments: ContrastiveBranchArguments) -> list:
    """Return the matrix products of one training step of the branch.

    A linear layer has three: output, gradient of its weight, gradient of its input; the first layer needs no gradient
    of its input, for the features are fixed. The contrastive denominators need each unordered pair once forward
    (n^2 / 2 products of vectors, n = B * C) and all pairs once backward.
    """
    B, C, D = batch, num_classes, feature_size
    U, Z, n = arguments.sub_feature_size, arguments.latent_size, batch * num_classes
    return [
        Product("decouple", B, D, C * U),
        Product("decouple, weight gradient", D, B, C * U),
        Product("encode", n, U, Z),
        Product("encode, weight gradient", Z, n, U),
        Product("encode, input gradient", n, Z, U),
        Product("decode", n, Z, U),
        Product("decode, weight gradient", U, n, Z),
        Product("decode, input gradient", n, U, Z),
        Product("aggregate", B, C * U, D),
        Product("aggregate, weight gradient", D, B, C * U),
        Product("aggregate, input gradient", B, D, C * U),
        Product("classify", B, D, C),
        Product("classify, weight gradient", C, B, D),
        Product("classify, input gradient", B, C, D),
        Product("pairs", max(n // 2, 1), Z, n),
        Product("pairs, gradient", n, n, Z),
    ]


def multiplied_out(products: list[Product], device: str) -> Callable[[], None]:
    """Return an action that does the products on operands made beforehand."""
    shapes = {(p.rows, p.inner, p.columns) for p in products}
    operands = {
        (m, k, n): tuple(torch.randn(shape, device=device) for shape in ((m, k), (k, n), (m, n))) for m, k, n in shapes
    }

    def action() -> None:
        for product in products:
            left, right, out = operands[product.rows, product.inner, product.columns]
            for _ in range(product.times):
                torch.mm(left, right, out=out)

    return action


def branch_tables(workload: Workload, settings: Settings) -> Iterator[Table]:
    """Yield the table of a branch epoch on random features with the workload's labels."""
    generator = torch.Generator().manual_seed(settings.seed)
    arguments = ContrastiveBranchArguments(max_epochs=1)
    labels = torch.from_numpy(dense_labels(workload.dataset.y[workload.labeled])).float()
    features = torch.randn(len(labels), FEATURE_SIZE, generator=generator).tanh()
    data = LabeledFeatures(features.to(settings.device), labels.to(settings.device))
    branch = ContrastiveBranch(workload.num_classes, FEATURE_SIZE, arguments, generator=generator).to(settings.device)
    trainer = BranchTrainer(branch, generator)
    sizes = [len(part) for part in torch.arange(len(labels)).split(arguments.batch_size)]
    products = [p for size in sizes for p in branch_products(size, workload.num_classes, FEATURE_SIZE, arguments)]
    variants = {
        "branch epoch": lambda: trainer.fit(data),
        "its matrix products alone": multiplied_out(products, settings.device),
    }
    measured = take_turns(variants, max(settings.repeats, 3), settings.device)
    epoch, floor = measured.values()
    times = [ratio([getattr(s, k) for s in epoch], [getattr(s, k) for s in floor]) for k in ("main", "wall")]
    operations = sum(p.operations for p in products)
    rows = [
        [name, *seconds_cells(seconds), operations / 1e9 / seconds_cells(seconds)[0].median, *cells]
        for (name, seconds), cells in zip(measured.items(), (times, ("1", "1")), strict=True)
    ]
    yield Table(
        f"{workload.name}: an epoch of the branch, {len(labels)} documents, C = {workload.num_classes}",
        ["", "process s", "wall s", "Gflop/s of products", "x floor: process", "wall"],
        rows,
        [Target(f"{workload.name}: branch epoch against its products", times[0].median, 2, at_most=True)],
    )
