"""A learner's YAML as it is written: its keys and their values, before the contract has a word. Strict."""

import copy
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from headrace.schemas.contract_findings import close_to
from headrace.schemas.learner_spec import MAX_MODELS, LateLabels, LearnerSpec, Promotion
from headrace.schemas.problems import Place, Problem

NAME = r"^[a-z][a-z0-9_]{0,62}$"
_NAME_HINT = "use a lower-case letter, then up to 62 of a-z, 0-9 and _"
Name = Annotated[str, Field(pattern=NAME)]
# A span of whole ticks: which least one, and which without a word, the task says (`learner_file`).
Span = Annotated[int, Field(ge=1, le=1_000_000)] | None


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, alias_generator=to_camel)


class ModelEntry(_Strict):
    """One contender; without a name it is called as its kind."""

    model: str = ""
    name: Name = ""
    options: dict[str, Any] = {}


class LateEntry(_Strict):
    """Where labels come from that are not in the record."""

    dataset: str = ""
    keys: dict[str, str] = {}
    wait: str = ""
    most: int = Field(LateLabels.most, ge=1, le=1_000_000)


class SeriesEntry(_Strict):
    """A figure of closed windows."""

    figure: str = ""
    field: str = ""


class BudgetEntry(_Strict):
    """What the learner may cost."""

    rows_per_second: int = Field(LearnerSpec.rows_per_second, ge=0, le=10_000_000)


class PromotionEntry(_Strict):
    """When a challenger becomes champion."""

    every: Span = None
    over: Span = None
    errors: float = Field(Promotion.errors, gt=0, le=100, allow_inf_nan=False)
    after: int = Field(Promotion.after, ge=1, le=1_000)


class Document(_Strict):
    """A learner as its file says it; what must be there is asked by `learner_file`, so that all faults are told."""

    name: Name = ""
    version: str = Field("1.0.0", pattern=r"^[0-9A-Za-z][0-9A-Za-z._-]{0,30}$")
    description: str = ""
    dataset: str = ""
    task: Literal["regression", "classification", "anomaly", "clustering", "forecast", "imputation"] | None = None
    target: str = ""
    label: str = ""
    features: list[str] = []
    models: list[ModelEntry] = Field([], max_length=MAX_MODELS)
    late_labels: LateEntry | None = None
    series: SeriesEntry | None = None
    horizon: int = Field(LearnerSpec.horizon, ge=1, le=1_000)
    season: int = Field(LearnerSpec.season, ge=1, le=10_000)
    budget: BudgetEntry = BudgetEntry()
    rolling: Span = None
    threshold: float = Field(LearnerSpec.threshold, gt=0, lt=0.5)
    explain: int = Field(LearnerSpec.explain, ge=0, le=16)
    snapshot_rows: int = Field(LearnerSpec.snapshot_rows, ge=256, le=100_000_000)
    promotion: PromotionEntry = PromotionEntry()
    seed: int = Field(LearnerSpec.seed, ge=0, lt=2**32)


# The keys of each place that has keys of its own; models have theirs by entry.
_MODELS: Mapping[str, type[_Strict]] = {
    "": Document,
    "models": ModelEntry,
    "lateLabels": LateEntry,
    "series": SeriesEntry,
    "budget": BudgetEntry,
    "promotion": PromotionEntry,
}


def read_document(data: Mapping[str, Any]) -> tuple[Document | None, list[Problem]]:
    """Return the document without what is wrong in it, and everything that is wrong with its structure.

    So what is right can be looked at further, and all faults are told at once. None: nothing can be made of it.
    """
    try:
        return Document.model_validate(data), []
    except ValidationError as error:
        faults = error.errors(include_url=False)
    sound: Any = copy.deepcopy(dict(data))
    for fault in faults:
        _remove(sound, fault["loc"])
    try:
        return Document.model_validate(sound), [_problem(fault) for fault in faults]
    except ValidationError:
        return None, [_problem(fault) for fault in faults]


def _remove(data: Any, place: Sequence[str | int]) -> None:
    """Take out the deepest key on the way to a place; entries of lists stay, so that their numbers do."""
    holder: Any = None
    key: str | int = ""
    for part in place:
        if isinstance(data, dict):
            if part not in data:
                return
            holder, key, data = data, part, data[part]
        elif isinstance(data, list) and isinstance(part, int):
            data = data[part]
        else:
            break
    if holder is not None:
        holder.pop(key)


def _problem(fault: Any) -> Problem:
    place: Place = tuple(fault["loc"])
    kind, value = fault["type"], fault["input"]
    if kind == "extra_forbidden":
        return Problem(place, "unknown key", value, _meant(place))
    if kind == "literal_error":
        return Problem(place, "not allowed", value, f"write {fault['ctx']['expected']}")
    if kind == "string_pattern_mismatch" and place[-1] == "name":
        return Problem(place, "is not a safe name", value, _NAME_HINT)
    quote = " (quote it: YAML reads it as something else)" if kind == "string_type" and value is not None else ""
    return Problem(place, str(fault["msg"]).lower(), value, f"correct the value{quote}")


def _meant(place: Place) -> str:
    key, home = str(place[-1]), str(place[0]) if len(place) > 1 else ""
    known = sorted(_keys(_MODELS.get(home, Document)))
    for where, model in _MODELS.items():
        if where != home and key in _keys(model):
            return f"it belongs {f'under {where}' if where else 'at the top of the document'}"
    meant = close_to(key, known)
    return f'did you mean "{meant}"?' if meant else f"known here: {', '.join(known)}"


def _keys(model: type[_Strict]) -> set[str]:
    return {field.alias or name for name, field in model.model_fields.items()}
