"""The OpenAPI 3.1 document, made from the learners that are served: a path for each, with its own fields. Pure."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from headrace import __version__
from headrace.embedded.predict.rack import Shelf
from headrace.schemas.expression import Kind
from headrace.schemas.learner_spec import Task

if TYPE_CHECKING:
    from headrace.embedded.predict.served import Served

MOST_RECORDS = 1_000
_JSON = "application/json"
_TYPES: Mapping[Kind, dict[str, str]] = {
    Kind.WHOLE: {"type": "integer", "format": "int64"},
    Kind.NUMBER: {"type": "number"},
    Kind.TEXT: {"type": "string"},
    Kind.BOOLEAN: {"type": "boolean"},
    Kind.DATE: {"type": "string", "format": "date"},
    Kind.TIMESTAMP: {"type": "string", "format": "date-time"},
}
_EXAMPLES: Mapping[Kind, Any] = {
    Kind.WHOLE: 12,
    Kind.NUMBER: 1.5,
    Kind.TEXT: "text",
    Kind.BOOLEAN: True,
    Kind.DATE: "2026-01-31",
    Kind.TIMESTAMP: "2026-01-31T08:00:00Z",
}
_REASONS = {
    "type": "array",
    "description": "What moved the prediction most, greatest first; empty where the model cannot say.",
    "items": {
        "type": "object",
        "required": ["field", "effect"],
        "properties": {
            "field": {"type": "string"},
            "effect": {"type": "number", "description": "How far, in the prediction's own unit, signed."},
        },
    },
}


def document(shelf: Shelf) -> dict[str, Any]:
    """Return the document for what is served now."""
    paths: dict[str, Any] = {
        "/models": {"get": _get("Every learner that is served.", _array(_ref("Model")), "list")},
        "/models/{learner}": {"get": _model()},
        "/health": {"get": _get("Which snapshot each learner answers from.", {"type": "object"}, "health")},
    }
    schemas = dict(_COMMON)
    for name, one in sorted(shelf.served.items()):
        paths[f"/predict/{name}"] = {"post": _predict(one)}
        schemas[f"{name}.record"] = record_schema(one)
        schemas[f"{name}.answer"] = _answer_schema(one)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "headrace: predictions",
            "version": __version__,
            "description": "The champion of each learner's newest snapshot answers. docs/guide/learners.md tells more.",
        },
        "paths": paths,
        "components": {"schemas": schemas},
    }


def record_schema(one: "Served") -> dict[str, Any]:
    """Return the JSON schema of the records that a learner takes; any field may be missing or null."""
    return {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            name: {**_TYPES[kind], "type": [_TYPES[kind]["type"], "null"], "description": _described(one, name)}
            for name, kind in one.kinds.items()
        },
    }


def example_record(one: "Served") -> dict[str, Any]:
    """Return a record that a learner takes: the form is right, the values mean nothing."""
    return {name: _EXAMPLES[kind] for name, kind in one.kinds.items()}


def _described(one: "Served", name: str) -> str:
    told = f"a {one.kinds[name]}"
    return f"{told}; every record of {one.spec.dataset} has it" if name in one.required else told


def _predict(one: "Served") -> dict[str, Any]:
    name, record = one.spec.name, _ref(f"{one.spec.name}.record")
    forecast = one.spec.task is Task.FORECAST
    records = {"oneOf": [record, {**_array(record), "maxItems": MOST_RECORDS}]}
    body = {"schema": record if forecast else records, "example": {} if forecast else example_record(one)}
    return {
        "summary": one.spec.description or f"{one.spec.task.value} on {one.spec.dataset}",
        "description": f"Answered by {one.champion.name}, which has learned {one.snapshot.rows:,} records.",
        "operationId": f"predict_{name}",
        "requestBody": {"required": True, "content": {_JSON: body}},
        "responses": {
            "200": _content("One prediction a record, in order.", _ref(f"{name}.answer")),
            "413": _content("Too many records, or too large a body.", _ref("Error")),
            "422": _content("Fields that the learner does not have, or values of another kind.", _ref("Error")),
            "503": _content("It has no snapshot that can be read.", _ref("Error")),
        },
    }


def _answer_schema(one: "Served") -> dict[str, Any]:
    return {
        "type": "object",
        "required": [*_HEAD, "predictions"],
        "properties": _HEAD | {"predictions": _array(_prediction(one.spec.task))},
    }


def _prediction(task: Task) -> dict[str, Any]:
    return {"type": "object", "properties": _PREDICTIONS.get(task, _OF_NUMBERS | _OF_CLASSES | {"reasons": _REASONS})}


def _get(summary: str, schema: dict[str, Any], name: str) -> dict[str, Any]:
    return {"summary": summary, "operationId": name, "responses": {"200": _content(summary, schema)}}


def _model() -> dict[str, Any]:
    found = _get("One learner, with the fields that it takes.", _ref("Model"), "model")
    place = {"name": "learner", "in": "path", "required": True, "schema": {"type": "string"}}
    found["responses"]["404"] = _content("There is no such learner; the text names those there are.", _ref("Error"))
    return found | {"parameters": [place]}


def _content(told: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"description": told, "content": {_JSON: {"schema": schema}}}


def _ref(name: str) -> dict[str, Any]:
    return {"$ref": f"#/components/schemas/{name}"}


def _array(items: dict[str, Any]) -> dict[str, Any]:
    return {"type": "array", "items": items}


_NUMBER = {"type": ["number", "null"]}
_TEXT = {"type": "string"}
_HEAD: dict[str, Any] = {
    "learner": _TEXT,
    "version": {**_TEXT, "description": "Version of the learner's YAML."},
    "model": {**_TEXT, "description": "The champion."},
    "snapshot": {**_TEXT, "description": "The snapshot that it was loaded from."},
    "rows_learned": {"type": "integer", "description": "Labelled records that the learner had learned by then."},
}
_OF_NUMBERS: dict[str, Any] = {"value": {**_NUMBER, "description": "The number predicted."}}
_OF_CLASSES: dict[str, Any] = {
    "label": {"type": ["string", "null"], "description": "The likeliest class, as ml.predictions has it."},
    "probability": {**_NUMBER, "description": "Its probability."},
    "probabilities": {"type": "object", "additionalProperties": _NUMBER, "description": "That of every class."},
}
_PREDICTIONS: Mapping[Task, dict[str, Any]] = {
    Task.REGRESSION: _OF_NUMBERS | {"reasons": _REASONS},
    Task.CLUSTERING: {"value": {**_NUMBER, "description": "The group."}, "reasons": _REASONS},
    Task.CLASSIFICATION: _OF_CLASSES | {"reasons": _REASONS},
    Task.ANOMALY: {
        "score": {**_NUMBER, "description": "How unlike the others the record is."},
        "anomalous": {"type": ["boolean", "null"], "description": "Whether that is beyond the learner's threshold."},
        "reasons": _REASONS,
    },
    Task.FORECAST: _OF_NUMBERS
    | {
        "step": {"type": "integer", "description": "How many windows ahead, from 1."},
        "about": {"type": ["string", "null"], "format": "date-time", "description": "Start of that window."},
    },
}
_COMMON: dict[str, Any] = {
    "Error": {
        "type": "object",
        "required": ["error"],
        "properties": {
            "error": _TEXT,
            "hint": {**_TEXT, "description": "What to do."},
            "problems": _array(
                {
                    "type": "object",
                    "properties": {
                        "row": {"type": "integer", "description": "Which record, from 0."},
                        "field": _TEXT,
                        "value": {"description": "What was sent."},
                        "kind": {**_TEXT, "description": "What the field holds; empty: no such field."},
                        "problem": _TEXT,
                    },
                }
            ),
        },
    },
    "Model": {
        "type": "object",
        "required": [*_HEAD, "dataset", "task"],
        "properties": _HEAD
        | {
            "dataset": _TEXT,
            "task": {"enum": [task.value for task in Task]},
            "predicts": {**_TEXT, "description": "The field, expression or figure."},
            "description": _TEXT,
            "fields": _array(
                {
                    "type": "object",
                    "properties": {
                        "name": _TEXT,
                        "kind": {"enum": [str(kind) for kind in _TYPES]},
                        "required": {"type": "boolean", "description": "Whether every record of the dataset has it."},
                    },
                }
            ),
        },
    },
}
