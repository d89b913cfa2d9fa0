"""ODCS v3.1 documents, read strictly: what is not understood is refused by name and line, never passed over.

The official JSON schema takes any `arguments`, severity or unit; a typo there would switch a rule off without a word.
Keys that only describe (tags, links, prices) are taken as they are. What promises a check that headrace does not make
is listed by `headrace.schemas.contract` as not checked.
"""

import difflib
from collections.abc import Iterator, Mapping, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, ValidationError
from pydantic.alias_generators import to_camel

from headrace.schemas.problems import Problem

API_VERSION = "v3.1.0"
Described = Any
Identifier = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]+$")]
Dimension = Literal["accuracy", "completeness", "conformity", "consistency", "coverage", "timeliness", "uniqueness"]
LogicalType = Literal["string", "date", "timestamp", "time", "number", "integer", "object", "array", "boolean"]


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, alias_generator=to_camel)


class CustomProperty(_Strict):
    """A key and value of one's own; those that begin with `headrace.` are ours."""

    id: Identifier | None = None
    property: str
    value: Any
    description: str | None = None


class _Element(_Strict):
    id: Identifier | None = None
    name: str
    physical_name: str | None = None
    physical_type: str | None = None
    description: str | None = None
    business_name: str | None = None
    authoritative_definitions: Described = None
    tags: Described = None
    custom_properties: list[CustomProperty] = []


class _Quality(_Strict):
    id: Identifier | None = None
    name: str | None = None
    description: str | None = None
    dimension: Dimension | None = None
    method: str | None = None
    severity: Literal["error", "warning", "info"] = "error"
    business_impact: str | None = None
    schedule: str | None = None
    scheduler: str | None = None
    tags: Described = None
    unit: Literal["rows", "percent"] | None = None
    authoritative_definitions: Described = None
    custom_properties: list[CustomProperty] = []


class _Compared(_Quality):
    must_be: Any = None
    must_not_be: Any = None
    must_be_greater_than: float | None = None
    must_be_greater_or_equal_to: float | None = None
    must_be_less_than: float | None = None
    must_be_less_or_equal_to: float | None = None
    must_be_between: list[float] | None = Field(None, min_length=2, max_length=2)
    must_not_be_between: list[float] | None = Field(None, min_length=2, max_length=2)

    def operators(self) -> dict[str, Any]:
        """Return the comparison operators that are set, by their ODCS names."""
        return {to_camel(name): getattr(self, name) for name in self.model_fields_set if name.startswith("must_")}


class LibraryQuality(_Compared):
    """A check by one of the standard's own metrics."""

    type: Literal["library"] = "library"
    metric: Literal["nullValues", "missingValues", "invalidValues", "duplicateValues", "rowCount"]
    arguments: dict[str, Any] = {}


class SqlQuality(_Compared):
    """A check by a query of one database."""

    type: Literal["sql"]
    query: str


class TextQuality(_Quality):
    """A demand in words."""

    type: Literal["text"]


class CustomQuality(_Quality):
    """A check of one tool; `engine: headrace` is ours."""

    type: Literal["custom"]
    engine: str
    implementation: str | dict[str, Any]


def _quality_type(value: Any) -> str:
    found = value.get("type", "library") if isinstance(value, dict) else "library"
    return str(found)


Quality = Annotated[
    Annotated[LibraryQuality, Tag("library")]
    | Annotated[SqlQuality, Tag("sql")]
    | Annotated[TextQuality, Tag("text")]
    | Annotated[CustomQuality, Tag("custom")],
    Discriminator(_quality_type),
]


class TypeOptions(_Strict):
    """What narrows a logical type; which keys a type knows is checked with the type."""

    minimum: int | float | str | None = None
    maximum: int | float | str | None = None
    exclusive_minimum: int | float | str | None = None
    exclusive_maximum: int | float | str | None = None
    multiple_of: int | float | None = None
    min_length: int | None = Field(None, ge=0)
    max_length: int | None = Field(None, ge=0)
    pattern: str | None = None
    format: str | None = None
    timezone: bool | None = None
    default_timezone: str | None = None


class Property(_Element):
    """One field of the records."""

    logical_type: LogicalType
    logical_type_options: TypeOptions = TypeOptions()
    required: bool = False
    unique: bool = False
    primary_key: bool = False
    primary_key_position: int | None = None
    partitioned: bool | None = None
    partition_key_position: int | None = None
    classification: str | None = None
    encrypted_name: str | None = None
    transform_source_objects: Described = None
    transform_logic: str | None = None
    transform_description: str | None = None
    examples: Described = None
    critical_data_element: bool | None = None
    relationships: Described = None
    quality: list[Quality] = []


class SchemaObject(_Element):
    """The records of the dataset."""

    logical_type: Literal["object"] | None = None
    data_granularity_description: str | None = None
    properties: list[Property] = Field(min_length=1)
    relationships: Described = None
    quality: list[Quality] = []


class Member(_Strict):
    """A person of the team."""

    id: Identifier | None = None
    username: str
    name: str | None = None
    description: str | None = None
    role: str | None = None
    date_in: str | None = None
    date_out: str | None = None
    replaced_by_username: str | None = None
    tags: Described = None
    custom_properties: Described = None
    authoritative_definitions: Described = None


class Team(_Strict):
    """Who answers for the dataset."""

    id: Identifier | None = None
    name: str | None = None
    description: str | None = None
    members: list[Member] = []
    tags: Described = None
    custom_properties: Described = None
    authoritative_definitions: Described = None


class Document(_Strict):
    """An ODCS v3.1 data contract of one dataset."""

    api_version: Literal["v3.1.0"]
    kind: Literal["DataContract"]
    id: str = Field(min_length=1)
    version: str = Field(pattern=r"^[0-9A-Za-z][0-9A-Za-z._-]{0,30}$")
    status: Literal["proposed", "draft", "active", "deprecated", "retired"]
    name: str | None = None
    tenant: str | None = None
    domain: str | None = None
    data_product: str | None = None
    description: Described = None
    tags: Described = None
    schema_: list[SchemaObject] = Field(alias="schema", min_length=1, max_length=1)
    team: Team | None = None
    roles: Described = None
    servers: Described = None
    support: Described = None
    price: Described = None
    sla_default_element: str | None = None
    sla_properties: Described = None
    authoritative_definitions: Described = None
    custom_properties: list[CustomProperty] = []
    contract_created_ts: str | None = None


# Where a key belongs that stands at a wrong place; of several places the first.
_HOMES: tuple[tuple[type[_Strict], str], ...] = (
    (TypeOptions, "under the logicalTypeOptions of a property"),
    (Property, "under a property"),
    (SchemaObject, "under the schema's object, beside its properties"),
    (LibraryQuality, "under an entry of quality with a metric"),
    (SqlQuality, "under an entry of quality with type: sql"),
    (CustomQuality, "under an entry of quality with type: custom"),
    (Document, "at the top of the document"),
    (Member, "under an entry of the team's members"),
    (CustomProperty, "under an entry of customProperties"),
)


def read_document(data: Mapping[str, Any]) -> Document | list[Problem]:
    """Return the document, or everything that is wrong with its structure."""
    try:
        return Document.model_validate(data)
    except ValidationError as error:
        return [_problem(details["type"], details["loc"], details) for details in error.errors(include_url=False)]


def _problem(kind: str, location: Sequence[str | int], details: Mapping[str, Any]) -> Problem:
    place = tuple(part for part in location if part not in {"library", "sql", "text", "custom"} or part == location[-1])
    key, value = place[-1] if place else "", details["input"]
    if kind == "extra_forbidden":
        return Problem(place, "unknown key", value, _home_of(place))
    if kind == "missing":
        return Problem(place, "is missing", None, f'add "{key}"')
    if kind == "literal_error":
        return Problem(place, "not allowed", value, f"write {details['ctx']['expected']}")
    if kind == "union_tag_invalid":
        return Problem(
            (*place, "type"), "not allowed", _quality_type(value), f"write {details['ctx']['expected_tags']}"
        )
    quote = " (quote it: YAML reads it as something else)" if kind == "string_type" and value is not None else ""
    return Problem(place, str(details["msg"]).lower(), value, f"correct the value{quote}")


def _home_of(place: Sequence[str | int]) -> str:
    """Return what to do with a key that is not known where it stands."""
    key = str(place[-1])
    in_property = len(place) > 2 and place[-3] == "properties" and isinstance(place[-2], int)
    close = [key] if key in _known_keys() else difflib.get_close_matches(key, _known_keys(), n=1)
    if not close:
        return "remove it"
    meant = "" if close[0] == key else f'did you mean "{close[0]}"? '
    if in_property and close[0] in _keys(TypeOptions):
        return f"{meant}it belongs under logicalTypeOptions, e.g. logicalTypeOptions: {{{close[0]}: ...}}"
    if meant:
        return meant.strip()
    return f"it belongs {next((where for model, where in _HOMES if key in _keys(model)), 'elsewhere')}"


def _keys(model: type[_Strict]) -> set[str]:
    return {field.alias or name for name, field in model.model_fields.items()}


def _known_keys() -> list[str]:
    return sorted({key for model in _models(_Strict) for key in _keys(model)})


def _models(root: type[_Strict]) -> Iterator[type[_Strict]]:
    for model in root.__subclasses__():
        yield model
        yield from _models(model)
