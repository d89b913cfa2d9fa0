"""A learner's YAML, read strictly against the contracts: all that is wrong at once, each with line, key and value."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml
from pydantic import ValidationError

from headrace.core.identity import dataset_name_problem
from headrace.schemas.contract import contract_version
from headrace.schemas.contract_findings import Findings, close_to
from headrace.schemas.expression import Expression, Kind
from headrace.schemas.learner_document import Document, ModelEntry, read_document
from headrace.schemas.learner_fields import Contracts, Subject, SubjectReader
from headrace.schemas.learner_spec import (
    LEAST_TICKS,
    OPPONENTS,
    SUPERVISED,
    LearnerSpec,
    ModelSpec,
    Pace,
    Promotion,
    Task,
    pace_of,
)
from headrace.schemas.model_catalog import UNLOADABLE, model_named, model_names, model_options, models_for
from headrace.schemas.names import SAFE_NAME
from headrace.schemas.problems import LearnerProblems, Place, describe
from headrace.schemas.strict_yaml import YamlInvalid, load_yaml

_LABELLED = frozenset({Task.REGRESSION, Task.CLASSIFICATION})
_JUDGED = SUPERVISED | {Task.FORECAST}
_FORECAST = frozenset({Task.FORECAST})
# Keys that mean nothing for other tasks.
_TASKS_OF: Mapping[str, frozenset[Task]] = {
    "target": SUPERVISED,
    "label": _LABELLED,
    "lateLabels": _LABELLED,
    "features": frozenset(Task) - _FORECAST,
    "explain": frozenset(Task) - _FORECAST,
    "series": _FORECAST,
    "horizon": _FORECAST,
    "season": _FORECAST,
    "threshold": frozenset({Task.ANOMALY}),
    "promotion": _JUDGED,
}


def parse_learner(text: str, contracts: Contracts, source: str = "text", file: str = "") -> LearnerSpec:
    """Return the learner of a YAML text; raises LearnerProblems with everything that is wrong.

    `source` is what messages call the document, `file` where it lies. Pure but for what `contracts` does.
    """
    try:
        data, root = load_yaml(text)
    except YamlInvalid as error:
        raise LearnerProblems(source, [str(error)], file) from error
    if not isinstance(data, dict):
        raise LearnerProblems(source, ["it is not a learner: a mapping with name, dataset, task, models, ..."], file)
    document, problems = read_document(data)
    findings = Findings(problems=problems)
    spec = None if document is None else _Reader(document, data, contracts, findings).read(text)
    if spec is None or findings.problems:
        raise LearnerProblems(source, _described(findings, root), file)
    return spec


@dataclass(frozen=True)
class Lint:
    """What can be said of a learner's text: the learner, or what is wrong with it."""

    spec: LearnerSpec | None
    problems: tuple[str, ...] = ()


def lint_learner(text: str, contracts: Contracts) -> Lint:
    """Return whether a text is a learner that can be followed, as `headrace learn lint` tells it."""
    try:
        return Lint(parse_learner(text, contracts))
    except LearnerProblems as error:
        return Lint(None, error.problems)


def spoken_learner(spec: LearnerSpec) -> tuple[str, ...]:
    """Return a learner as lines for people: what it does, from what, by which models."""
    about = f"predicts {spec.label.text}" if spec.label else f"looks for {spec.task}"
    if spec.series:
        of = f" of {spec.series.field}" if spec.series.field else ""
        about = f"forecasts {spec.series.figure}{of}, {spec.horizon} ahead, with a season of {spec.season}"
    lines = [f"{spec.name} {spec.version}: {spec.task} on {spec.dataset}", about]
    if spec.late:
        keys = ", ".join(mine if mine == theirs else f"{mine} = {theirs}" for mine, theirs in spec.late.keys)
        lines.append(f"labels come later, in {spec.late.dataset}, by {keys}")
    if spec.features:
        lines.append(f"from {', '.join(spec.features)}")
    champion, *others = [one.name if one.name == one.kind else f"{one.name} ({one.kind})" for one in spec.models]
    lines.append(f"champion at the start: {champion}; challengers: {', '.join(others) or 'none'}")
    return tuple(lines)


def learner_version(version: str, text: str, kinds: Mapping[str, Kind], label: Kind | None) -> str:
    """Return the version that messages name: the document's own, and a digest of its text and what it is made of.

    The kinds of features and label are the contract's word: where they change, so do the models.

    >>> learner_version("1.0.0", "text", {"distance": Kind.WHOLE}, Kind.BOOLEAN)
    '1.0.0+cce7a035'
    """
    inputs = "".join(f"\n{name}: {kind}" for name, kind in kinds.items())
    return contract_version(version, f"{text}{inputs}\n= {label or ''}")


def _described(findings: Findings, root: yaml.Node | None) -> list[str]:
    return list(dict.fromkeys(describe(problem, root) for problem in findings.problems))


class _Reader:
    """Turns a document into a learner; what cannot be followed is added to the findings."""

    def __init__(self, document: Document, data: Mapping[str, Any], contracts: Contracts, findings: Findings) -> None:
        self._document, self._findings = document, findings
        self._data = data
        self._subject = SubjectReader(document, data, contracts, findings)

    def read(self, text: str) -> LearnerSpec | None:
        for key in ("name", "dataset", "task", "models"):
            if key not in self._data or (key == "task" and self._data[key] is None):
                self._findings.refuse((), f"{key} is missing", None, f"add {key}: ...")
        found = self._document
        if "dataset" in found.model_fields_set and (problem := dataset_name_problem(found.dataset)):
            self._findings.refuse(("dataset",), "cannot be a dataset", found.dataset, problem)
            return None
        task = Task(found.task) if found.task else None
        if task is not None:
            self._refuse_foreign(task)
        self._refuse_odd_spans(pace_of(task))
        subject = self._subject.read(task) if task else None
        models = self._models(task, subject.label if subject else None)
        if task is None or subject is None or self._findings.problems:
            return None
        return _assembled(found, text, task, models, subject)

    def _refuse_foreign(self, task: Task) -> None:
        for key in sorted(self._data.keys() & _TASKS_OF.keys()):
            if task not in _TASKS_OF[key]:
                tasks = ", ".join(sorted(_TASKS_OF[key]))
                self._findings.refuse((key,), f"means nothing for {task}", None, f"leave it out; it is for {tasks}")

    def _refuse_odd_spans(self, pace: Pace) -> None:
        """Errors are looked at in ticks, so that where batches end never matters: spans are made of whole ones."""
        document, tick = self._document, pace.tick
        spans: dict[Place, tuple[int | None, int]] = {
            ("rolling",): (document.rolling, tick),
            ("promotion", "every"): (document.promotion.every, tick),
            ("promotion", "over"): (document.promotion.over, LEAST_TICKS * tick),
        }
        for place, (span, least) in spans.items():
            if span is not None and span < least:
                self._findings.refuse(place, f"is less than {least} {pace.unit}", span, f"write e.g. {least}")
            elif span is not None and span % tick:
                near = -(-span // tick) * tick
                self._findings.refuse(place, f"is no multiple of {tick} {pace.unit}", span, f"write e.g. {near}")

    def _models(self, task: Task | None, label: Expression | None) -> tuple[ModelSpec, ...]:
        if "models" in self._document.model_fields_set and not self._document.models:
            self._findings.refuse(("models",), "names no model", None, "add - model: KIND, the champion first")
        found: dict[str, ModelSpec] = {}
        for number, entry in enumerate(self._document.models):
            place = ("models", number)
            if "model" not in entry.model_fields_set:
                if "model" not in self._data["models"][number]:
                    self._findings.refuse(place, "model is missing", None, "add model: KIND")
                continue
            name = self._model_name(entry, place)
            if name in found:
                hint = "give each a name of its own: name: ..."
                self._findings.refuse(place, "has the name of another model", name, hint)
            if kind := self._kind(entry, place):
                self._look_at_task(entry, kind, task, label, (*place, "model"))
                self._look_at_options(entry, kind, (*place, "options"))
            found.setdefault(name, ModelSpec(name, entry.model, dict(entry.options)))
        return tuple(found.values())

    def _model_name(self, entry: ModelEntry, place: Place) -> str:
        if not entry.name and not SAFE_NAME.fullmatch(entry.model):
            hint = "add name: a lower-case letter, then up to 62 of a-z, 0-9 and _"
            self._findings.refuse(place, "needs a name: its kind is not a safe one", entry.model, hint)
        name = entry.name or entry.model
        if name in OPPONENTS:
            hint = "it is held against that dummy anyway; name it otherwise"
            self._findings.refuse(place, "has the name of a dummy", name, hint)
        return name

    def _kind(self, entry: ModelEntry, place: Place) -> Any:
        where = (*place, "model")
        try:
            return model_named(entry.model)
        except KeyError:
            meant = close_to(entry.model, model_names())
            hint = f'did you mean "{meant}"?' if meant else f"installed are {', '.join(model_names()) or 'none'}"
            self._findings.refuse(where, "is not an installed kind of model", entry.model, hint)
        except UNLOADABLE as error:
            hint = "install the package it comes from again"
            self._findings.refuse(where, f"cannot be loaded: {error}", entry.model, hint)
        return None

    def _look_at_task(
        self, entry: ModelEntry, kind: Any, task: Task | None, label: Expression | None, place: Place
    ) -> None:
        if task is not None and task not in kind.tasks:
            hint = f"models for it: {', '.join(models_for(task)) or 'none is installed'}"
            self._findings.refuse(place, f"is not for {task}", entry.model, hint)
        elif task is Task.IMPUTATION and label is not None:
            # What is missing is a number or a class, and most kinds predict one of the two.
            like = Task.REGRESSION if label.node.kind in {Kind.WHOLE, Kind.NUMBER} else Task.CLASSIFICATION
            if like not in kind.tasks and kind.tasks & _LABELLED:
                hint = f"models for it: {', '.join(sorted({*models_for(task)} & {*models_for(like)}))}"
                self._findings.refuse(place, f"does not predict a {label.node.kind}", entry.model, hint)

    def _look_at_options(self, entry: ModelEntry, kind: Any, place: Place) -> None:
        try:
            model_options(kind, entry.options)
        except ValidationError as error:
            known = sorted({found.alias or name for name, found in kind.Options.model_fields.items()})
            for fault in error.errors(include_url=False):
                self._refuse_option(entry.model, place, fault, known)

    def _refuse_option(self, kind: str, place: Place, fault: Any, known: list[str]) -> None:
        key, where = ".".join(str(part) for part in fault["loc"]), (*place, *fault["loc"])
        if fault["type"] == "extra_forbidden":
            meant = close_to(key, known)
            hint = f'did you mean "{meant}"?' if meant else f"it knows {', '.join(known) or 'none'}"
            self._findings.refuse(where, f"unknown option of {kind}", fault["input"], hint)
        elif fault["type"] == "missing":
            self._findings.refuse(place[:-1], f'{kind} needs option "{key}"', None, f"add options: {{{key}: ...}}")
        else:
            value = fault["input"] if fault["loc"] else None
            hint = f'see "{kind}" in docs/guide/models.md'
            self._findings.refuse(where, str(fault["msg"]).removeprefix("Value error, ").lower(), value, hint)


def _assembled(found: Document, text: str, task: Task, models: tuple[ModelSpec, ...], subject: Subject) -> LearnerSpec:
    kinds, label = subject.kinds or {}, subject.label
    one, pace = found.promotion, pace_of(task)
    return LearnerSpec(
        name=found.name,
        dataset=found.dataset,
        task=task,
        version=learner_version(found.version, text, kinds, label.node.kind if label else None),
        text=text,
        models=models,
        features=subject.features,
        kinds=kinds,
        label=label,
        late=subject.late,
        series=subject.series,
        horizon=found.horizon,
        season=found.season,
        rows_per_second=found.budget.rows_per_second,
        over=found.rolling or pace.rolling,
        threshold=found.threshold,
        explain=found.explain,
        snapshot_rows=found.snapshot_rows,
        promotion=Promotion(one.every or pace.every, one.over or pace.over, one.errors, one.after),
        seed=found.seed,
        description=" ".join(found.description.split()),
    )
