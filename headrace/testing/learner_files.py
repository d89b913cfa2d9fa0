"""Two datasets, learners on them of every task, and what tests say of their files."""

from typing import Any

import yaml

from headrace.schemas.contract import Contract, parse_contract
from headrace.schemas.learner_file import lint_learner, parse_learner
from headrace.schemas.learner_spec import LearnerSpec

KNOWN_FIELDS: dict[str, dict[str, Any]] = {
    "order_id": {"logicalType": "integer", "required": True},
    "total": {"logicalType": "number"},
    "country": {"logicalType": "string"},
    "gift": {"logicalType": "boolean"},
    "day": {"logicalType": "date"},
    "placed_at": {"logicalType": "timestamp"},
    "clock": {"logicalType": "time"},
    "raw": {"logicalType": "string", "physicalType": "bytes"},
    "email": {"logicalType": "string", "tags": ["pii"]},
}
LATER_FIELDS: dict[str, dict[str, Any]] = {
    "weight": {"logicalType": "number"},
    "returned": {"logicalType": "boolean"},
    "rating": {"logicalType": "integer"},
}
RETURNS: dict[str, dict[str, Any]] = {
    "order": {"logicalType": "integer", "required": True},
    "land": {"logicalType": "string"},
    "cost": {"logicalType": "number"},
    "total": {"logicalType": "number"},
    "buyer": {"logicalType": "string", "tags": ["pii"]},
}
KNOWN = ("order_id", "total", "country", "gift", "day", "placed_at")
BARE: dict[str, Any] = {"name": "weights", "dataset": "orders", "task": "regression", "models": [{"model": "line"}]}
PLAIN = BARE | {"target": "weight"}
LATE = {"dataset": "returns", "keys": {"order_id": "order"}, "wait": "P2D"}
LATER = BARE | {"target": "cost", "lateLabels": LATE}
LABEL = BARE | {"task": "classification", "label": "rating > 3", "models": [{"model": "sign"}]}
ANOMALY = BARE | {"task": "anomaly", "models": [{"model": "odd"}]}
FORECAST = BARE | {"task": "forecast", "models": [{"model": "odd"}], "series": {"figure": "rows"}}
IMPUTED = BARE | {"task": "imputation", "target": "weight"}


class _Plain(yaml.SafeDumper):
    """Writes values out: aliases are refused."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


def text_of(document: dict[str, Any]) -> str:
    """Return a document as YAML."""
    return yaml.dump(document, Dumper=_Plain, sort_keys=False)


def known(fields: dict[str, dict[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return fields that are known at prediction."""
    said = [{"property": "headrace.knownAtPrediction", "value": True}]
    return {name: field | {"customProperties": said} for name, field in fields.items()}


FIELDS = {"orders": known(KNOWN_FIELDS) | LATER_FIELDS, "returns": RETURNS}


def contracts(dataset: str) -> Contract | None:
    """Return the contract of a dataset of FIELDS; that of `broken` cannot be followed."""
    if dataset == "broken":
        return parse_contract("kind: Nothing", "broken.odcs.yaml")
    if dataset not in FIELDS:
        return None
    properties = [{"name": name} | field for name, field in FIELDS[dataset].items()]
    head = {"apiVersion": "v3.1.0", "kind": "DataContract", "id": dataset, "version": "1.0.0", "status": "active"}
    return parse_contract(text_of(head | {"schema": [{"name": dataset, "properties": properties}]}))


def learner(document: dict[str, Any]) -> LearnerSpec:
    """Return the learner of a document; raises LearnerProblems."""
    return parse_learner(text_of(document), contracts)


def problems(document: dict[str, Any] | str) -> tuple[str, ...]:
    """Return what is wrong with a document or a text."""
    text = document if isinstance(document, str) else text_of(document)
    return lint_learner(text, contracts).problems
