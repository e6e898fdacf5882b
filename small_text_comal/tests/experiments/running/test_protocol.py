"""What the strategies of a seed share, and what they must never see."""

import numpy as np
import pytest
from experiment_fakes import documents, raw_corpus

from small_text_comal.experiments.data.corpus import LabeledTexts, RawCorpus
from small_text_comal.experiments.data.dataset_spec import DatasetSpec
from small_text_comal.experiments.data.prepare import prepare_corpus
from small_text_comal.experiments.options.evaluation import checked_metrics, evaluate
from small_text_comal.experiments.running.protocol import initial_labels, make_split, round_seeds
from small_text_comal.metrics import ndcg_at_k, precision_at_k

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
    return RawCorpus(LabeledTexts([f"t{i}" for i in range(len(labels))], labels), None, LabeledTexts(["test"], [["cat"]]))


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


def test_train_too_small_for_validation():
    corpus = prepare_corpus(raw_corpus(n_train=12), SPEC)
    with pytest.raises(ValueError, match="12 documents of train cannot give 12 for validation"):
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


def test_evaluation_by_name():
    rng = np.random.default_rng(0)
    y, probabilities = (rng.random((30, 4)) < 0.4).astype(int), rng.random((30, 4))
    values = evaluate(y, probabilities, checked_metrics(("Micro-F1", "p@1", "nDCG@3", "p@5", "micro_f1")))
    predicted = probabilities >= 0.5
    true_positives = sum(int(a and b) for a, b in zip(y.ravel(), predicted.ravel(), strict=True))
    assert values == {
        "micro_f1": pytest.approx(2 * true_positives / (y.sum() + predicted.sum())),
        "p@1": precision_at_k(y, probabilities, 1),
        "ndcg@3": ndcg_at_k(y, probabilities, 3),
    }
    with pytest.raises(ValueError, match=r"unknown metric 'mikro_f1'. Did you mean 'micro_f1'"):
        checked_metrics(("mikro_f1",))
    with pytest.raises(ValueError, match="unknown metric 'p@0'"):
        checked_metrics(("p@0",))
