"""What is known of a file's quality so far, and which alerts that calls for once the file has ended. Pure.

The state is a commutative monoid over profile deltas: `FileQuality()` is its zero, `merge_delta` adds one delta, and
any order of the deltas gives the same state.
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from headrace.core.identity import trace_id
from headrace.core.vocabulary import AlertState, FileState, Reason, Severity, Stage
from headrace.stream_processors.steps.alert_life import subject_of

REJECTED_SHARE = "rejected_share"
FILE_RULES = {
    FileState.REJECTED: ("file_rejected", Severity.CRITICAL, "was refused"),
    FileState.PARTIAL: ("file_partial", Severity.CRITICAL, "is damaged: what follows could not be read"),
    FileState.CHANGED: ("file_changed", Severity.WARNING, "was changed while it was read"),
}


@dataclass(frozen=True)
class FileQuality:
    """Counts of one file. `judged` and `unreadable` together reach `file_rows` when everything has come in."""

    judged: int = 0
    unreadable: int = 0
    rejected: int = 0
    reasons: Mapping[str, int] = field(default_factory=dict)
    rules: Mapping[str, int] = field(default_factory=dict)
    file_rows: int | None = None
    file_state: str = ""
    file_reason: str = ""
    file_detail: str = ""
    file_path: str = ""
    tolerance: float = 0.0
    owner: str = ""
    name: str = ""
    contract_version: str = ""

    @property
    def complete(self) -> bool:
        """Return True once every row of the ended file was judged or put aside."""
        return self.file_rows is not None and self.judged + self.unreadable >= self.file_rows

    @property
    def may_go_on(self) -> bool:
        """Return True for a changed or refused file with rows counted: when its bytes return, the rest may follow."""
        return self.file_state in {FileState.CHANGED, FileState.REJECTED} and self.judged + self.unreadable > 0

    def reopened(self) -> "FileQuality":
        """Return the counts without the end, for a file that goes on. Its next end tells the rows of all of it."""
        return replace(self, file_rows=None, file_state="", file_reason="", file_detail="", file_path="")

    def to_json(self) -> dict[str, Any]:
        """Return the state as JSON values, for a table's changelog."""
        return asdict(self)


def merge_delta(state: FileQuality, delta: Mapping[str, Any]) -> FileQuality:
    """Return the state with one profile delta added.

    >>> first = {"stage": "judge", "rows": 3, "rejected": 1, "reasons": {"required": 1}, "rules": {}}
    >>> merge_delta(merge_delta(FileQuality(), first), first).reasons
    {'required': 2}
    """
    reading = delta["stage"] == Stage.READ
    merged = replace(
        state,
        judged=state.judged + (0 if reading else delta["rows"]),
        unreadable=state.unreadable + (delta["rows"] if reading else 0),
        rejected=state.rejected + delta["rejected"],
        reasons=_add(state.reasons, delta["reasons"]),
        rules=_add(state.rules, delta["rules"]),
        contract_version=state.contract_version or delta.get("contract_version", ""),
    )
    if delta.get("file_rows") is None:
        return merged
    return replace(
        merged,
        file_rows=delta["file_rows"],
        file_state=delta["file_state"],
        file_reason=delta["file_reason"],
        file_detail=delta.get("file_detail", ""),
        file_path=delta.get("file_path", ""),
        tolerance=delta["tolerance"] or 0.0,
        owner=delta["owner"],
        name=delta["name"],
    )


def _add(left: Mapping[str, int], right: Mapping[str, int]) -> dict[str, int]:
    return {name: left.get(name, 0) + right.get(name, 0) for name in sorted({*left, *right})}


def alert_id(dataset: str, rule: str, file: str, state: AlertState) -> str:
    """Return the id of one transition: the same finding has the same id, so a repeat overwrites."""
    return hashlib.sha256("\0".join((dataset, rule, file, state)).encode()).hexdigest()[:32]


@dataclass(frozen=True)
class Opened:
    """An alert of a file that is open: which file opened it, when (microseconds since 1970), and how severe it is."""

    file: str
    opened_at: int
    severity: str


OpenAlerts = Mapping[str, Opened]
"""The open alerts of all files of one name, by rule."""
Silenced = Callable[[str], bool]


def told_of(
    dataset: str,
    file: str,
    quality: FileQuality,
    raised_at: int,
    opened: OpenAlerts,
    silenced: Silenced = lambda _: False,
) -> tuple[list[dict[str, Any]], dict[str, Opened]]:
    """Return the alerts of a complete file, and which ones of its name are open afterwards.

    A finding opens an alert. The same finding in another file of that name says that it still is; a file of that name
    that comes whole and without it resolves it. A file that is refused or damaged resolves nothing.
    """
    told, after = [], dict(opened)
    for alert in alerts_of(dataset, file, quality, raised_at):
        rule, known = alert["rule"], opened.get(alert["rule"])
        first = known or Opened(file, raised_at, alert["severity"])
        state = AlertState.OPEN if first.file == file else AlertState.STILL
        told.append(alert | _lived(dataset, rule, file, state, first))
        after[rule] = replace(first, severity=alert["severity"])
    if quality.file_state and FileState(quality.file_state) not in FILE_RULES:
        for rule in sorted(set(opened) - {alert["rule"] for alert in told}):
            told.append(_resolved(dataset, rule, file, quality, raised_at, after.pop(rule)))
    return [alert | {"silenced": silenced(alert["rule"])} for alert in told], after


def _lived(dataset: str, rule: str, file: str, state: AlertState, first: Opened) -> dict[str, Any]:
    return {
        "state": state.value,
        "alert_id": alert_id(dataset, rule, file, state),
        "subject": subject_of(dataset, rule, first.file),
        "opened_at": first.opened_at,
    }


def _resolved(
    dataset: str, rule: str, file: str, quality: FileQuality, raised_at: int, first: Opened
) -> dict[str, Any]:
    rows, rejected = quality.file_rows or 0, quality.rejected
    message = f'{dataset}: "{quality.name}" came whole, {rejected:,} of {rows:,} rows were rejected: {rule} is over'
    finding = _finding(rule, Severity(first.severity), message, f"headrace files --dataset {dataset}")
    ended = _lived(dataset, rule, file, AlertState.RESOLVED, first)
    return _alert(dataset, file, quality, raised_at) | finding | ended


def alerts_of(dataset: str, file: str, quality: FileQuality, raised_at: int) -> list[dict[str, Any]]:
    """Return the alerts of a complete file, as alert.avsc lays them out; none for a file within its tolerance.

    `raised_at` is in microseconds since 1970: the publish time of the delta that completed the file.
    """
    found = []
    if quality.file_state and (known := FILE_RULES.get(FileState(quality.file_state))):
        rule, severity, what = known
        if quality.file_reason == Reason.VANISHED:
            what = "was deleted before it was read to its end"
        message = f'{dataset}: file "{quality.name}" {what} ({_why(quality)})'
        hint = _next_action(dataset, file, quality)
        found.append(_alert(dataset, file, quality, raised_at) | _finding(rule, severity, message, hint))
    rows, rejected = quality.file_rows or 0, quality.rejected
    if rows and rejected / rows > quality.tolerance:
        share = rejected / rows
        message = (
            f'{dataset}: {rejected:,} of {rows:,} rows of "{quality.name}" were rejected, {share:.2%} where '
            f"{quality.tolerance:.2%} is tolerated; most often {_most(quality.reasons)}"
        )
        hint = f"headrace quarantine list {dataset}; correct the source or the contract"
        severity = Severity.CRITICAL if share >= 10 * quality.tolerance else Severity.WARNING
        bounds = {"observed": share, "bound": quality.tolerance, "rows_at_risk": rejected}
        finding = _finding(REJECTED_SHARE, severity, message, hint)
        found.append(_alert(dataset, file, quality, raised_at) | finding | bounds)
    return [
        alert
        | {
            "alert_id": alert_id(dataset, alert["rule"], file, AlertState.OPEN),
            "subject": subject_of(dataset, alert["rule"], file),
        }
        for alert in found
    ]


def _why(quality: FileQuality) -> str:
    return ": ".join(part for part in (quality.file_reason, quality.file_detail) if part)


def _next_action(dataset: str, file: str, quality: FileQuality) -> str:
    """Return what to do about a file's end: a refused file has nothing in quarantine, the file itself is put aside."""
    if quality.file_state == FileState.REJECTED:
        stands = f"its first {quality.file_rows:,} rows were published before and stand; " if quality.file_rows else ""
        return f"{stands}the file is now {quality.file_path or 'in rejected/'} in the home: mend it and drop it again"
    if quality.file_reason == Reason.VANISHED:
        return "drop it again: what is missing of it follows"
    if quality.file_state == FileState.CHANGED:
        return "let its writer write elsewhere and move the finished file in; headrace files shows what came of it"
    return f"headrace quarantine show {dataset} --file {file}; mend the file and drop it again"


def _most(reasons: Mapping[str, int]) -> str:
    most = max(reasons.items(), key=lambda item: (item[1], item[0]), default=("unknown", 0))
    return f"{most[0]} ({most[1]:,})"


def _finding(rule: str, severity: Severity, message: str, hint: str) -> dict[str, Any]:
    return {"rule": rule, "severity": severity.value, "message": message, "hint": hint}


def _alert(dataset: str, file: str, quality: FileQuality, raised_at: int) -> dict[str, Any]:
    return {
        "dataset": dataset,
        "state": AlertState.OPEN.value,
        "observed": None,
        "bound": None,
        "rows": quality.file_rows or 0,
        "rows_at_risk": 0,
        "file": file,
        "file_name": quality.name,
        "reasons": dict(quality.reasons),
        "trace_id": trace_id(dataset, file),
        "contract_version": quality.contract_version,
        "owner": quality.owner,
        "raised_at": raised_at,
    }
