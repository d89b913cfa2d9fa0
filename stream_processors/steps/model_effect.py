"""How much a field's drift moves a model's error: what the rows that moved cost it. Pure.

A drift changes the make-up of the records: more of them lie in the drifted part (the values that became more frequent).
If a record there costs the model more than one elsewhere, the mean loss rises by

    cost = (share of records in the part now - share before) x (mean loss in the part - mean loss elsewhere, now)

the first term of the decomposition of a difference of means by make-up (Oaxaca and Blinder, 1973). The rest of the rise
is not the drift's make-up: the model lost more on like records. Nothing is said of causes, and what several drifts cost
may overlap. A difference within two standard errors is none: it is told as nothing.
"""

import math
from dataclasses import dataclass
from typing import Final, NamedTuple

_LEAST_ROWS: Final = 30
"""Records that either part must have now: a mean of fewer says little."""
_ERRORS: Final = 2.0


class Losses(NamedTuple):
    """Mean, standard deviation and number of losses."""

    mean: float
    std: float
    rows: int


@dataclass(frozen=True)
class Effect:
    """What a drift cost a learner, in its own loss a record.

    `more` is what a record in the drifted part loses more than one elsewhere, 0 where that is within its error; `moved`
    the share of records that moved there, `cost` their product, `rise` what the learner lost more a record than before:
    that is `usual`.
    """

    learner: str
    more: float
    moved: float
    rise: float
    usual: float = 0.0

    @property
    def share(self) -> float:
        """Return the cost as a share of what a record lost before: drifts of several learners can be compared by it."""
        return max(self.cost, 0.0) / self.usual if self.usual > 0 else 0.0

    @property
    def cost(self) -> float:
        """Return by how much the drift moved the mean loss."""
        return self.moved * self.more

    def spoken(self, field: str) -> str:
        """Return it in words.

        >>> Effect("flights_delay", 4.1, 0.22, 1.3).spoken("dep_delay")
        'rows in the new range of dep_delay lose 4.1 more each: 0.9 of the 1.3 that flights_delay lost more a record'
        """
        if not self.more:
            return f"rows in the new range of {field} cost {self.learner} no more than others"
        rows = f"rows in the new range of {field} lose {abs(self.more):.3g} {'more' if self.more > 0 else 'less'} each"
        if self.rise <= 0 or self.cost <= 0:
            return f"{rows}; {self.learner} lost {abs(self.rise):.2g} {'more' if self.rise > 0 else 'less'} a record"
        return f"{rows}: {min(self.cost, self.rise):.2g} of the {self.rise:.2g} that {self.learner} lost more a record"


def effect_of(learner: str, now: tuple[Losses, Losses], before: tuple[Losses, Losses]) -> Effect | None:
    """Return the effect of a drift; each argument has the losses of the drifted part, and of the rest.

    None where a part is too small to say anything.

    >>> now, before = (Losses(14.0, 1.0, 300), Losses(10.0, 1.0, 700)), (Losses(13.0, 1.0, 100), Losses(9.0, 1.0, 900))
    >>> found = effect_of("delay", now, before)
    >>> round(found.moved, 2), round(found.more, 2), round(found.cost, 2), round(found.rise, 2)
    (0.2, 4.0, 0.8, 1.8)
    """
    inside, outside = now
    if min(inside.rows, outside.rows) < _LEAST_ROWS or not before[0].rows + before[1].rows:
        return None
    moved = _share(now) - _share(before)
    error = math.hypot(inside.std / math.sqrt(inside.rows), outside.std / math.sqrt(outside.rows))
    more = inside.mean - outside.mean
    usual = _mean(before)
    return Effect(learner, more if abs(more) > _ERRORS * error else 0.0, moved, _mean(now) - usual, usual)


def _share(parts: tuple[Losses, Losses]) -> float:
    return parts[0].rows / (parts[0].rows + parts[1].rows)


def _mean(parts: tuple[Losses, Losses]) -> float:
    return sum(one.mean * one.rows for one in parts) / sum(one.rows for one in parts)
