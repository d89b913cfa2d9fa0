"""How many false alarms a contract's owner will have: its custom property `headrace.falseAlarms`.

Every verdict of a check that compares with a reference or a history may fail by chance. The budget is shared out evenly
over all of them in the period (as Bonferroni does): rules x windows x clocks; each gets its part as the parameter
`chance`, from which the check takes its noise floor.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from headrace.schemas.check_catalog import check_named
from headrace.schemas.check_rules import CheckRule, WindowSpec
from headrace.schemas.contract_findings import Findings, close_to
from headrace.schemas.durations import parse_duration
from headrace.schemas.problems import Place

FALSE_ALARMS: Final = "headrace.falseAlarms"
LEAST_CHANCE: Final = 1e-9
"""Below this the formulas of noise floors are guesses: no rule is given less."""
MOST_CHANCE: Final = 0.05
_CHANCE = "chance"
_NAMES = ("atMost", "per")
_EXAMPLE = "write {atMost: 1, per: P7D}"


@dataclass(frozen=True)
class Budget:
    """At most so many false alarms in so many seconds."""

    alarms: float
    seconds: int


def read_budget(value: object, place: Place, findings: Findings) -> Budget | None:
    """Return the budget that a contract asks for, None of none; what cannot be followed is added to the problems."""
    if value is None:
        return None
    if not isinstance(value, dict):
        findings.refuse(place, f"wrong value of {FALSE_ALARMS}", value, _EXAMPLE)
        return None
    for name in value:
        if name not in _NAMES:
            meant = close_to(name, _NAMES)
            findings.refuse(place, "unknown key", name, f'did you mean "{meant}"?' if meant else ", ".join(_NAMES))
    alarms, seconds = value.get("atMost"), parse_duration(value.get("per"))
    if isinstance(alarms, bool) or not isinstance(alarms, int | float) or not 0 < alarms <= 1_000_000:
        findings.refuse(place, "wrong value of atMost", alarms, f"write a number above 0: {_EXAMPLE}")
    elif not seconds:
        findings.refuse(place, "wrong value of per", value.get("per"), f"write an ISO 8601 duration: {_EXAMPLE}")
    else:
        return Budget(float(alarms), seconds)
    return None


def within_budget(
    checks: Sequence[CheckRule], budget: Budget, window: WindowSpec, place: Place, findings: Findings
) -> tuple[CheckRule, ...]:
    """Return the checks with their part of the budget; where it cannot be met, the problem is added."""
    verdicts = budget.seconds / window.size_secs * (2 if window.time_field else 1)
    tuned = [rule for rule in checks if _by_chance(rule)]
    own = sum(float(rule.parameters[_CHANCE]) for rule in tuned if rule.parameters.get(_CHANCE)) * verdicts
    sharing = [rule.id for rule in tuned if not rule.parameters.get(_CHANCE)]
    if not tuned:
        findings.unchecked.append(
            f"{FALSE_ALARMS}: no check of this contract fails by chance, so nothing is held to it"
        )
    if own > budget.alarms or (sharing and own == budget.alarms):
        hint = f"lower the rules' own chance, or allow {own:.2g}"
        findings.refuse(place, f"cannot be met: rules with a chance of their own use {own:.3g} of it", None, hint)
    elif sharing:
        chance = (budget.alarms - own) / (len(sharing) * verdicts)
        if chance < LEAST_CHANCE:
            least = LEAST_CHANCE * len(sharing) * verdicts + own
            what = f"cannot be met: {len(sharing)} rules x {verdicts:,.0f} verdicts leave each a chance of {chance:.2g}"
            hint = (
                f"allow at least {least:.2g} in this time, or take longer windows; the least chance is {LEAST_CHANCE}"
            )
            findings.refuse(place, what, None, hint)
        part = {_CHANCE: min(max(chance, LEAST_CHANCE), MOST_CHANCE)}
        return tuple(
            replace(rule, parameters={**rule.parameters, **part}) if rule.id in sharing else rule for rule in checks
        )
    return tuple(checks)


def _by_chance(rule: CheckRule) -> bool:
    """Return True for a rule that chance can turn; one that only compares where it has a reference needs one."""
    fields = check_named(rule.check).Model.model_fields
    reference = fields.get("reference")
    compares = reference is None or bool(rule.parameters.get("reference", reference.default))
    return _CHANCE in fields and compares
