"""What the windows of a dataset are closed by: the contract of one version, as far as windows need it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from headrace.schemas.check_rules import CheckRule, WindowSpec
from headrace.schemas.contract import Contract
from headrace.stream_processors.steps.alert_life import Life
from headrace.stream_processors.steps.file_facts import rules_of_files
from headrace.stream_processors.steps.window_known import compared_rules, sees_silence, unreadable_references


@dataclass(frozen=True)
class Law:
    """One version of a contract. `problem` says why there is none: windows are then closed without a verdict.

    `unreferenced` are rules whose reference cannot be read, with the reason; `about_files` is True if a rule speaks of
    whole files, `sees_silence` if one has something to say of windows without any record.
    """

    version: str
    spec: WindowSpec = field(default_factory=WindowSpec)
    rules: tuple[CheckRule, ...] = ()
    fields: tuple[str, ...] = ()
    masked: frozenset[str] = frozenset()
    critical: frozenset[str] = frozenset()
    owner: str = ""
    life: Life = field(default_factory=Life)
    compared: Mapping[str, tuple[CheckRule, str]] = field(default_factory=dict)
    unreferenced: Mapping[str, str] = field(default_factory=dict)
    about_files: bool = False
    sees_silence: bool = False
    problem: str = ""


def law_of(contract: Contract) -> Law:
    """Return what a contract says of windows."""
    return Law(
        version=contract.version,
        spec=contract.window,
        rules=contract.checks,
        fields=tuple(known.name for known in contract.fields),
        masked=frozenset(known.name for known in contract.fields if known.personal),
        critical=frozenset(known.name for known in contract.fields if known.critical),
        owner=contract.owner,
        life=Life(**vars(contract.alerts)),
        compared=compared_rules(contract.checks),
        unreferenced=unreadable_references(contract.checks),
        about_files=bool(rules_of_files(contract.checks)),
        sees_silence=any(sees_silence(rule) for rule in contract.checks),
    )


class LawNeeded(LookupError):
    """A window cannot be closed before its contract is at hand: get it, then plan again."""

    def __init__(self, dataset: str, version: str) -> None:
        super().__init__(f"{dataset}/{version}")
        self.dataset, self.version = dataset, version


class SchemaNeeded(LookupError):
    """A window cannot be judged before the registry was asked for a schema: get it, then plan again."""

    def __init__(self, schema_id: int) -> None:
        super().__init__(str(schema_id))
        self.schema_id = schema_id


Laws = dict[tuple[str, str], Law]


def law_for(laws: Laws, dataset: str, version: str) -> Law:
    """Return a law; raises LawNeeded if it is not at hand."""
    found = laws.get((dataset, version))
    if found is None:
        raise LawNeeded(dataset, version)
    return found
