"""What is known of whole files once their receipts came: counts by stage, totals of the sender, exact figures. Pure.

It comes as messages of stage `facts` on quality.profiles, through the topic that orders everything: so it is in the
window of arrival in which it was told, once, however often it is told, and reading the topic again gives the same.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Final

from headrace.schemas.check_catalog import check_named
from headrace.schemas.check_rules import CheckRule
from headrace.stream_processors.checks import facts
from headrace.stream_processors.checks.base import Check, Outcome, Scope, Verdict, View, not_checked
from headrace.stream_processors.steps.score import loss

FACTS: Final = "facts"
"""The stage of a message on quality.profiles without rows, that tells what is known of files or references."""
MOST_RECEIPTS: Final = 500
"""Files of a window that are looked at; of more, the window says that it did not look at all of them."""
OTHERS: Final = ""
_NO_FILE = "no file's receipt came in this window: it is told of whole files"


@dataclass(frozen=True)
class FileFacts:
    """One file as its receipt and the tables have it; of a skipped copy `first_name` alone says what it repeats.

    `id` is of this telling: the same is taken once. `rows` are those that the figures speak of, stored and refused by
    the judge; `stages` has consumed, quarantined, inserted and, once the app has added what the judge told, produced.
    `figures` are those of the rules about files, by rule id; `missing` says why there are none.
    """

    id: str
    file: str
    name: str
    rows: int = 0
    file_rows: int = 0
    stages: Mapping[str, int] = field(default_factory=dict)
    totals: Mapping[str, float] = field(default_factory=dict)
    figures: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)
    first_name: str = ""

    def text(self) -> str:
        """Return it as JSON text."""
        return json.dumps(asdict(self), separators=(",", ":"), sort_keys=True)

    @classmethod
    def of(cls, text: str) -> "FileFacts":
        """Return it from `text`."""
        return cls(**json.loads(text))

    def with_produced(self, rows: int | None) -> "FileFacts":
        """Return it with the rows that the judge passed on, if that is known."""
        return self if rows is None or not self.stages else replace(self, stages={**self.stages, "produced": rows})


def bounded_receipts(found: Mapping[str, str], most: int = MOST_RECEIPTS) -> dict[str, str]:
    """Return the receipts with the least ids; how many others there were is counted under `OTHERS`.

    >>> bounded_receipts({"a": "1", "b": "2", "c": "3"}, most=1)
    {'a': '1', '': '2'}
    """
    named = sorted(name for name in found if name != OTHERS)
    more = len(named[most:]) + int(found.get(OTHERS, "0"))
    return {name: found[name] for name in named[:most]} | ({OTHERS: str(more)} if more else {})


def added_receipts(found: Iterable[Mapping[str, str]]) -> dict[str, str]:
    """Return the receipts of several parts together."""
    whole: dict[str, str] = {}
    others = 0
    for receipts in found:
        others += int(receipts.get(OTHERS, "0"))
        whole |= {name: text for name, text in receipts.items() if name != OTHERS}
    return bounded_receipts(whole | ({OTHERS: str(others)} if others else {}))


def skipped_names(receipts: Mapping[str, str]) -> dict[str, str]:
    """Return the skipped copies among the receipts of a window: name -> first name."""
    found = [FileFacts.of(text) for name, text in receipts.items() if name != OTHERS]
    return {one.name: one.first_name for one in found if one.first_name}


def rules_of_files(rules: Sequence[CheckRule]) -> list[CheckRule]:
    """Return the rules whose checks speak of whole files. One whose check cannot be loaded is told by its verdict."""
    found = []
    for rule in rules:
        try:
            if check_named(rule.check).scope not in {Scope.WINDOW, Scope.LEARNER}:
                found.append(rule)
        except Exception:  # noqa: S112 - a check may be anybody's code; `evaluate` loads it too, and tells what it raised
            continue
    return found


def facts_of_file(found: FileFacts) -> dict[str, Any]:
    """Return the facts that checks know of one whole file."""
    known: dict[str, Any] = {facts.FILE_ROWS: {found.file: found.file_rows}, facts.STAGE_ROWS: found.stages}
    return known | ({facts.CONTROL_TOTALS: found.totals} if found.totals else {})


def verdict_of_files(check: Check, rule: CheckRule, receipts: Mapping[str, str], start: int, end: int) -> Verdict:
    """Return the verdict on every file whose receipt came in a window: the worst one, with all that is not fine named.

    Fail closed: it passes only if each file does. `rows` are those of all files.
    """
    files = [FileFacts.of(text) for name, text in receipts.items() if name != OTHERS]
    files = [one for one in files if not one.first_name]
    if not files:
        return not_checked(_NO_FILE)
    judged = [(one.name, _of_file(check, rule, one, start, end)) for one in files]
    rows = sum(one.rows for one in files)
    at_risk = sum(verdict.rows_at_risk for _, verdict in judged)
    failed = [pair for pair in judged if pair[1].outcome is Outcome.FAIL]
    unseen = [pair for pair in judged if pair[1].outcome is Outcome.NOT_CHECKED]
    others = int(receipts.get(OTHERS, "0"))
    if failed:
        name, worst = max(failed, key=lambda pair: loss(pair[1]))
        detail = f"{len(failed)} of {len(files)} files fail; {name}: {worst.detail}"
        return replace(worst, rows=rows, rows_at_risk=at_risk, detail=detail)
    if unseen:
        name, first = unseen[0]
        return not_checked(f"{len(unseen)} of {len(files)} files were not checked; {name}: {first.detail}", rows)
    if others:
        return not_checked(f"{others} files more than {MOST_RECEIPTS} came, which were not looked at", rows)
    name, last = max(judged, key=lambda pair: pair[1].observed or 0.0)
    detail = last.detail if len(files) == 1 else f"{len(files)} files; {name}: {last.detail}"
    return replace(last, rows=rows, rows_at_risk=at_risk, detail=detail)


def _of_file(check: Check, rule: CheckRule, found: FileFacts, start: int, end: int) -> Verdict:
    if why := found.missing.get(rule.id):
        return not_checked(why, found.rows)
    view = View(start, end, found.rows, counts=found.figures.get(rule.id, {}), facts=facts_of_file(found))
    return check.verdict(rule, view)


def both(window: Verdict, files: Verdict, *, alone: bool) -> Verdict:
    """Return the verdict of a check that speaks of a window's rows, and of the whole files that were proved in it.

    The files' figures are exact, the window's may be an estimate; where that cannot tell, the files' verdict holds only
    if the rows are of one file `alone`.
    """
    if files.outcome is Outcome.FAIL and loss(files) >= loss(window):
        return files
    if window.outcome is Outcome.FAIL or files.outcome is Outcome.FAIL:
        return window if window.outcome is Outcome.FAIL else files
    if files.outcome is Outcome.NOT_CHECKED:
        return files if files.detail != _NO_FILE else window
    if window.outcome is Outcome.NOT_CHECKED and not alone:
        return replace(window, detail=f"{window.detail}; in each file by itself: {files.detail}")
    return files if window.outcome is Outcome.NOT_CHECKED else window
