import doctest

import numpy as np
import pytest
import torch
from tiny_encoders import LABELS, ROWS, tiny_model
from torch import nn

from small_text_comal.encoder.document_encoder import DocumentEncoder
from small_text_comal.encoder.documents import Documents
from small_text_comal.encoder.frozen import dropout_masks
from small_text_comal.encoder.frozen.dropout_masks import one_sampled_network


def passes(p, seed):
    layers = nn.Sequential(nn.Dropout(p), nn.Linear(6, 6, bias=False), nn.Dropout(p)).eval()
    nn.init.eye_(layers[1].weight)
    dropouts = [layers[0], layers[2]]
    with one_sampled_network(dropouts, torch.Generator().manual_seed(seed)):
        first, second = layers(torch.ones(3, 6)), layers(torch.ones(5, 2, 6))
    return layers, first, second


def test_docstring_examples():
    assert doctest.testmod(dropout_masks).failed == 0


def test_one_network_for_all_documents_tokens_and_batches():
    _, first, second = passes(0.5, seed=1)
    assert torch.equal(first, first[:1].expand(3, 6))
    assert torch.equal(second, first[0].expand(5, 2, 6))
    assert set(first.unique().tolist()) <= {0.0, 4.0}


def test_another_draw_is_another_network_and_the_mean_is_the_whole_one():
    means = torch.stack([passes(0.3, seed)[1][0] for seed in range(2000)]).mean(dim=0)
    torch.testing.assert_close(means, torch.ones(6), atol=0.1, rtol=0)
    assert not torch.equal(passes(0.5, 1)[1], passes(0.5, 2)[1])


def test_afterwards_nothing_is_dropped_and_the_global_generator_stands_where_it_stood():
    layers, *_ = passes(0.5, seed=1)
    assert torch.equal(layers(torch.ones(3, 6)), torch.ones(3, 6))
    state = torch.get_rng_state()
    with one_sampled_network([layers[0]], torch.Generator().manual_seed(0)):
        layers(torch.ones(1, 6))
    assert torch.equal(torch.get_rng_state(), state)


@pytest.mark.parametrize("name", ["bert", "mpnet", "deberta-v2"])
def test_a_document_sees_the_same_network_beside_a_longer_one(name):
    """Attention weights, whose number changes with the batch, are left alone."""
    model = tiny_model(name, hidden_dropout_prob=0.3, attention_probs_dropout_prob=0.3)
    encoder = DocumentEncoder(model, LABELS, frozen_layers=2)
    documents = Documents(ROWS)
    encoder.prepare(documents, 4)
    encoder.set_training(False)

    def features(rows):
        with torch.no_grad(), one_sampled_network(encoder.dropout_modules(), torch.Generator().manual_seed(0)):
            return encoder.features(documents, np.array(rows))[0]

    torch.testing.assert_close(features([1]), features([1, 2]), atol=1e-5, rtol=0)
    with torch.no_grad():
        assert float((features([1]) - encoder.features(documents, np.array([1]))[0]).abs().max()) > 0.01
