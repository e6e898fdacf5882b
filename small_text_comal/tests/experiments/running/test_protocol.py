"""What the strategies of a seed share, and what they must never see."""

import numpy as np
import pytest
from experiment_fakes import documents, raw_corpus

from small_text_comal.experiments.data.corpus import LabeledTexts, RawCorpus
from small_text_comal.experiments.data.dataset_spec import DatasetSpec
from small_text_comal.experiments.data.prepare import prepare_corpus
from small_text_comal.experiments.running.protocol import initial_labels, make_split, round_seeds

SPEC = DatasetSpec(loader="jsonl", path="toy", validation_size=12)


def test_pool_validation_and_test_share_no_document():
    corpus = prepare_corpus(raw_corpus(), SPEC)
    split = make_split(corpus, SPEC, seed=3)
    assert (len(split.pool), len(split.validation), len(split.test)) == (48, 12, 20)
    assert not set(split.pool.texts) & set(split.validation.texts)
    assert not set(split.test.texts) & set(split.pool.texts + split.validation.texts)
    assert all(text.startswith("text") for text in split.validation.texts)


def test_a_seed_gives_the_same_split_and_another_seed_another():
    corpus = prepare_corpus(raw_corpus(), SPEC)
    texts = [make_split(corpus, SPEC, seed=seed).validation.texts for seed in (0, 0, 1)]
    assert texts[0] == texts[1] != texts[2]
    assert make_split(corpus, SPEC, seed=1).test.texts == make_split(corpus, SPEC, seed=2).test.texts


def test_own_validation_part_is_used():
    raw = raw_corpus()._replace(validation=documents(7, prefix="own"))
    corpus = prepare_corpus(raw, SPEC)
    split = make_split(corpus, SPEC, seed=0)
    assert split.validation.texts == raw.validation.texts
    assert len(split.pool) == 60


@pytest.mark.parametrize("seed", range(5))
def test_the_only_positive_of_a_label_stays_in_the_pool(seed):
    labels = [["common"]] * 20 + [["single"]] + [["common"]] * 5
    raw = RawCorpus(LabeledTexts([f"t{i}" for i in range(26)], labels), None, LabeledTexts(["test"], [["common"]]))
    corpus = prepare_corpus(raw, SPEC)
    split = make_split(corpus, DatasetSpec(loader="jsonl", path="toy", validation_size=24), seed)
    assert len(split.pool) == 2
    assert "t20" in split.pool.texts


def few_positives():
    """Two labels that two documents have."""
    labels = [["cat"], ["dog"]] * 20 + [["rare"], ["rare", "rarer"], ["rarer"]]
    train = LabeledTexts([f"t{i}" for i in range(len(labels))], labels)
    return RawCorpus(train, None, LabeledTexts(["test"], [["cat"]]))


def test_every_label_keeps_a_positive_and_a_draw_that_takes_none_away_stays_as_it_is():
    corpus = prepare_corpus(few_positives(), SPEC)
    y = corpus.train.y.toarray()
    replaced = 0
    for seed in range(60):
        split = make_split(corpus, SPEC, seed)
        assert len(split.validation) == 12
        assert (split.pool.y.toarray().sum(axis=0) > 0).all()
        # 1 is what the generator is for; no label has one positive only, so that all documents can be drawn
        drawn = np.sort(np.random.default_rng(np.random.SeedSequence([seed, 1])).choice(len(y), 12, replace=False))
        if (np.delete(y, drawn, axis=0).sum(axis=0) > 0).all():
            assert split.validation.rows.tolist() == drawn.tolist()
        else:
            replaced += 1
            assert len(np.intersect1d(split.validation.rows, drawn)) >= 12 - 2
            assert (make_split(corpus, SPEC, seed).validation.rows == split.validation.rows).all()
    assert 0 < replaced < 60


def spared_by_a_plain_loop(y, size, rng):
    """The split of the first release, which records depend on: a draw, and then others for what cannot be spared."""
    free = [i for i, row in enumerate(y) if not any(row[j] and y[:, j].sum() == 1 for j in range(y.shape[1]))]
    drawn = rng.choice(free, min(size, len(free)), replace=False).tolist()
    order = [*drawn, *rng.permutation([i for i in free if i not in drawn]).tolist()]
    taken = []
    for row in order:
        rest = np.delete(y, [*taken, row], axis=0).sum(axis=0)
        if len(taken) < size and all(rest[j] > 0 for j in range(y.shape[1]) if y[row, j]):
            taken.append(row)
    return sorted(taken)


@pytest.mark.parametrize("size", [1, 3, 7, 10, 29])
@pytest.mark.parametrize("seed", range(8))
def test_the_validation_set_is_that_of_the_first_release(seed, size):
    corpus = prepare_corpus(raw_corpus(n_train=30), SPEC)
    rng = np.random.default_rng(np.random.SeedSequence([seed, 1]))
    expected = spared_by_a_plain_loop(corpus.train.y.toarray(), size, rng)
    spec = DatasetSpec(loader="jsonl", path="toy", validation_size=size)
    if len(expected) < size:
        with pytest.raises(ValueError, match=rf"after {len(expected)}, "):
            make_split(corpus, spec, seed)
    else:
        assert make_split(corpus, spec, seed).validation.rows.tolist() == expected


def test_train_too_small_for_validation():
    corpus = prepare_corpus(raw_corpus(n_train=12), SPEC)
    with pytest.raises(ValueError, match="12 documents of train are too few for 12 validation documents"):
        make_split(corpus, SPEC, seed=0)


def test_first_labels_cover_every_label():
    pool = make_split(prepare_corpus(raw_corpus(), SPEC), SPEC, seed=0).pool
    chosen = initial_labels(pool, 10, min_per_label=2, seed=0)
    assert len(set(chosen.tolist())) == 10
    assert (pool.y[chosen].toarray().sum(axis=0) >= 2).all()
    assert (chosen == initial_labels(pool, 10, min_per_label=2, seed=0)).all()
    assert set(chosen) != set(initial_labels(pool, 10, min_per_label=2, seed=1))


def test_round_seeds_differ_between_rounds_and_seeds():
    found = {round_seeds(seed, number) for seed in range(10) for number in range(20)}
    assert len(found) == 200
    assert len({seed for seeds in found for seed in seeds}) == 600
    assert all(0 <= seed < 2**32 for seed in round_seeds(5, 7))  # the range of NumPy's global generator


@pytest.mark.parametrize("pool_size", [5, 100, 1_000, 2_000])
def test_the_pool_is_of_the_size_asked_for_when_validation_comes_from_train(pool_size):
    cut = DatasetSpec(loader="jsonl", path="toy", pool_size=pool_size)
    split = make_split(prepare_corpus(raw_corpus(n_train=2_500), cut), cut, seed=0)
    assert len(split.pool) == pool_size
    assert len(split.validation) == max(1, (len(split.pool) + len(split.validation)) // 10)
