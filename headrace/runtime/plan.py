"""What `headrace up` starts, in which order, and what each process waits for."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from headrace.core.child import Child
from headrace.embedded.services import SERVICES, Service, external_services
from headrace.errors import WrongUse
from headrace.settings import Settings

PIPELINE = "pipeline"
CHOICES = (*SERVICES, PIPELINE)
# Stage -> module, in the order of the data: a stop drains them in this order.
STAGES: dict[str, str] = {
    "watcher": "headrace.producers.app",
    "judge": "headrace.stream_processors.record_loop",
    "sink": "headrace.sinks.app",
    "receipts": "headrace.sinks.receipts",
    "quality": "headrace.stream_processors.quality_app",
    "advisor": "headrace.stream_processors.advisor",
}


@dataclass(frozen=True)
class ProcessSpec:
    """One process: `ready` tells, without waiting long, whether the given child of it does its work."""

    name: str
    module: str
    kind: Literal["service", "stage"]
    ready: Callable[[Settings, Child], bool]
    after: tuple[str, ...] = ()


def parse_services(text: str) -> frozenset[str]:
    """Return the names in a comma-separated list, or raise WrongUse that shows the choices.

    >>> sorted(parse_services("kafka, registry"))
    ['kafka', 'registry']
    """
    names = frozenset(part.strip() for part in text.split(",") if part.strip())
    if not names or names - set(CHOICES):
        unknown = ", ".join(sorted(names - set(CHOICES))) or "nothing"
        raise WrongUse(f'--services "{text}": {unknown} is not a service', hint=f"choose from {','.join(CHOICES)}")
    return names


def make_plan(settings: Settings, chosen: Iterable[str] = CHOICES) -> tuple[ProcessSpec, ...]:
    """Return the processes in the order of a start; services that the settings place elsewhere are left out."""
    names = frozenset(chosen) - external_services(settings)
    services = tuple(_service(SERVICES[name], names) for name in SERVICES if name in names)
    if PIPELINE not in names:
        return services
    after = tuple(service.name for service in services)
    stages = STAGES | ({"notify": "headrace.sinks.notify"} if settings.paths().notify.exists() else {})
    return services + tuple(ProcessSpec(name, module, "stage", _reports, after) for name, module in stages.items())


def stop_order(plan: Iterable[ProcessSpec]) -> tuple[ProcessSpec, ...]:
    """Return the processes in the order of a stop: stages along the data, then services, the last started first."""
    specs = tuple(plan)
    stages = tuple(spec for spec in specs if spec.kind == "stage")
    return stages + tuple(spec for spec in reversed(specs) if spec.kind == "service")


def _service(service: Service, names: frozenset[str]) -> ProcessSpec:
    after = tuple(name for name in service.after if name in names)
    return ProcessSpec(service.name, service.module, "service", lambda settings, _: service.ready(settings), after)


def _reports(settings: Settings, child: Child) -> bool:
    """Return whether this very process has written its stage's status file."""
    try:
        report = json.loads((settings.paths().run / "stages" / f"{child.name}.json").read_text())
    except (FileNotFoundError, ValueError):
        return False
    return bool(report.get("pid") == child.pid)
