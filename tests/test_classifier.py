"""What can be told apart is, and what cannot is guessed no better than by chance."""

import numpy as np
import pytest

from jukebox_jax.evaluation import classifier


def made(rng: np.random.Generator, count: int) -> tuple[np.ndarray, list[str]]:
    labels = [str(index % 4) for index in range(count)]
    centres = np.random.default_rng(5).normal(size=(4, 30))
    noise = rng.normal(size=(count, 30))
    return centres[[int(label) for label in labels]] + noise, labels


def right(judge: classifier.Classifier, vectors: np.ndarray, labels: list[str]) -> float:
    return float(np.mean([one == label for one, label in zip(judge(vectors), labels, strict=True)]))


def test_classes_that_lie_apart_are_told_apart() -> None:
    rng = np.random.default_rng(0)
    judge = classifier.learn(*made(rng, 120))
    assert judge.names == ("0", "1", "2", "3")
    assert right(judge, *made(rng, 200)) > 0.9


def test_shuffled_labels_teach_nothing() -> None:
    rng = np.random.default_rng(1)
    vectors, labels = made(rng, 120)
    judge = classifier.learn(vectors, [labels[at] for at in rng.permutation(len(labels))])
    assert 0.1 < right(judge, *made(rng, 400)) < 0.4  # chance is 0.25


def test_a_number_that_never_changes_does_no_harm() -> None:
    vectors, labels = made(np.random.default_rng(2), 60)
    vectors[:, 3] = 7.0
    assert right(classifier.learn(vectors, labels), vectors, labels) > 0.9


def test_too_little_to_learn_from() -> None:
    with pytest.raises(ValueError, match="2 vectors of 2 classes: give more"):
        classifier.learn(np.eye(2), ["a", "b"])
