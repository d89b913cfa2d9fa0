"""What checks share that speak of a learner's findings: whose figures they read, and what those are called.

A learner tells its findings as messages of stage `learn` on quality.profiles, in the transaction of its predictions and
offsets: so each record is counted once, whatever dies. They stand under the learner's name, not the rule's: a contract
that asks for another bound reads the same figures.
"""

from collections.abc import Iterable, Mapping
from typing import Final

from pydantic import Field

from headrace.schemas.check_catalog import check_named
from headrace.schemas.check_rules import CheckRule
from headrace.schemas.expression import Kind
from headrace.stream_processors.checks.base import Check, Parameters, Scope, View
from headrace.stream_processors.checks.common import fields_problem
from headrace.stream_processors.checks.noise import CHANCE, LEAST_CHANCE

LEARNED: Final = "learn"
"""The stage of a message on quality.profiles that tells what a learner found of records that were judged before."""
SEEN: Final = "seen"
"""Records of which the learner has said all that it will say."""
SCORED: Final = "scored"
"""Records that it called anomalous or not."""
ANOMALOUS: Final = "anomalous"
"""Of these, records that it called anomalous."""
SCORED_WEIGHT: Final = "scored_weight"
"""The scored records in thousandths, each as often as it stands for one that was left out of the sample."""
ANOMALOUS_WEIGHT: Final = "anomalous_weight"
"""The anomalous ones, counted so."""
LOSS_WEIGHT: Final = "loss_weight"
"""The records that were judged by their label, counted so."""
ALARMS: Final = "alarms"
"""How often the champion's detector said that its error has risen."""
LOSS: Final = "loss"
"""The cell of the champion's losses, each times its weight: Moments."""
WEIGHT_UNIT: Final = 1_000
_MOST_FIELDS: Final = 100


class LearnerParameters(Parameters):
    """The parameters of every check on what a learner finds."""

    learner: str = Field(pattern=r"^[a-z][a-z0-9_]{0,62}$", description="The learner, by its name.")
    chance: float = Field(
        default=CHANCE,
        ge=LEAST_CHANCE,
        le=0.05,
        description="Share of stable windows that may fail by chance; a contract's false-alarm budget sets it for all.",
    )


def learner_owner(learner: str) -> str:
    """Return what owns the figures of a learner.

    >>> learner_owner("flights_delay")
    'learner:flights_delay'
    """
    return f"learner:{learner}"


class LearnerCheck(Check):
    """A check on what a learner found of a window's records; the fields of its rule only say whose score it counts in.

    In a window of event time it waits until the learner has seen all of its accepted records.
    """

    scope = Scope.LEARNER

    def problem(self, rule: CheckRule, kinds: Mapping[str, Kind]) -> str:
        """Return that a field is not in the contract."""
        return fields_problem(rule, kinds, most=_MOST_FIELDS) if rule.fields else ""

    def owner(self, rule: CheckRule) -> str:
        """Return the learner whose figures are read."""
        return learner_owner(rule.parameters["learner"])


def asked_learners(rules: Iterable[CheckRule]) -> frozenset[str]:
    """Return the learners that rules speak of. A check that cannot be loaded is told by its verdict."""
    found = set()
    for rule in rules:
        try:
            if check_named(rule.check).scope is Scope.LEARNER:
                found.add(str(rule.parameters["learner"]))
        except Exception:  # noqa: S112 - a check may be anybody's code; `evaluate` loads it too, and tells what it raised
            continue
    return frozenset(found)


def behind(learner: str, counts: Mapping[str, int], accepted: int) -> str:
    """Return how far a learner has come in a window's accepted records, "" if it has seen them all.

    >>> behind("flights_delay", {"seen": 3}, 3), behind("flights_delay", {}, 1_200)
    ('', 'learner flights_delay has come to 0 of its 1,200 records so far')
    """
    seen = counts.get(SEEN, 0)
    return "" if seen >= accepted else f"learner {learner} has come to {seen:,} of its {accepted:,} records so far"


def told_nothing(rule: CheckRule, view: View) -> str:
    """Return why there is nothing to judge where the learner told nothing of a window."""
    what = "has not come to any record of this window" if view.rows else "told nothing in this window: no rows"
    return f"learner {rule.parameters['learner']} {what}"
