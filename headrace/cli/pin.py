"""headrace pin: closed windows become a reference under a name, for the checks of drift that name it."""

from contextlib import closing

import click

from headrace.cli.contract import in_force
from headrace.core.identity import check_dataset_name, stable_slot
from headrace.errors import WrongUse
from headrace.runtime.reach import require_services
from headrace.runtime.report.collect import moment_of
from headrace.schemas.check_catalog import check_named
from headrace.schemas.contract import Contract
from headrace.schemas.durations import parse_duration
from headrace.schemas.pinned import pinned_problem
from headrace.schemas.registry import Registry
from headrace.schemas.system import frame_system
from headrace.schemas.topics import MAX_MESSAGE_BYTES, PROFILES, QUALITY_PARTITIONS
from headrace.settings import Settings
from headrace.stream_processors.steps.pins import pin_values, pinned_of
from headrace.stream_processors.steps.stored_state import Kept, owners_of
from headrace.stream_processors.steps.window_known import PINNED, compared_rules
from headrace.stream_processors.steps.window_profile import ARRIVAL_CLOCK, EVENT_CLOCK
from headrace.stream_processors.warehouse_verdicts import kept_windows
from headrace.transport.plain import write_plainly
from headrace.transport.warehouse import Warehouse

_MICROS = 1_000_000


@click.command()
@click.argument("dataset")
@click.argument("name")
@click.option("--from", "first", required=True, help="Start of the first window, e.g. 2013-01-01.")
@click.option("--for", "length", required=True, help="How long, e.g. P7D.")
def pin(dataset: str, name: str, *, first: str, length: str) -> None:
    """Keep closed windows of DATASET as the reference NAME, which contracts name as pinned:NAME.

    From then on windows are compared with it; the same name again replaces it. Only windows that are closed and stored
    count, on both clocks; what rules with that reference read of them is kept.
    """
    law, _ = in_force(check_dataset_name(dataset))
    if problem := pinned_problem(name):
        raise WrongUse(f"reference {problem}", hint="headrace pin --help")
    secs = parse_duration(length)
    if secs is None:
        raise WrongUse(f'--for "{length}" is no length of time', hint="write e.g. P7D or PT12H")
    start, owners = moment_of(first, "--from") // _MICROS, _owners(law, name)
    settings = Settings()
    require_services(settings, "kafka", "registry", "warehouse")
    with Warehouse(settings, person=True) as warehouse:
        found = {
            clock: [one for one in kept_windows(warehouse, dataset, clock, owners, start) if one.start < start + secs]
            for clock in (EVENT_CLOCK, ARRIVAL_CLOCK)
        }
    if not any(one.part.rows for windows in found.values() for one in windows):
        hint = f"headrace check {dataset} shows the windows there are; a window is closed when later records came"
        raise WrongUse(f'no closed window of "{dataset}" begins from {first} on within {length}', hint=hint)
    _publish(settings, law, name, found)
    told = ", ".join(f"{len(windows)} of {clock} time" for clock, windows in found.items() if windows)
    click.echo(f"{dataset}: {PINNED}{name} is now {told}")


def _owners(law: Contract, name: str) -> list[str]:
    """Return whose figures the rules read that name this reference."""
    rules = [rule for rule, reference in compared_rules(law.checks).values() if reference == f"{PINNED}{name}"]
    if not rules:
        message = f'no rule of contract {law.version} of "{law.dataset}" compares with {PINNED}{name}'
        raise WrongUse(message, hint=f"write reference: {PINNED}{name} in a check of drift, and drop a file; then pin")
    return sorted({owner for rule in rules for owner in owners_of(check_named(rule.check), rule)})


def _publish(settings: Settings, law: Contract, name: str, found: dict[str, list[Kept]]) -> None:
    parts = {clock: pinned_of(one.part for one in windows) for clock, windows in found.items() if windows}
    with closing(Registry(settings)) as registry:
        schema_id = registry.system_id(PROFILES, "profile_delta")
    framed = frame_system("profile_delta", schema_id, pin_values(law.dataset, law.version, name, parts))
    if len(framed) > MAX_MESSAGE_BYTES - 8 * 1024:
        raise WrongUse(f"the reference has {len(framed):,} bytes", hint="pin fewer rules' fields, or a shorter time")
    slot = stable_slot(law.dataset, QUALITY_PARTITIONS)
    write_plainly(settings.kafka_client(), PROFILES, law.dataset.encode(), framed, partition=slot)
