"""What reading a contract brings together: rules of records, checks of many records, problems, and open promises."""

import difflib
from collections.abc import Sequence
from dataclasses import dataclass, field

from headrace.schemas.check_rules import CheckRule
from headrace.schemas.odcs import CustomProperty
from headrace.schemas.problems import Place, Problem
from headrace.schemas.rules import Rule

OURS = "headrace."
_CLOSE = 0.8


@dataclass
class Findings:
    """What reading the rules brought together."""

    rules: list[Rule] = field(default_factory=list)
    checks: list[CheckRule] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    unchecked: list[str] = field(default_factory=list)

    def refuse(self, place: Place, what: str, value: object, hint: str) -> None:
        """Add a problem."""
        self.problems.append(Problem(place, what, value, hint))


def close_to(name: object, known: Sequence[str], *, cutoff: float = 0.6) -> str:
    """Return the known name that was meant by another, "" if none is near.

    >>> close_to("null_rte", ["null_rate", "range"])
    'null_rate'
    """
    found = difflib.get_close_matches(str(name), known, n=1, cutoff=cutoff)
    return found[0] if found else ""


def known_properties(
    properties: Sequence[CustomProperty], known: tuple[str, ...], place: Place, findings: Findings
) -> dict[str, tuple[object, Place]]:
    """Return the custom properties that are read here, each with its value and the value's place.

    Of ours, those that begin with `headrace.`, an unknown one is refused; so is one given twice, and a name that is
    nearly one of `known`: a typo would switch it off without a word. The rest belongs to other tools.
    """
    found: dict[str, tuple[object, Place]] = {}
    for number, entry in enumerate(properties):
        where = (*place, "customProperties", number)
        if entry.property in found:
            findings.refuse(where, "property given twice", entry.property, "leave one")
        elif entry.property in known:
            found[entry.property] = (entry.value, (*where, "value"))
        elif entry.property.startswith(OURS):
            hint = f"known here: {', '.join(known) or 'none'}"
            findings.refuse(where, "unknown property", entry.property, hint)
        elif meant := close_to(entry.property, known, cutoff=_CLOSE):
            findings.refuse(where, "unknown property", entry.property, f'did you mean "{meant}"?')
    return found
