"""The page of models, made from the installed kinds: python -m headrace.cli.model_page writes docs/guide/models.md.

A test compares the page with what this makes, and makes a model from every example.
"""

import inspect
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, Literal, get_args, get_origin

import yaml
from pydantic.fields import FieldInfo

from headrace.schemas.learner_spec import Task
from headrace.stream_processors.models.base import ModelOptions
from headrace.stream_processors.models.catalog import model_kind, model_names
from headrace.stream_processors.models.features import FieldOptions

PAGE = Path("docs/guide/models.md")
_BUILT_IN = "headrace.stream_processors.models."

EXAMPLES: Final[Mapping[str, str]] = {
    "adaptive_forest": "trees: 20\nencoding: {tailnum: hash}",
    "clustream": "clusters: 8\nwindow: 5000",
    "half_space_trees": "trees: 25\nwindow: 1000",
    "hoeffding_tree": "grace_period: 100\nmax_depth: 8",
    "holt_winters": "level: 0.2\nmultiplicative: true",
    "kmeans": "clusters: 8",
    "last_season": "",
    "last_value": "",
    "linear_regression": "encoding: {carrier: target, tailnum: hash}\nloss: huber",
    "logistic_regression": "optimizer: adagrad\nlearning_rate: 0.1\nl2: 0.0001",
    "majority": "",
    "mean": "",
    "naive_bayes": "categories: [month]",
    "prior": "",
    "robust_z": "after: 100",
    "snarimax": "lags: 3\nerrors: 2",
}
"""Options of each built-in kind, as a learner might write them."""

_HEAD = """\
# Models

Made by `make docs` from the installed kinds of models; a test holds it against the code.

A model predicts a record and then learns it, one at a time, and never sees a record twice. A
[learner](learners.md) names its models by kind, with options:

```yaml
models:
  - model: linear_regression
    options:
      learning_rate: 0.005
```

An unknown option is refused. Every model beats, or fails to beat, a dummy that looks at no field: the last kinds of the
table below. [Write a model](write-a-model.md) says how to add a kind.

"""

_FIELDS = """\
## What fields become

| kind of field | columns |
|---|---|
| number, whole number | the number, scaled to mean 0 and deviation 1 of what came so far where a model wants that |
| boolean | 1 or 0 |
| text | what `encoding` says; without it a column a value (linear models), what the target was (trees), or how \
frequent the value is (anomalies, clusters) |
| date, timestamp | points on a circle for the hour (timestamps), the weekday and the day of the year: what comes \
again, never the calendar itself |

A missing value has no column: nothing is invented for it. A whole number or a boolean that stands for a category may be
named under `encoding` (or `categories`) too. Encodings by the target know only earlier records, and are drawn to the
mean of all while a value is rare. All of them are bounded in memory: after `most_values` different values of a field,
new ones share columns.

Models with field options have these, beside their own:

"""


def model_page() -> str:
    """Return the whole page as Markdown."""
    names = built_in()
    lines = ["| model | " + " | ".join(Task) + " | what it is |", "|---|" + "---|" * (len(Task) + 1)]
    for name in names:
        kind = model_kind(name)
        marks = " | ".join("●" if task in kind.tasks else "" for task in Task)
        lines.append(f"| [{name}](#{name}) | {marks} | {kind.summary} |")
    shared = "\n".join(_options(FieldOptions, set()))
    return f"{_HEAD}" + "\n".join(lines) + f"\n\n{_FIELDS}{shared}\n" + "\n".join(_section(name) for name in names)


def built_in() -> tuple[str, ...]:
    """Return the names of the kinds that come with headrace, the dummies last."""
    names = [name for name in model_names() if type(model_kind(name)).__module__.startswith(_BUILT_IN)]
    return tuple(sorted(names, key=lambda name: (model_kind(name).summary.endswith("(dummy)"), name)))


def example_options(name: str) -> dict[str, Any]:
    """Return the options of the example of a kind."""
    return yaml.safe_load(EXAMPLES[name]) or {}


def _section(name: str) -> str:
    kind = model_kind(name)
    with_fields = issubclass(kind.Options, FieldOptions)
    own = list(_options(kind.Options, set(FieldOptions.model_fields) if with_fields else set()))
    lines = [f"## {name}\n", f"{inspect.cleandoc(type(kind).__doc__ or '')}\n"]
    lines += [f"- does: {', '.join(task for task in Task if task in kind.tasks)}"]
    if with_fields:
        lines.append("- field options: [yes](#what-fields-become)")
    lines += ["", *(own or ["It has no options of its own.\n"]), "For example:\n", "```yaml", f"- model: {name}"]
    if EXAMPLES[name]:
        lines += ["  options:", *(f"    {line}" for line in EXAMPLES[name].splitlines())]
    return "\n".join([*lines, "```\n"])


def _options(options: type[ModelOptions], without: set[str]) -> Iterator[str]:
    fields = {key: found for key, found in options.model_fields.items() if key not in without}
    if not fields:
        return
    yield "| option | type | default | meaning |"
    yield "|---|---|---|---|"
    for key, found in fields.items():
        default = json.dumps(found.get_default(call_default_factory=True, validated_data={}))
        yield f"| `{key}` | {_type(found)} | `{default}` | {(found.description or '').replace('|', '&#124;')} |"
    yield ""


def _type(found: FieldInfo) -> str:
    return _named(found.annotation) + "".join(f", {bound}" for bound in _bounds(found))


def _named(kind: Any) -> str:
    if get_origin(kind) is Literal:
        return " or ".join(f"`{one}`" for one in get_args(kind))
    if get_origin(kind) is list:
        return f"list of {_named(get_args(kind)[0])}"
    if get_origin(kind) is dict:
        return f"{_named(get_args(kind)[1])}, by field"
    return {int: "whole number", float: "number", bool: "true or false", str: "text"}[kind]


def _bounds(found: FieldInfo) -> Iterator[str]:
    words = {"ge": "at least", "gt": "above", "le": "at most", "lt": "below"}
    for bound in found.metadata:
        for name, word in words.items():
            if (value := getattr(bound, name, None)) is not None:
                yield f"{word} {value}"


if __name__ == "__main__":
    PAGE.write_text(model_page(), encoding="utf-8")
