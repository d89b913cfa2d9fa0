"""THE CONTRACT of a dataset: its fields and rules, read from an ODCS v3.1 document, the only source of rules."""

import hashlib
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import yaml

from headrace.core.identity import dataset_name_problem
from headrace.schemas.check_rules import CheckRule, WindowSpec
from headrace.schemas.contract_alerts import ALERTS, AlertLife, read_alert_life
from headrace.schemas.contract_budget import FALSE_ALARMS, read_budget, within_budget
from headrace.schemas.contract_checks import CheckReader
from headrace.schemas.contract_fields import (
    FIELD_NULLS,
    KNOWN_AT_PREDICTION,
    MISSING_MEANS,
    ContractField,
    find_property,
    read_field,
    read_strings,
)
from headrace.schemas.contract_findings import Findings, known_properties
from headrace.schemas.contract_masking import MASKING_PROPERTIES
from headrace.schemas.contract_promises import promise_keys, promise_levels
from headrace.schemas.contract_rules import field_rules, record_rules
from headrace.schemas.contract_window import read_window
from headrace.schemas.expression import KIND_OF
from headrace.schemas.odcs import CustomProperty, Document, read_document
from headrace.schemas.problems import ContractProblems, Place, Problem, describe
from headrace.schemas.record import RecordField, RecordSchema
from headrace.schemas.rules import Rule
from headrace.schemas.strict_yaml import YamlInvalid, load_yaml

__all__ = ["Contract", "ContractField", "FormatOptions", "Rule", "contract_version", "parse_contract"]

DEFAULT_TOLERANCE = 0.01
MAX_PARTITIONS = 64
_ROOT_PROPERTIES = (
    "headrace.tolerance",
    "headrace.partitions",
    "headrace.delimiter",
    FIELD_NULLS,
    ALERTS,
    FALSE_ALARMS,
)
NO_TIME = WindowSpec()
NO_ALERTS = AlertLife()
_DIGEST_DIGITS = 8
_FIELD_PROPERTIES = (FIELD_NULLS, MISSING_MEANS, KNOWN_AT_PREDICTION, *MASKING_PROPERTIES)


@dataclass(frozen=True)
class FormatOptions:
    """How the dataset's files are written, where the contract says so; empty: the reader finds out."""

    delimiter: str = ""
    null_values: tuple[str, ...] = ()


@dataclass(frozen=True)
class Contract:
    """What a dataset's records must be. Equal text is an equal contract; `version` names the text exactly.

    `rules` are asked of each record and may reject it, `checks` of the records of a file or `window` together.
    """

    dataset: str
    version: str
    text: str
    drafted: bool
    fields: tuple[ContractField, ...]
    rules: tuple[Rule, ...]
    tolerance: float = DEFAULT_TOLERANCE
    partitions: int = 1
    owner: str = ""
    description: str = ""
    format: FormatOptions = FormatOptions()
    unchecked: tuple[str, ...] = ()
    checks: tuple[CheckRule, ...] = ()
    window: WindowSpec = NO_TIME
    alerts: AlertLife = NO_ALERTS

    @property
    def record_fields(self) -> tuple[RecordField, ...]:
        """Return the fields as the record schema has them."""
        return tuple(field.type for field in self.fields)

    @property
    def record_schema(self) -> RecordSchema:
        """Return the record schema of a file that has the contract's columns and no others."""
        return RecordSchema(self.dataset, self.record_fields)

    def __hash__(self) -> int:
        return hash((self.dataset, self.version))


def contract_version(version: str, text: str) -> str:
    """Return the version that messages name: the document's own, and the first digits of its text's SHA-256.

    >>> contract_version("1.0.0", "text")
    '1.0.0+982d9e3e'
    """
    return f"{version}+{hashlib.sha256(text.encode()).hexdigest()[:_DIGEST_DIGITS]}"


def parse_contract(text: str, source: str = "text", file: str = "") -> Contract:
    """Read an ODCS v3.1 document; raises ContractInvalid with everything that is wrong, by line, key and value.

    `source` is what messages call the document, `file` where it lies. Pure: no file is read, nothing blocks.
    """
    try:
        data, root = load_yaml(text)
    except YamlInvalid as error:
        raise ContractProblems(source, [str(error)], file) from error
    if not isinstance(data, dict):
        what = "it is not an ODCS document: a mapping with apiVersion, kind, schema, ..."
        raise ContractProblems(source, [what], file)
    document = read_document(data)
    if isinstance(document, list):
        raise _refused(source, document, root, file)
    contract, problems = _build(document, text)
    if problems:
        raise _refused(source, problems, root, file)
    return contract


def _refused(source: str, problems: list[Problem], root: yaml.Node | None, file: str) -> ContractProblems:
    # An entry that asks for two checks says what is wrong with it once.
    return ContractProblems(source, list(dict.fromkeys(describe(problem, root) for problem in problems)), file)


def _build(document: Document, text: str) -> tuple[Contract, list[Problem]]:
    findings = Findings()
    schema, place = document.schema_[0], ("schema", 0)
    if problem := dataset_name_problem(schema.name):
        findings.refuse((*place, "name"), "cannot be a dataset", schema.name, problem)
    options = _Options(document.custom_properties, findings)
    nulls = options.texts(FIELD_NULLS)
    fields = [
        read_field(found, nulls, (*place, "properties", number), findings.problems)
        for number, found in enumerate(schema.properties)
    ]
    window = read_window(document, fields, place, findings)
    _read_rules(document, fields, window, findings)
    _refuse_repeated(fields, findings)
    contract = Contract(
        dataset=schema.name,
        version=contract_version(document.version, text),
        text=text,
        drafted=document.status == "draft",
        fields=tuple(fields),
        rules=tuple(findings.rules),
        tolerance=options.share("headrace.tolerance", DEFAULT_TOLERANCE),
        partitions=options.count("headrace.partitions", 1, MAX_PARTITIONS),
        owner=_owner(document),
        description=" ".join((schema.description or "").split()),
        format=FormatOptions(options.delimiter(), nulls),
        checks=options.checks(window),
        unchecked=tuple(findings.unchecked),
        window=window,
        alerts=options.alert_life(),
    )
    return contract, findings.problems


def _read_rules(document: Document, fields: Sequence[ContractField], window: WindowSpec, findings: Findings) -> None:
    """Add the rules and checks of every place where the standard lets them stand."""
    schema, place = document.schema_[0], ("schema", 0)
    kinds = {field.name: KIND_OF[field.type.type] for field in fields}
    critical = frozenset(found.name for found in schema.properties if found.critical_data_element)
    reader = CheckReader({field.name: field.type.type for field in fields}, critical, findings)
    for number, (found, known) in enumerate(zip(schema.properties, fields, strict=True)):
        where = (*place, "properties", number)
        known_properties(found.custom_properties, _FIELD_PROPERTIES, where, findings)
        field_rules(found, known, where, reader, findings)
    record_rules(schema, kinds, place, reader, findings)
    promise_keys(schema, place, reader)
    promise_levels(document, window, kinds, reader, findings)


def _refuse_repeated(fields: list[ContractField], findings: Findings) -> None:
    for name, count in Counter(field.name for field in fields).items():
        if count > 1:
            findings.refuse(
                ("schema", 0, "properties"), "has a field twice", name, "rename one; physicalName may repeat"
            )
    ids = [*(rule.id for rule in findings.rules), *(check.id for check in findings.checks)]
    for rule, count in Counter(ids).items():
        if count > 1:
            findings.refuse(("schema", 0), "has a rule id twice", rule, "give each rule an id of its own")


class _Options:
    """The root's custom properties of headrace, each read with its own check."""

    def __init__(self, properties: Sequence[CustomProperty], findings: Findings) -> None:
        self._properties, self._findings = properties, findings
        known_properties(properties, _ROOT_PROPERTIES, (), findings)

    def _wrong(self, name: str, value: object, hint: str) -> None:
        index = next(number for number, found in enumerate(self._properties) if found.property == name)
        self._findings.refuse(("customProperties", index, "value"), f"wrong value of {name}", value, hint)

    def _value(self, name: str) -> Any:
        found = find_property(self._properties, name)
        return None if found is None else found.value

    def share(self, name: str, default: float) -> float:
        value = self._value(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value <= 1:
            self._wrong(name, value, "write a share from 0 to 1, e.g. 0.01 for 1 %")
            return default
        return float(value)

    def count(self, name: str, default: int, greatest: int) -> int:
        value = self._value(name)
        if value is None:
            return default
        if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= greatest:
            self._wrong(name, value, f"write a whole number from 1 to {greatest}")
            return default
        return value

    def _place(self, name: str) -> Place:
        places = (at for at, found in enumerate(self._properties) if found.property == name)
        return next((("customProperties", at, "value") for at in places), ())

    def alert_life(self) -> AlertLife:
        return read_alert_life(self._value(ALERTS), self._place(ALERTS), self._findings)

    def checks(self, window: WindowSpec) -> tuple[CheckRule, ...]:
        checks, place = tuple(self._findings.checks), self._place(FALSE_ALARMS)
        budget = read_budget(self._value(FALSE_ALARMS), place, self._findings)
        return within_budget(checks, budget, window, place, self._findings) if budget else checks

    def texts(self, name: str) -> tuple[str, ...]:
        return read_strings(find_property(self._properties, name), (), self._findings.problems)

    def delimiter(self) -> str:
        value = self._value("headrace.delimiter")
        if value is None:
            return ""
        if (
            not isinstance(value, str)
            or len(value) != 1
            or not value.isascii()
            or value in '"\r\n\0'
            or value.isalnum()
        ):
            self._wrong("headrace.delimiter", value, 'write one ASCII character in quotes, e.g. ";" or "\\t"')
            return ""
        return value


def _owner(document: Document) -> str:
    team = document.team
    if team is None:
        return ""
    owners = [member.name or member.username for member in team.members if (member.role or "").lower() == "owner"]
    return owners[0] if owners else team.name or ""
