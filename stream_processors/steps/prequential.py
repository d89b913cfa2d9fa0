"""Prequential error: each record is predicted before it is learned, so every record is a test. Pure.

Sums are kept by ticks of a fixed number of rows, so equal rows give equal figures wherever batches were cut. Figures
over all rows are those that river's metrics give (`river.evaluate.progressive_val_score`) for the same predictions.
"""

import math
from collections import deque
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

_LEAST_TICKS = 8
_CLIP = 1e-15
_BINS = 200
Array = NDArray[np.float64]


Cell = tuple[str, str]
Bin = tuple[bool, int]
Key = TypeVar("Key")


def _merge(into: dict[Key, float], more: Mapping[Key, float]) -> None:
    for key, value in more.items():
        into[key] = into.get(key, 0.0) + value


@dataclass
class Sums:
    """Weighted sums of rows: what every figure is made of.

    `by` holds those of numbers by name, `cells` those of classes by (label, guess), `bins` those of yes and no by
    (label, bin of the probability). `weight_squares` sums squared weights, `loss_squares` squared weights times losses,
    `squares` squares of weight times loss: what the error of a weighted mean is made of.
    """

    rows: int = 0
    weight: float = 0.0
    loss: float = 0.0
    weight_squares: float = 0.0
    loss_squares: float = 0.0
    squares: float = 0.0
    by: dict[str, float] = field(default_factory=dict)
    cells: dict[Cell, float] = field(default_factory=dict)
    bins: dict[Bin, float] = field(default_factory=dict)

    def add(self, other: "Sums") -> None:
        """Add another tick's sums."""
        self.rows += other.rows
        self.weight += other.weight
        self.loss += other.loss
        self.weight_squares += other.weight_squares
        self.loss_squares += other.loss_squares
        self.squares += other.squares
        _merge(self.by, other.by)
        _merge(self.cells, other.cells)
        _merge(self.bins, other.bins)

    @property
    def mean(self) -> float:
        """Return the mean loss, NaN before the first row."""
        return self.loss / self.weight if self.weight else math.nan


@dataclass(frozen=True)
class Figures:
    """The figures of some rows: `loss` with its standard error `error`, and the task's metrics by name."""

    rows: int
    loss: float
    error: float
    metrics: Mapping[str, float]


class Record:
    """The losses of one contender: all rows, and the last ticks.

    Losses of a tick that is not full yet are in no sum: `figures` adds them when it is asked.
    """

    def __init__(self, ticks: int, *, classes: bool) -> None:
        self._classes = classes
        self.total = Sums()
        self.recent: deque[Sums] = deque(maxlen=max(1, ticks))

    def take(self, sums: Sums) -> None:
        """Add a full tick."""
        self.total.add(sums)
        self.recent.append(sums)

    def all_rows(self, rest: Sums) -> Figures:
        """Return the figures of everything, with the rows of the tick under way."""
        whole = Sums()
        whole.add(self.total)
        whole.add(rest)
        return _figures(self._classes, whole, _plain_error(whole))

    def last_rows(self) -> Figures:
        """Return the figures of the last ticks; their error is taken between ticks, which are less alike than rows."""
        whole = Sums()
        for one in self.recent:
            whole.add(one)
        between = len(self.recent) >= _LEAST_TICKS
        error = _error_between(self.recent, whole.mean) if between else _plain_error(whole)
        return _figures(self._classes, whole, error)


def advantage(better: Record, worse: Record, ticks: int) -> tuple[float, float]:
    """Return (mean, standard error) of how much less `better` lost than `worse`, tick by tick over the last `ticks`.

    Both saw the same rows, so what a hard hour costs both falls out. Error is infinite for fewer than eight ticks.
    """
    pairs = list(zip(better.recent, worse.recent, strict=True))[-ticks:]
    gaps = [other.mean - one.mean for one, other in pairs]
    if len(gaps) < _LEAST_TICKS:
        return 0.0, math.inf
    return float(np.mean(gaps)), float(np.std(gaps, ddof=1)) / math.sqrt(len(gaps))


@dataclass(frozen=True)
class Losses:
    """The loss of each row, its weight, and what else `Sums` has of them."""

    each: Array
    weights: Array
    by: Mapping[str, float] = field(default_factory=dict)
    cells: Mapping[Cell, float] = field(default_factory=dict)
    bins: Mapping[Bin, float] = field(default_factory=dict)

    def sums(self) -> Sums:
        """Return the sums of the rows."""
        weighted = self.each * self.weights
        return Sums(
            rows=len(self.each),
            weight=float(self.weights.sum()),
            loss=float(np.dot(self.each, self.weights)),
            weight_squares=float(np.dot(self.weights, self.weights)),
            loss_squares=float(np.dot(weighted, self.weights)),
            squares=float(np.dot(weighted, weighted)),
            by=dict(self.by),
            cells=dict(self.cells),
            bins=dict(self.bins),
        )


def losses_of(predictions: Sequence[Any], labels: Sequence[Any], weights: Sequence[float], *, classes: bool) -> Losses:
    """Return the losses of rows: absolute error, or log loss of classes. No prediction counts as 0, or as no chance."""
    if not labels:
        return Losses(np.zeros(0), np.zeros(0))
    weighing = np.asarray(weights, np.float64)
    return (_of_classes if classes else _of_numbers)(predictions, labels, weighing)


def row_losses(predictions: Sequence[Any], labels: Sequence[Any], *, classes: bool) -> Array:
    """Return the loss of each row alone, as `losses_of` has it."""
    if classes:
        shares = np.asarray([_share(one, label) for one, label in zip(predictions, labels, strict=True)])
        found: Array = -np.log(np.clip(shares, _CLIP, 1.0 - _CLIP))
        return found
    guessed = _numbers(predictions)
    found = np.abs(np.nan_to_num(guessed, nan=0.0, posinf=1e300, neginf=-1e300) - np.asarray(labels, np.float64))
    return found


def _of_numbers(predictions: Sequence[Any], labels: Sequence[Any], weights: Array) -> Losses:
    truth = np.asarray(labels, np.float64)
    guessed = _numbers(predictions)
    errors = np.nan_to_num(guessed, nan=0.0, posinf=1e300, neginf=-1e300) - truth
    by = {
        "error": float(np.dot(errors, weights)),
        "squared": float(np.dot(errors * errors, weights)),
        "truth": float(np.dot(truth, weights)),
        "truth_squared": float(np.dot(truth * truth, weights)),
    }
    return Losses(np.abs(errors), weights, by)


def _number(prediction: Any) -> float:
    """Return a prediction as one number: of a forecast the next step's."""
    if isinstance(prediction, Sequence):
        return float(prediction[0]) if prediction else 0.0
    return 0.0 if prediction is None else prediction


def _numbers(predictions: Sequence[Any]) -> Array:
    return np.asarray([one if type(one) is float else _number(one) for one in predictions], np.float64)


def _of_classes(predictions: Sequence[Any], labels: Sequence[Any], weights: Array) -> Losses:
    shares = np.asarray([_share(one, label) for one, label in zip(predictions, labels, strict=True)])
    cells: dict[Cell, float] = {}
    bins: dict[Bin, float] = {}
    for one, label, weight in zip(predictions, labels, weights.tolist(), strict=True):
        cell = (str(label), str(likeliest(one)))
        cells[cell] = cells.get(cell, 0.0) + weight
        if isinstance(label, bool):
            place = (label, min(_BINS - 1, int(_share(one, True) * _BINS)))
            bins[place] = bins.get(place, 0.0) + weight
    each = -np.log(np.clip(shares, _CLIP, 1.0 - _CLIP))
    return Losses(each, weights, cells=cells, bins=bins)


def _share(prediction: Any, label: Any) -> float:
    return float(prediction.get(label, 0.0)) if prediction else 0.0


def likeliest(prediction: Mapping[Any, float] | None) -> Any:
    """Return the class with the greatest probability, the first of equals; None without any."""
    return max(prediction, key=prediction.__getitem__) if prediction else None


def _plain_error(sums: Sums) -> float:
    """Return the standard error of the mean of rows, each with a weight of its own: that of a ratio of two sums."""
    if sums.rows < 2:
        return math.inf
    mean = sums.mean
    # The sum of (weight * (loss - mean))**2; products, as a power of a model's loss that diverged is an OverflowError.
    spread = sums.squares - 2 * mean * sums.loss_squares + mean * mean * sums.weight_squares
    return math.sqrt(max(0.0, spread)) / sums.weight if math.isfinite(spread) else math.inf


def _error_between(ticks: Collection[Sums], mean: float) -> float:
    """Return the standard error of the mean of all ticks by how far theirs are from it, each by its weight."""
    apart = [one.weight * (one.mean - mean) for one in ticks]
    spread = sum(one * one for one in apart) * len(ticks) / (len(ticks) - 1)
    return math.sqrt(spread) / sum(one.weight for one in ticks)


def _figures(classes: bool, sums: Sums, error: float) -> Figures:
    if not sums.weight:
        return Figures(0, math.nan, math.inf, {})
    metrics = _class_metrics(sums) if classes else _number_metrics(sums)
    return Figures(sums.rows, sums.mean, error, metrics)


def _number_metrics(sums: Sums) -> dict[str, float]:
    spread = sums.by["truth_squared"] - sums.by["truth"] ** 2 / sums.weight
    found = {
        "mae": sums.mean,
        "rmse": math.sqrt(sums.by["squared"] / sums.weight),
        "bias": sums.by["error"] / sums.weight,
    }
    return found | ({"r2": 1.0 - sums.by["squared"] / spread} if spread > 0 else {})


def _class_metrics(sums: Sums) -> dict[str, float]:
    right = sum(weight for (truth, guess), weight in sums.cells.items() if truth == guess)
    found = {"log_loss": sums.mean, "accuracy": right / sums.weight}
    names = sorted({name for cell in sums.cells for name in cell} - {str(None)})
    found["macro_f1"] = sum(_f1(sums.cells, name) for name in names) / max(1, len(names))
    if sums.bins:
        found["f1"] = _f1(sums.cells, str(True))
        if (area := _area(sums.bins)) is not None:
            found["roc_auc"] = area
    return found


def _f1(cells: Mapping[Cell, float], name: str) -> float:
    hit = sum(weight for (truth, guess), weight in cells.items() if truth == guess == name)
    said = sum(weight for (_, guess), weight in cells.items() if guess == name)
    there = sum(weight for (truth, _), weight in cells.items() if truth == name)
    return 2 * hit / (said + there) if said + there else 0.0


def _area(bins: Mapping[Bin, float]) -> float | None:
    """Return the area under the ROC curve, from 200 bins of the probability: exact but for ties within a bin."""
    counts = np.zeros((2, _BINS))
    for (truth, place), weight in bins.items():
        counts[int(truth), place] += weight
    no, yes = counts
    if not yes.sum() or not no.sum():
        return None
    below = np.concatenate(([0.0], np.cumsum(no)[:-1]))
    return float((yes * (below + no / 2)).sum() / (yes.sum() * no.sum()))
