"""What `headrace up` starts, in which order, and what each process waits for."""

import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from headrace.core.child import Child
from headrace.embedded.services import PREDICT, SERVICES, Service, external_services
from headrace.errors import WrongUse
from headrace.settings import Settings

PIPELINE, LEARNER = "pipeline", "learner"
CHOICES = (*SERVICES, PIPELINE)
# Stage -> module, in the order of the data: a stop drains them in this order.
STAGES: dict[str, str] = {
    "watcher": "headrace.producers.app",
    "judge": "headrace.stream_processors.record_loop",
    "sink": "headrace.sinks.app",
    "receipts": "headrace.sinks.receipts",
    "quality": "headrace.stream_processors.quality_app",
    "advisor": "headrace.stream_processors.advisor",
    LEARNER: "headrace.stream_processors.learner",
    "monitor": "headrace.runtime.monitor",
}


@dataclass(frozen=True)
class ProcessSpec:
    """One process: `ready` tells, without waiting long, whether the given child of it does its work.

    The line ends if a service cannot start; a stage starts once the system topics exist, and the line does without it.
    """

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
    pipeline = tuple(
        ProcessSpec(name, module, "stage", _reports, after)
        for name, module in stages.items()
        if settings.learners or name != LEARNER
    )
    return (*services, *pipeline, *([_predict(names)] if settings.learners else []))


def listening(settings: Settings, chosen: Iterable[str] = CHOICES) -> frozenset[str]:
    """Return who of a plan listens on a port of this machine.

    >>> sorted(listening(Settings(registry_url="http://registry.example:8081"), ("registry", "kafka", "pipeline")))
    ['kafka', 'predict']
    """
    names = frozenset(chosen) - external_services(settings)
    return (names - {PIPELINE}) | ({PREDICT.name} if PIPELINE in names and settings.learners else frozenset())


def stop_order(plan: Iterable[ProcessSpec]) -> tuple[ProcessSpec, ...]:
    """Return the processes in the order of a stop: stages along the data, then services, the last started first."""
    specs = tuple(plan)
    stages = tuple(spec for spec in specs if spec.kind == "stage")
    return stages + tuple(spec for spec in reversed(specs) if spec.kind == "service")


def _service(service: Service, names: frozenset[str]) -> ProcessSpec:
    after = tuple(name for name in service.after if name in names)
    return ProcessSpec(service.name, service.module, "service", lambda settings, _: service.ready(settings), after)


def _predict(names: frozenset[str]) -> ProcessSpec:
    """Return the process that answers with predictions: a part of the pipeline, so the line lives without it."""
    after = tuple(name for name in PREDICT.after if name in names)
    return ProcessSpec(PREDICT.name, PREDICT.module, "stage", lambda settings, _: PREDICT.ready(settings), after)


def _reports(settings: Settings, child: Child) -> bool:
    """Return whether this very process has written its stage's status file."""
    try:
        report = json.loads((settings.paths().run / "stages" / f"{child.name}.json").read_text())
    except (FileNotFoundError, ValueError):
        return False
    return bool(report.get("pid") == child.pid)
