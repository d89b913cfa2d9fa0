"""The transformers of single fields, where river has none that is bounded in memory and lets values be missing.

Each is a transformer of river's kind, so that it also works in a pipeline of river's. Columns are named
`field=something`; a number or boolean keeps the name of its field.
"""

import math
from collections import Counter
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Literal

from river import base, preprocessing

Row = Mapping[str, Any]
TimePart = Literal["hour", "weekday", "month"]
_OTHERS = None  # the key of all values after the first `most`
_CLASSES = 8
_NONE: Counter[Any] = Counter()


class Numbers(base.Transformer):
    """The numbers of a record, scaled by one of river's scalers, or as they are.

    A scaled number is cut at `most` to either side, 0: nowhere. A field that has always been the same has no deviation:
    its first other value would be hundreds of them, and one step of gradient descent throws the weights away for good.
    """

    def __init__(self, fields: tuple[str, ...], scaler: Any, most: float = 0.0) -> None:
        self.fields = fields
        self.scaler = scaler
        self.most = most

    def learn_one(self, x: Row) -> None:
        """Learn the scale of the numbers."""
        if self.scaler is not None:
            self.scaler.learn_one({name: x[name] for name in self.fields if name in x})

    def learn_transform_one(self, x: Row) -> dict[str, float]:
        """Learn the record and return its numbers, scaled by what is known then.

        By one walk over the fields: this is what takes the time of a linear model.

        >>> numbers = Numbers(("month",), preprocessing.StandardScaler(), 10.0)
        >>> [numbers.learn_transform_one({"month": month}) for month in (2, 4)]
        [{'month': 0.0}, {'month': 1.0}]
        """
        scaler = self.scaler
        if type(scaler) is not preprocessing.StandardScaler:
            self.learn_one(x)
            return self.transform_one(x)
        counts, means, variances, most = scaler.counts, scaler.means, scaler.vars, self.most
        scaled: dict[str, float] = {}
        for name in self.fields:
            if name not in x:
                continue
            value = x[name]
            count = counts[name] = counts[name] + 1
            before = means[name]
            mean = means[name] = before + (value - before) / count
            variance = variances[name]
            variance += ((value - before) * (value - mean) - variance) / count
            variances[name] = variance
            found = (value - mean) / variance**0.5 if variance else 0.0
            if most and not -most <= found <= most:
                found = most if found > 0 else -most
            scaled[name] = found
        return scaled

    def transform_one(self, x: Row) -> dict[str, float]:
        """Return the numbers of the record, scaled.

        >>> Numbers(("month",), preprocessing.StandardScaler(), 10.0).transform_one({"month": 2})
        {'month': 0.0}
        """
        scaler, most = self.scaler, self.most
        if type(scaler) is not preprocessing.StandardScaler:
            numbers = {name: x[name] for name in self.fields if name in x}
            return numbers if scaler is None else scaler.transform_one(numbers)
        means, variances = scaler.means, scaler.vars
        scaled: dict[str, float] = {}
        for name in self.fields:
            if name in x:
                variance = variances.get(name)
                found = (x[name] - means[name]) / variance**0.5 if variance else 0.0
                if most and not -most <= found <= most:
                    found = most if found > 0 else -most
                scaled[name] = found
        return scaled


class Flags(base.Transformer):
    """Booleans as 1 and 0."""

    def __init__(self, fields: tuple[str, ...]) -> None:
        self.fields = fields

    def transform_one(self, x: Row) -> dict[str, float]:
        """Return a column a boolean."""
        return {name: 1.0 if x[name] else 0.0 for name in self.fields if name in x}


class Hashed(base.Transformer):
    """One of a fixed number of columns for each value, by river's hash of it; different values may share a column."""

    def __init__(self, field: str, buckets: int, seed: int) -> None:
        self.field = field
        self.hasher = preprocessing.FeatureHasher(n_features=buckets, seed=seed % 2**32)

    def transform_one(self, x: Row) -> dict[str, float]:
        """Return the column of the record's value, with the sign that keeps shared columns from adding up.

        >>> columns = [Hashed("tail", 8, 1).transform_one({"tail": value}) for value in ("N1", "N2", "N1")]
        >>> columns[0] == columns[2], Hashed("tail", 8, 1).transform_one({})
        (True, {})
        """
        value = x.get(self.field)
        if value is None:
            return {}
        hashed = self.hasher.transform_one({self.field: str(value)})
        return {f"{self.field}=={bucket}": float(sign) for bucket, sign in hashed.items()}


class OneHot(base.Transformer):
    """A column for each of the first `most` values of a field; later values are hashed into shared columns.

    River's encoder keeps every value for ever; this one has a bound, so an id as a feature does not fill the memory.
    """

    def __init__(self, field: str, most: int, later: Hashed) -> None:
        self.field = field
        self.most = most
        self.later = later
        self.columns: dict[Any, str] = {}

    def learn_one(self, x: Row) -> None:
        """Keep a value among the first."""
        value = x.get(self.field)
        if value is not None and value not in self.columns and len(self.columns) < self.most:
            self.columns[value] = f"{self.field}={value}"

    def transform_one(self, x: Row) -> dict[str, float]:
        """Return the column of the record's value.

        >>> encoder = OneHot("origin", 1, Hashed("origin", 2, 0))
        >>> encoder.learn_one({"origin": "JFK"})
        >>> encoder.transform_one({"origin": "JFK"}), list(encoder.transform_one({"origin": "LGA"}))[0][:8]
        ({'origin=JFK': 1.0}, 'origin==')
        """
        value = x.get(self.field)
        if value is None:
            return {}
        column = self.columns.get(value)
        if column is not None:
            return {column: 1.0}
        return {f"{self.field}={value}": 1.0} if len(self.columns) < self.most else self.later.transform_one(x)


class Share(base.Transformer):
    """How frequent a record's value is among all that were learned: rare values are small, unseen ones are 0."""

    def __init__(self, field: str, most: int) -> None:
        self.field = field
        self.most = most
        self.column = f"{field}=share"
        self.counts: Counter[Any] = Counter()
        self.total = 0

    def learn_one(self, x: Row) -> None:
        """Count a value."""
        value = x.get(self.field)
        if value is not None:
            self.total += 1
            self.counts[_kept(value, self.counts, self.most)] += 1

    def transform_one(self, x: Row) -> dict[str, float]:
        """Return the share of the record's value.

        >>> encoder = Share("origin", 10)
        >>> for value in ("JFK", "JFK", "JFK", "LGA"):
        ...     encoder.learn_one({"origin": value})
        >>> encoder.transform_one({"origin": "JFK"}), encoder.transform_one({"origin": "EWR"})
        ({'origin=share': 0.75}, {'origin=share': 0.0})
        """
        value = x.get(self.field)
        if value is None:
            return {}
        if not self.total:
            return {self.column: 0.0}
        counts = self.counts
        known = counts.get(value)
        return {self.column: (counts.get(_OTHERS, 0) if known is None else known) / self.total}


class TargetMean(base.SupervisedTransformer):
    """The mean of the target where the field had the record's value, drawn to the mean of all while records are few.

    River's `TargetAgg` with a `BayesianMean` needs that mean beforehand, and every field in every record.
    """

    def __init__(self, field: str, most: int, smoothing: float) -> None:
        self.field = field
        self.most = most
        self.smoothing = smoothing
        self.column = f"{field}=target"
        self.values: dict[Any, list[float]] = {}
        self.count = 0
        self.mean = 0.0

    def learn_one(self, x: Row, y: Any) -> None:
        """Learn what the target was."""
        value = x.get(self.field)
        if value is None:
            return
        self.count += 1
        self.mean += (y - self.mean) / self.count
        found = self.values.setdefault(_kept(value, self.values, self.most), [0.0, 0.0])
        found[0] += 1.0
        found[1] += (y - found[1]) / found[0]

    def transform_one(self, x: Row) -> dict[str, float]:
        """Return the mean of the target for the record's value.

        >>> encoder = TargetMean("carrier", 10, 1.0)
        >>> for value, delay in (("UA", 10), ("UA", 10), ("AA", 4)):
        ...     encoder.learn_one({"carrier": value}, delay)
        >>> encoder.transform_one({"carrier": "AA"}), encoder.transform_one({"carrier": "DL"})
        ({'carrier=target': 6.0}, {'carrier=target': 8.0})
        """
        value = x.get(self.field)
        if value is None:
            return {}
        found = self.values.get(value) or self.values.get(_OTHERS)
        if found is None:
            return {self.column: self.mean}
        count, mean = found
        return {self.column: (count * mean + self.smoothing * self.mean) / (count + self.smoothing)}


class TargetShares(base.SupervisedTransformer):
    """How often each class came where the field had the record's value, drawn to the shares of all.

    The first class has no column of its own (what is not another class is the first), so two classes make one column;
    classes after the first eight have none.
    """

    def __init__(self, field: str, most: int, smoothing: float) -> None:
        self.field = field
        self.most = most
        self.smoothing = smoothing
        self.column = f"{field}=target"
        self.classes: list[Any] = []
        self.columns: dict[Any, str] = {}
        self.values: dict[Any, Counter[Any]] = {}
        self.all: Counter[Any] = Counter()
        self.count = 0

    def learn_one(self, x: Row, y: Any) -> None:
        """Count a class."""
        value = x.get(self.field)
        if value is None:
            return
        if y not in self.all and len(self.classes) <= _CLASSES:
            if self.classes:
                self.columns[y] = self.column if len(self.classes) == 1 else f"{self.column}:{y}"
            self.classes.append(y)
        self.count += 1
        self.all[y] += 1
        self.values.setdefault(_kept(value, self.values, self.most), Counter())[y] += 1

    def transform_one(self, x: Row) -> dict[str, float]:
        """Return the shares of all classes but the first for the record's value.

        >>> encoder = TargetShares("carrier", 10, 1.0)
        >>> for value, late in (("UA", False), ("UA", True), ("AA", False), ("AA", False)):
        ...     encoder.learn_one({"carrier": value}, late)
        >>> encoder.transform_one({"carrier": "UA"}), encoder.transform_one({"carrier": "DL"})
        ({'carrier=target': 0.4166666666666667}, {'carrier=target': 0.25})
        """
        value = x.get(self.field)
        if value is None:
            return {}
        if not self.columns:
            return {self.column: 0.0}
        found = self.values.get(value) or self.values.get(_OTHERS) or _NONE
        weight, total = self.smoothing / self.count, found.total() + self.smoothing
        return {column: (found[name] + weight * self.all[name]) / total for name, column in self.columns.items()}


class Cyclic(base.Transformer):
    """A moment as points on circles, so that 23:59 is beside 0:00 and December beside January."""

    def __init__(self, field: str, parts: tuple[TimePart, ...]) -> None:
        self.field = field
        self.parts = parts
        self.columns = tuple((part, f"{field}={part}_sin", f"{field}={part}_cos") for part in parts)

    def transform_one(self, x: Row) -> dict[str, float]:
        """Return two columns a part, between -1 and 1.

        >>> Cyclic("at", ("hour",)).transform_one({"at": datetime(2026, 3, 2, 0)})
        {'at=hour_sin': 0.0, 'at=hour_cos': 1.0}
        """
        at = x.get(self.field)
        if at is None:
            return {}
        found = {}
        for part, sine, cosine in self.columns:
            angle = _ANGLES[part](at)
            found[sine] = math.sin(angle)
            found[cosine] = math.cos(angle)
        return found


def _hour(at: datetime) -> float:
    return (at.hour * 60 + at.minute) * math.tau / 1_440


def _weekday(at: datetime) -> float:
    return at.weekday() * math.tau / 7


def _month(at: datetime) -> float:
    return ((at.month - 1) * 31 + at.day - 1) * math.tau / 372


_ANGLES: Mapping[TimePart, Callable[[datetime], float]] = {"hour": _hour, "weekday": _weekday, "month": _month}


def _kept(value: Any, known: Mapping[Any, Any], most: int) -> Any:
    """Return the key under which a value is kept: its own among the first `most`, else that of all others."""
    return value if value in known or len(known) < most else _OTHERS
