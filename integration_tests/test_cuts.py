"""The cuts of the fine-tuned classifier, with small-text's learner on the installed release."""

import numpy as np
import pytest

from small_text_comal.method.thresholds import label_thresholds


def test_predictions_lie_above_the_fitted_cuts(world):
    clf = world.classifier(threshold="auto")
    assert clf.thresholds.shape == (world.num_labels,)
    assert ((clf.thresholds > 0) & (clf.thresholds < 1)).all()
    expected = clf.label_probabilities(world.dataset) > clf.thresholds
    np.testing.assert_array_equal(clf.predict(world.dataset).toarray() > 0, expected)


def test_validation_documents_of_the_user_decide_the_cuts(world):
    validation = world.dataset[np.arange(40, 60)]
    clf = world.classifier(threshold="auto", fit={"validation_set": validation})
    expected = label_thresholds(clf.label_probabilities(validation), world.y[40:60].toarray())
    np.testing.assert_array_equal(clf.thresholds, expected)


def test_cuts_change_nothing_of_the_probabilities(world):
    fitted, fixed = (world.classifier(threshold=threshold) for threshold in ("auto", 0.5))
    np.testing.assert_array_equal(fitted.label_probabilities(world.dataset), fixed.label_probabilities(world.dataset))
    assert (fixed.thresholds == 0.5).all()


def test_a_classifier_that_predicts_nothing_warns(world):
    with pytest.warns(UserWarning, match=r"predicts no label for any of its 40 labeled documents, which have \d+"):
        world.classifier(threshold=0.999)
