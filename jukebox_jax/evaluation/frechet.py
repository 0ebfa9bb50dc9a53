"""How far apart two sets of vectors are: the Fréchet distance of Gaussians fitted to them.

With few vectors the distance of a set to another of its kind is not 0 but grows with their width
and shrinks with their number, so vectors are reduced to the directions in which the reference
varies most, and a distance is told beside that of the reference to itself.
"""

from collections.abc import Sequence

import numpy as np

_DIRECTIONS = 16  # that are kept, at most
_FEWEST = 4  # vectors for each direction, at least
_DRAWS = 200  # of the interval


def distance(
    mean: np.ndarray, covariance: np.ndarray, other_mean: np.ndarray, other_covariance: np.ndarray
) -> float:
    """The squared Fréchet distance of two Gaussians: |m - n|^2 + tr(S + T - 2 (S T)^(1/2)).

    Args:
      mean: f64[width].
      covariance: f64[width, width].
      other_mean: f64[width].
      other_covariance: f64[width, width].
    """
    values, vectors = np.linalg.eigh(covariance)
    root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    both = np.linalg.eigvalsh(root @ other_covariance @ root)
    trace = np.trace(covariance) + np.trace(other_covariance)
    apart = float(np.square(mean - other_mean).sum())
    return max(0.0, apart + float(trace) - 2 * float(np.sqrt(np.maximum(both, 0)).sum()))


def between(one: np.ndarray, other: np.ndarray) -> float:
    """The distance of the Gaussians fitted to two sets, f64[count, width] each, two at least."""
    return distance(one.mean(0), _covariance(one), other.mean(0), _covariance(other))


def interval(
    ones: Sequence[np.ndarray],
    others: Sequence[np.ndarray],
    *,
    paired: bool = False,
    seed: int = 0,
) -> tuple[float, float]:
    """The 95 % interval of the distance of two sets of songs, by drawing whole songs anew.

    What is drawn anew lies farther apart than what it is drawn from, so of the drawn distances
    only their spread is taken, around the distance itself.

    Args:
      ones: of each song of a set, f64[count, width].
      others: of each song of the other.
      paired: song i of one set became song i of the other, so both are drawn together.
      seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    found = []
    for _ in range(_DRAWS):
        drawn = rng.integers(len(ones), size=len(ones))
        also = drawn if paired else rng.integers(len(others), size=len(others))
        one, other = [ones[at] for at in drawn], [others[at] for at in also]
        found.append(between(np.concatenate(one), np.concatenate(other)))
    value = between(np.concatenate(ones), np.concatenate(others))
    low, high = np.percentile(found, [2.5, 97.5])
    shift = value - float(np.mean(found))
    return max(0.0, float(low) + shift), max(0.0, float(high) + shift)


class Space:
    """The directions in which a reference varies most, in units of its spread.

    Args:
      reference: f64[count, width].
      fewest: vectors of the smallest set that is to be compared.
    """

    def __init__(self, reference: np.ndarray, fewest: int) -> None:
        self._mean = reference.mean(0)
        count = max(1, min(_DIRECTIONS, reference.shape[1], fewest // _FEWEST))
        _, sizes, directions = np.linalg.svd(reference - self._mean, full_matrices=False)
        self.width = min(count, len(sizes))
        self._directions = directions[: self.width].T
        spread = np.sqrt(np.square(sizes).sum() / max(1, len(reference) - 1))
        self._scale = max(float(spread), 1e-12)

    def __call__(self, vectors: np.ndarray) -> np.ndarray:
        """f64[count, width of the reference] to f64[count, self.width]."""
        return (vectors - self._mean) @ self._directions / self._scale


def _covariance(vectors: np.ndarray) -> np.ndarray:
    return np.atleast_2d(np.cov(vectors, rowvar=False))
