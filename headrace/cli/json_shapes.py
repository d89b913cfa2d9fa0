"""What every `--json` prints: the shapes that the reference page shows and that tests hold the commands to.

They come from the TypedDicts that the commands fill and from the Avro schemas of messages, so they cannot say less than
the code does.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from types import NoneType, UnionType
from typing import Annotated, Any, NotRequired, TypedDict, Union, get_args, get_origin, get_type_hints, is_typeddict

from headrace.cli.learn_json import LearnStatus, ModelFigures, ShownLearner
from headrace.cli.logs import ShownLine
from headrace.cli.trace_json import TraceDocument
from headrace.cli.warehouse import QuarantinedCount, QuarantinedRow
from headrace.runtime.status import StackStatus
from headrace.schemas.ledger import Receipt
from headrace.schemas.system import system_schema

_WORDS = {str: "text", int: "number", float: "number", bool: "true or false", Any: "any"}
_AVRO_WORDS = {"int": "number", "long": "number", "float": "number", "double": "number", "boolean": "true or false"}


@dataclass(frozen=True)
class Shape:
    """A JSON value. `keys` are those of an object, `each` what an array holds, or an object with keys from data."""

    kind: str
    meaning: str = ""
    nullable: bool = False
    optional: bool = False
    keys: Mapping[str, "Shape"] = field(default_factory=dict)
    each: "Shape | None" = None

    def rows(self, path: str = "") -> Iterator[tuple[str, str, str]]:
        """Yield (path, type, meaning) of every key below this value, as the reference page shows them."""
        inside = f"{path}." if path else ""
        if self.each is not None:
            yield from self.each.rows(f"{path}[]" if self.kind == "array" else f"{inside}NAME")
        for name, one in self.keys.items():
            each = f" of {one.each.kind}s" if one.kind == "array" and one.each and not one.each.keys else ""
            null = " or null" if one.nullable else ""
            maybe = " (left out where it does not apply)" if one.optional else ""
            yield f"{inside}{name}", f"{one.kind}{each}{null}{maybe}", one.meaning
            yield from one.rows(f"{inside}{name}")


def of_type(hint: Any) -> Shape:
    """Return the shape of a Python type; the first text in Annotated is its meaning."""
    origin, arguments = get_origin(hint), get_args(hint)
    if origin is NotRequired:
        return replace(of_type(arguments[0]), optional=True)
    if origin is Annotated:
        return replace(of_type(arguments[0]), meaning=arguments[1])
    if origin in {Union, UnionType}:
        (kept,) = (one for one in arguments if one is not NoneType)
        return replace(of_type(kept), nullable=True)
    if origin in {list, dict}:
        return Shape("array" if origin is list else "object", each=of_type(arguments[-1]))
    if is_typeddict(hint):
        hints = get_type_hints(hint, include_extras=True)
        return Shape("object", keys={name: of_type(one) for name, one in hints.items()})
    return Shape(_WORDS[hint])


def of_avro(schema: Any, named: dict[str, Any] | None = None) -> Shape:
    """Return the shape of an Avro value; times are text, as `--json` prints them."""
    known = {} if named is None else named
    if isinstance(schema, list):
        (kept,) = (one for one in schema if one != "null")
        return replace(of_avro(kept, known), nullable=True)
    if isinstance(schema, str):
        return of_avro(known[schema], known) if schema in known else Shape(_AVRO_WORDS.get(schema, "text"))
    if schema["type"] == "record":
        known[schema["name"]] = schema
        fields = {
            one["name"]: replace(of_avro(one["type"], known), meaning=one.get("doc", "")) for one in schema["fields"]
        }
        return Shape("object", keys=fields)
    if schema["type"] == "array":
        return Shape("array", each=of_avro(schema["items"], known))
    if schema["type"] == "map":
        return Shape("object", each=of_avro(schema["values"], known))
    return Shape("text" if "logicalType" in schema else of_avro(schema["type"], known).kind)


def message(name: str) -> Shape:
    """Return the shape of one of the platform's own messages."""
    return of_avro(system_schema(name))


class _Dropped(TypedDict):
    dataset: Annotated[str, "The dataset."]
    file: Annotated[str, "The name that the copy has in the inbox."]
    sha256: Annotated[str, "SHA-256 of its bytes."]
    state: Annotated[str, "dropped."]
    watched: Annotated[bool, "True if a line runs on this home; else the file waits for one."]


class _Silence(TypedDict):
    rule: Annotated[str, "The rule, * for all."]
    dataset: Annotated[str, "The dataset, * for all."]
    until: Annotated[str, "Its end, ISO 8601."]
    by: Annotated[str, "Who asked for it."]
    why: Annotated[str, "The reason."]


class _Standing(TypedDict):
    score: Annotated[float | None, "What the window is worth, 0 to 100; null: no rule had a verdict."]
    trend: Annotated[float | None, "Points more than the median of the windows before; null: there are none."]
    dimensions: Annotated[dict[str, float], "Score by side of quality."]
    worst_field: Annotated[str, "The critical field with the least score; empty: none."]
    worst_score: Annotated[float | None, "Its score."]
    fields_checked: Annotated[list[str], "Fields that a rule with a verdict looks at."]
    fields_not_checked: Annotated[list[str], "The others."]


class _Profile(TypedDict):
    dataset: Annotated[str, "The dataset."]
    clock: Annotated[str, "event or arrival."]
    windows: Annotated[int, "How many windows it is of."]
    start: Annotated[int, "First moment of the first, microseconds since 1970."]
    end: Annotated[int, "First moment after the last, microseconds since 1970."]
    rows: Annotated[int, "Rows of the windows, rejected ones too."]
    not_merged: NotRequired[Annotated[dict[str, str], "With --last: fields without a profile, and why."]]


class _ContractField(TypedDict):
    name: Annotated[str, "The field, as topics and tables call it."]
    source_name: Annotated[str, "As files call it."]
    type: Annotated[str, "Its type."]
    required: Annotated[bool, "True if it must have a value."]
    known_at_prediction: Annotated[bool, "True if a learner may make features of it."]


class _ContractRule(TypedDict):
    id: Annotated[str, "Id of the rule."]
    code: Annotated[str, "The reason that a row which breaks it has."]
    severity: Annotated[str, "A severity; critical rejects the row."]
    fields: Annotated[list[str], "The fields it looks at."]
    parameters: Annotated[dict[str, Any], "Its bounds, patterns, values."]


class _ContractCheck(TypedDict):
    id: Annotated[str, "Id of the check."]
    check: Annotated[str, "Which check (docs/guide/checks.md)."]
    fields: Annotated[list[str], "The fields it looks at."]
    sentence: Annotated[str, "What it demands, in one sentence."]
    parameters: Annotated[dict[str, Any], "Its parameters."]
    bounds: Annotated[str | None, "Its bounds in words; null: it has none of its own."]
    unit: Annotated[str, "rows, percent, seconds or value."]
    severity: Annotated[str, "Severity of a breach."]
    dimension: Annotated[str, "The side of quality."]
    weight: Annotated[float, "Weight in the score."]
    description: Annotated[str, "The contract's words on it."]
    fix_hint: Annotated[str, "The contract's words on what to do."]
    business_impact: Annotated[str, "The contract's words on what it costs."]


class _ContractWindow(TypedDict):
    time_field: Annotated[str, "The field of event time; empty: windows by arrival alone."]
    size_secs: Annotated[int, "Length of a window."]
    lateness_secs: Annotated[int, "How long a window waits for late records."]


class _Contract(TypedDict):
    dataset: Annotated[str, "The dataset."]
    version: Annotated[str, "Version of the contract."]
    drafted: Annotated[bool, "True if it was made from the first file and nobody has edited its status."]
    owner: Annotated[str, "Who is responsible."]
    tolerance: Annotated[float, "Share of rejected rows up to which no alert is raised."]
    partitions: Annotated[int, "Partitions of the dataset's topics."]
    fields: Annotated[list[_ContractField], "Its fields."]
    rules: Annotated[list[_ContractRule], "Rules about one record."]
    checks: Annotated[list[_ContractCheck], "Checks of many records."]
    window: Annotated[_ContractWindow, "Its windows."]
    not_checked: Annotated[list[str], "What it promises and nobody checks."]


class _Shown(_Contract):
    new_columns: Annotated[
        list[str] | None, "Columns that files brought and it does not name; null: no registry to ask."
    ]


class _Change(TypedDict):
    kind: Annotated[str, "What kind of change."]
    name: Annotated[str, "What it is about."]
    breaking: Annotated[bool, "True if it breaks those who read the data."]
    text: Annotated[str, "The change in a sentence."]


class _FileRules(TypedDict):
    file: Annotated[str, "The file's id."]
    stored: Annotated[int, "Its rows in the table."]
    quarantined: Annotated[int, "Its rows that this contract refused."]
    by_others: Annotated[int, "Its rows that another version refused, of which nothing is known here."]
    failed_stored: Annotated[dict[str, int], "Stored rows that break each rule, by its id; 0 is left out."]
    failed_quarantined: Annotated[dict[str, int], "The same of rows in quarantine."]
    failed: Annotated[dict[str, int], "Both together: what the judge counted."]


def _plus(shape: Shape, **keys: Shape) -> Shape:
    """Return the shape of an object with more keys."""
    return replace(shape, keys={**shape.keys, **keys})


def _profile() -> Shape:
    kind = Shape("text", "Type of the field by the contract; empty: not known.")
    masked = Shape("true or false", "True: its values are not shown.", optional=True)
    fields = _plus(message("window").keys["fields"].each or Shape(""), masked=masked, type=kind)
    return _plus(
        of_type(_Profile), **of_type(_Standing).keys, fields=Shape("array", "The profile of each field.", each=fields)
    )


def _advice() -> Shape:
    found = message("advice")
    raised = replace(found.keys["raised_at"], kind="number", meaning="When it was given, microseconds since 1970.")
    of_table = {
        "_topic": Shape("text", "Topic of the message."),
        "_partition": Shape("number", "Its partition."),
        "_offset": Shape("number", "Its offset."),
        "_ingested_at": Shape("text", "When it was published."),
    }
    return _plus(found, raised_at=raised, **of_table)


def _check() -> Shape:
    basis = Shape("text", "What it was computed from.")
    differs = Shape("text", "Why the stream's window may say something else; empty where both must agree.")
    verdict = _plus(message("window").keys["verdicts"].each or Shape(""), basis=basis, differs=differs)
    window = {
        **of_type(_Standing).keys,
        "start": Shape("number", "First moment of the window, seconds since 1970."),
        "end": Shape("number", "First moment after it."),
        "file": Shape("text", "With --clock file: the file's id."),
        "rows": Shape("number", "Rows in it that were judged: stored ones, and refused ones of quarantine."),
        "verdicts": Shape("array", "One per check.", each=verdict),
    }
    keys = {
        "dataset": Shape("text", "The dataset."),
        "contract_version": Shape("text", "The contract that was evaluated."),
        "clock": Shape("text", "event, arrival or file."),
        "failed_critical": Shape("array", "Ids of critical demands that are not met.", each=Shape("text")),
        "refused_rows": Shape("number", "Rows of quarantine among those that were looked at."),
        "refused_rows_left_out": Shape("number", "Rows of quarantine that are in no figure."),
        "unreadable_rows": Shape("number", "Rows that readers put aside: no check but parse_errors speaks of them."),
        "windows": Shape("array", "The windows, or files.", each=Shape("object", keys=window)),
        "files": Shape("array", "Rules about one record, by file.", each=of_type(_FileRules)),
        "rules_not_checked": Shape("object", "Why, by the rule's id.", each=Shape("text")),
    }
    return Shape("object", keys=keys)


def _lint() -> Shape:
    contract = {name: replace(one, optional=True) for name, one in of_type(_Contract).keys.items()}
    file = {
        "file": Shape("text", "The file."),
        "problems": Shape("array", "Why it cannot be followed.", each=Shape("text")),
    }
    return Shape("object", keys=file | contract)


def _learner() -> Shape:
    events = Shape("array", "What happened to it and its models, oldest first.", each=message("model_event"))
    return _plus(of_type(ShownLearner), events=events)


DOCUMENT, ARRAY, LINES = "one object", "an array of objects", "one object a line"


def shapes() -> dict[str, tuple[str, Shape]]:
    """Return command -> (how many objects it prints, the shape of each)."""
    return {
        "status --json": (DOCUMENT, of_type(StackStatus)),
        "drop --json": (LINES, of_type(_Dropped)),
        "drop --wait --json": (LINES, of_type(Receipt)),
        "files --json": (ARRAY, of_type(Receipt)),
        "quarantine list --json": (ARRAY, of_type(QuarantinedCount)),
        "quarantine show --json": (ARRAY, of_type(QuarantinedRow)),
        "alerts --json": (LINES, message("alert")),
        "alerts silences --json": (ARRAY, of_type(_Silence)),
        "profile --json": (DOCUMENT, _profile()),
        "advice --json": (ARRAY, _advice()),
        "check --json": (DOCUMENT, _check()),
        "trace --json": (DOCUMENT, of_type(TraceDocument)),
        "logs --json": (LINES, of_type(ShownLine)),
        "learn status --json": (DOCUMENT, of_type(LearnStatus)),
        "learn models --json": (ARRAY, of_type(ModelFigures)),
        "learn show --json": (DOCUMENT, _learner()),
        "contract lint --json": (LINES, _lint()),
        "contract diff --json": (LINES, of_type(_Change)),
        "contract show --json": (DOCUMENT, of_type(_Shown)),
    }
