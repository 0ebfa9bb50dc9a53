"""A classifier that is simple enough to be believed: linear discriminants, shrunk, in numpy."""

import dataclasses
from collections.abc import Sequence

import numpy as np

_SHRINK = 0.3  # how far the covariance goes towards its diagonal; chosen once, never tuned


@dataclasses.dataclass(frozen=True)
class Classifier:
    """Linear scores of classes.

    Attributes:
      names: of the classes.
      mean: f64[width], of all vectors.
      scale: f64[width], their deviations.
      weights: f64[width, classes].
      biases: f64[classes].
    """

    names: tuple[str, ...]
    mean: np.ndarray
    scale: np.ndarray
    weights: np.ndarray
    biases: np.ndarray

    def __call__(self, vectors: np.ndarray) -> list[str]:
        """The class of each vector, f64[count, width]."""
        scores = (vectors - self.mean) / self.scale @ self.weights + self.biases
        return [self.names[at] for at in scores.argmax(axis=1)]


def learn(vectors: np.ndarray, labels: Sequence[str]) -> Classifier:
    """Linear discriminant analysis with one covariance, all classes held equally likely.

    Args:
      vectors: f64[count, width].
      labels: the class of each.

    Raises:
      ValueError: there are fewer than two classes, or fewer vectors than classes and one.
    """
    names = tuple(sorted(set(labels)))
    if len(names) < 2 or len(labels) <= len(names):
        raise ValueError(f"{len(labels)} vectors of {len(names)} classes: give more to learn from")
    mean, scale = vectors.mean(axis=0), np.maximum(vectors.std(axis=0), 1e-9)
    scaled = (vectors - mean) / scale
    places = np.array([names.index(label) for label in labels])
    centres = np.stack([scaled[places == at].mean(axis=0) for at in range(len(names))])
    apart = scaled - centres[places]
    covariance = apart.T @ apart / (len(labels) - len(names))
    own = np.diag(covariance)
    covariance = (1 - _SHRINK) * covariance + _SHRINK * np.diag(own)
    covariance += 1e-3 * max(own.mean(), 1e-9) * np.eye(len(own))
    weights = np.linalg.solve(covariance, centres.T)
    biases = -0.5 * np.einsum("cw,wc->c", centres, weights)
    return Classifier(names, mean, scale, weights, biases)
