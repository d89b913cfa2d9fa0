"""What a learner is about, by the contract: label, features, late labels, series. No learner looks ahead."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from headrace.errors import ContractInvalid
from headrace.schemas.contract import Contract, ContractField
from headrace.schemas.contract_fields import KNOWN_AT_PREDICTION
from headrace.schemas.contract_findings import Findings, close_to
from headrace.schemas.durations import parse_duration
from headrace.schemas.expression import KIND_OF, Column, Expression, Kind
from headrace.schemas.expression_parser import ExpressionInvalid, parse_value
from headrace.schemas.learner_document import Document, LateEntry
from headrace.schemas.learner_spec import FIELD_FIGURES, SUPERVISED, WINDOW_FIGURES, LateLabels, Series, Task
from headrace.schemas.problems import Place

Contracts = Callable[[str], Contract | None]
"""The contract of a dataset, None if there is none yet; may raise ContractInvalid."""

FEATURE_KINDS = frozenset({Kind.WHOLE, Kind.NUMBER, Kind.TEXT, Kind.BOOLEAN, Kind.DATE, Kind.TIMESTAMP})
_NUMBERS = frozenset({Kind.WHOLE, Kind.NUMBER})
_CLASSES = frozenset({Kind.TEXT, Kind.BOOLEAN, Kind.WHOLE})
_LABEL_KINDS: Mapping[Task, frozenset[Kind]] = {
    Task.REGRESSION: _NUMBERS,
    Task.CLASSIFICATION: _CLASSES,
    Task.IMPUTATION: _NUMBERS | _CLASSES,
}
_ANY_NUMBER = frozenset({"distinct", "nulls"})
_LONGEST_SECS = 366 * 86_400


@dataclass(frozen=True)
class Subject:
    """What a learner is about, as far as it could be made out."""

    features: tuple[str, ...] = ()
    kinds: Mapping[str, Kind] | None = None
    label: Expression | None = None
    late: LateLabels | None = None
    series: Series | None = None


class SubjectReader:
    """Reads a learner's document against the contracts.

    `data` is the document as it was written: a key that is in there alone had a wrong value, which was told.
    """

    def __init__(self, document: Document, data: Mapping[str, Any], contracts: Contracts, findings: Findings) -> None:
        self._document, self._data, self._contracts, self._findings = document, data, contracts, findings

    def read(self, task: Task) -> Subject | None:
        """Return what the learner is about, None without a contract to read it against."""
        own = self._contract(self._document.dataset, ("dataset",)) if self._document.dataset else None
        if own is None:
            return None
        if task is Task.FORECAST:
            return Subject(series=self._series(own))
        late = self._late(own) if self._document.late_labels and task in SUPERVISED else None
        labelled = own if self._document.late_labels is None else late and late[1]
        label = self._label(labelled, task) if labelled and task in SUPERVISED else None
        taken = self._taken(label) if labelled and labelled.dataset == own.dataset else {}
        features = self._features(own, task, taken)
        fields = _fields(own)
        kinds = {name: _kind(fields[name]) for name in features}
        return Subject(features, kinds, label, late and late[0])

    def _missing(self, key: str, part: str, hint: str) -> None:
        """Refuse a part that is not there; one that is there and wrong was told before."""
        given = self._data.get(key)
        if given is None:
            self._findings.refuse((), f"{key} is missing", None, hint)
        elif isinstance(given, dict) and not given.get(part):
            self._findings.refuse((key,), f"{part} is missing", None, hint)

    def _contract(self, dataset: str, place: Place) -> Contract | None:
        try:
            found = self._contracts(dataset)
        except ContractInvalid as error:
            self._findings.refuse(place, f"its contract cannot be followed: {error}", dataset, error.hint)
            return None
        if found is None:
            hint = f"drop a file of it first, or: headrace contract infer FILE --dataset {dataset}"
            self._findings.refuse(place, "is a dataset without a contract", dataset, hint)
        return found

    def _field(self, contract: Contract, name: str, place: Place) -> ContractField | None:
        """Return a field that may be read; a personal one may not, since its values would lie in models."""
        found = _fields(contract).get(name)
        if found is None:
            meant = close_to(name, list(_fields(contract)))
            hint = f'did you mean "{meant}"?' if meant else f"headrace contract show {contract.dataset} lists them"
            self._findings.refuse(place, f"is not a field of {contract.dataset}", name, hint)
        elif found.personal:
            hint = "leave it out: what models learn of it would be stored and shown"
            self._findings.refuse(place, "is personal: its values are masked by the contract", name, hint)
        else:
            return found
        return None

    def _label(self, contract: Contract, task: Task) -> Expression | None:
        """Return what gives the target: the field `target`, or the expression `label`."""
        given = [key for key in ("target", "label") if key in self._data]
        both = "target" if task is Task.IMPUTATION else "target or label"
        if len(given) != 1:
            what = "has both target and label" if given else f"{both} is missing"
            hint = "leave one" if given else f"add {both}: what is to be predicted"
            self._findings.refuse(("label",) if given else (), what, None, hint)
            return None
        (key,) = given
        if key not in self._document.model_fields_set:
            return None
        found = self._target(contract, task) if key == "target" else self._computed(contract)
        allowed = _LABEL_KINDS[task]
        if found is not None and found.node.kind not in allowed:
            what = f"is a {found.node.kind}, which {task} cannot predict"
            hint = f"name a {' or '.join(sorted(allowed))}; label: takes an expression, e.g. label: delay > 15"
            self._findings.refuse((key,), what, found.text, hint)
            return None
        return found

    def _target(self, contract: Contract, task: Task) -> Expression | None:
        name = self._document.target
        found = self._field(contract, name, ("target",))
        if found is None:
            return None
        if task is Task.IMPUTATION and found.required:
            hint = "name a field that is not required"
            self._findings.refuse(("target",), "is never missing: the contract requires it", name, hint)
        return Expression(name, Column(name, _kind(found)))

    def _computed(self, contract: Contract) -> Expression | None:
        try:
            found = parse_value(self._document.label, {name: _kind(field) for name, field in _fields(contract).items()})
        except ExpressionInvalid as error:
            hint = "write an expression over fields of the contract, as row rules are: docs/guide/contracts.md"
            self._findings.refuse(("label",), str(error), self._document.label, hint)
            return None
        readable = [self._field(contract, name, ("label",)) for name in found.fields]
        return found if all(readable) else None

    def _taken(self, label: Expression | None) -> Mapping[str, str]:
        """Return the fields that are in the label, each with why it cannot be a feature."""
        if label is None:
            return {}
        if isinstance(label.node, Column):
            return {label.node.name: "is what is to be predicted"}
        return dict.fromkeys(label.fields, f'is read by the label "{label.text}"')

    def _features(self, contract: Contract, task: Task, taken: Mapping[str, str]) -> tuple[str, ...]:
        if "features" not in self._data:
            return self._all_features(contract, task, taken)
        found: list[str] = []
        for number, name in enumerate(self._document.features):
            place = ("features", number)
            if name in found:
                self._findings.refuse(place, "is there twice", name, "leave one")
            elif self._fits(contract, task, name, taken, place):
                found.append(name)
        if "features" in self._document.model_fields_set and not found and not self._document.features:
            hint = "name fields, or leave the key out for all that may be used"
            self._findings.refuse(("features",), "names no field", None, hint)
        return tuple(found)

    def _fits(self, contract: Contract, task: Task, name: str, taken: Mapping[str, str], place: Place) -> bool:
        found = self._field(contract, name, place)
        if found is None:
            return False
        if name in taken:
            self._findings.refuse(place, taken[name], name, "leave it out: it would give the answer away")
        elif task in SUPERVISED and not found.known_at_prediction:
            hint = (
                f"leave it out; or, if it is there before the answer is, add {KNOWN_AT_PREDICTION}: true "
                f"to the field in the contract of {contract.dataset}"
            )
            self._findings.refuse(place, "is not known at prediction", name, hint)
        elif _kind(found) not in FEATURE_KINDS:
            kinds = ", ".join(sorted(FEATURE_KINDS))
            self._findings.refuse(place, f"is a {_kind(found)}, of which no feature is made", name, f"name a {kinds}")
        else:
            return True
        return False

    def _all_features(self, contract: Contract, task: Task, taken: Mapping[str, str]) -> tuple[str, ...]:
        found = tuple(
            field.name
            for field in contract.fields
            if (field.known_at_prediction or task not in SUPERVISED)
            and field.name not in taken
            and not field.personal
            and _kind(field) in FEATURE_KINDS
        )
        if not found:
            what = f"has no field that may be a feature of {task}"
            hint = f"add {KNOWN_AT_PREDICTION}: true to the fields that are there before the answer is"
            self._findings.refuse(("dataset",), what, contract.dataset, f"{hint}, in its contract")
        return found

    def _late(self, own: Contract) -> tuple[LateLabels, Contract] | None:
        entry = self._document.late_labels
        if entry is None or "dataset" not in entry.model_fields_set:
            hint = "add dataset: where the labels come from"
            self._missing("lateLabels", "dataset", hint)
            return None
        other = self._contract(entry.dataset, ("lateLabels", "dataset"))
        wait = self._wait(entry)
        if other is None:
            return None
        if not entry.keys:
            self._missing("lateLabels", "keys", f"add keys: {{FIELD OF {own.dataset}: FIELD OF {other.dataset}}}")
        for mine, theirs in entry.keys.items():
            self._join(own, other, mine, theirs)
        return LateLabels(entry.dataset, tuple(entry.keys.items()), wait, entry.most), other

    def _join(self, own: Contract, other: Contract, mine: str, theirs: str) -> None:
        place = ("lateLabels", "keys", mine)
        left, right = self._field(own, mine, place), self._field(other, theirs, place)
        if left and right and _kind(left) is not _kind(right):
            what = f"joins a {_kind(left)} with a {_kind(right)}"
            self._findings.refuse(place, what, theirs, "join fields of one kind, else no value is equal")

    def _wait(self, entry: LateEntry) -> int:
        hint = "write how long a record waits for its label, from PT1S to P366D, e.g. wait: P2D"
        if "wait" not in entry.model_fields_set:
            self._missing("lateLabels", "wait", hint)
            return 0
        found = parse_duration(entry.wait)
        if found is None or not 0 < found <= _LONGEST_SECS:
            self._findings.refuse(("lateLabels", "wait"), "is no length of time to wait", entry.wait, hint)
        return found or 0

    def _series(self, contract: Contract) -> Series | None:
        entry = self._document.series
        if entry is None or "figure" not in entry.model_fields_set:
            hint = f"write series: {{figure: {' or '.join(WINDOW_FIGURES)}}}, or with field: one of its figures"
            self._missing("series", "figure", hint)
            return None
        if not contract.window.time_field:
            hint = "name the field of event time in its contract: headrace.timeField"
            self._findings.refuse(("dataset",), "has no windows of event time", contract.dataset, hint)
        known = FIELD_FIGURES if entry.field else WINDOW_FIGURES
        if entry.figure not in known:
            of = f"a field: {', '.join(known)}" if entry.field else f"a window: {', '.join(known)}"
            self._findings.refuse(("series", "figure"), "is not a figure", entry.figure, f"write a figure of {of}")
        elif entry.field:
            found = self._field(contract, entry.field, ("series", "field"))
            if found and entry.figure not in _ANY_NUMBER and _kind(found) not in _NUMBERS:
                hint = f"name a field of numbers, or one of {', '.join(sorted(_ANY_NUMBER))}"
                self._findings.refuse(
                    ("series", "field"), f"is a {_kind(found)} without {entry.figure}", found.name, hint
                )
        return Series(entry.figure, entry.field)


def _fields(contract: Contract) -> Mapping[str, ContractField]:
    return {field.name: field for field in contract.fields}


def _kind(field: ContractField) -> Kind:
    return KIND_OF[field.type.type]
