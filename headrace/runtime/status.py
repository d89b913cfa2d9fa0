"""What `headrace status` shows, read from HOME/run: it needs no service and no supervisor to answer."""

from typing import Annotated, TypedDict

import psutil

from headrace.embedded.services import LISTENERS, external_services
from headrace.observability.endpoint import addresses
from headrace.observability.status import StageReport, read_stage
from headrace.runtime.home import ProcessReport, is_held, process_of, read_report
from headrace.runtime.plan import STAGES
from headrace.settings import Paths, Settings

STOPPED, EXTERNAL = "stopped", "external"


class ServiceStatus(TypedDict):
    """One service."""

    state: Annotated[str, "stopped, waiting, starting, running, restarting, failed or external."]
    address: Annotated[str, "Where it listens: host:port of Kafka, the URL of the others."]
    pid: Annotated[int, "Process id; 0: no process."]
    memory_bytes: Annotated[int, "Resident memory; 0: no process."]
    restarts: Annotated[int, "How often the supervisor started it again."]
    error: Annotated[str, "Last words of the process that died last; empty: none died."]


class StageStatusReport(StageReport):
    """One stage: its own report, and what the supervisor knows of it."""

    restarts: Annotated[int, "How often the supervisor started it again."]
    error: Annotated[str, "Last words of the process that died last; empty: none died."]


class StackStatus(TypedDict):
    """`headrace status --json`."""

    phase: Annotated[str, "starting, running, draining or stopped."]
    pid: Annotated[int, "Process id of the supervisor; 0: none runs."]
    memory_bytes: Annotated[int, "Resident memory of all its processes, the supervisor included."]
    services: Annotated[dict[str, ServiceStatus], "By name: kafka, warehouse, registry, predict."]
    stages: Annotated[dict[str, StageStatusReport], "By name; empty where no line runs."]
    telemetry: Annotated[
        dict[str, str], "host:port of /metrics, /live and /ready, by process; empty where no line runs."
    ]


def stack_status(settings: Settings) -> StackStatus:
    """Return how the line of this home stands now. Never blocks; what a killed supervisor left is not believed."""
    paths = settings.paths()
    report = read_report(paths) if is_held(paths) else None
    processes = report["processes"] if report else {}
    services = {name: _service(settings, name, processes.get(name)) for name in LISTENERS}
    stages = {name: _stage(paths, name, processes[name]) for name in STAGES if name in processes}
    own = _memory(report["pid"], report["created_at"]) if report else 0
    shares = [part["memory_bytes"] for part in (*services.values(), *stages.values())]
    return {
        "phase": report["phase"] if report else STOPPED,
        "pid": report["pid"] if report else 0,
        "memory_bytes": own + sum(shares),
        "services": services,
        "stages": stages,
        "telemetry": addresses(paths) if report else {},
    }


def _service(settings: Settings, name: str, process: ProcessReport | None) -> ServiceStatus:
    addresses = {
        "kafka": settings.kafka_client()["bootstrap.servers"],
        "registry": settings.registry_address(),
        "warehouse": settings.warehouse_address(),
        "predict": settings.predict_address(),
    }
    idle = EXTERNAL if name in external_services(settings) else STOPPED
    return {
        "state": process["state"] if process else idle,
        "address": addresses[name],
        "pid": process["pid"] if process else 0,
        "memory_bytes": _memory(process["pid"], process["created_at"]) if process else 0,
        "restarts": process["restarts"] if process else 0,
        "error": process["error"] if process else "",
    }


def _stage(paths: Paths, name: str, process: ProcessReport) -> StageStatusReport:
    told = read_stage(paths, name, process["pid"]) if process["pid"] else None
    return {
        # A running stage's own word says more: it may be idle, or waiting for a service.
        "state": told["state"] if told and process["state"] == "running" else process["state"],
        "pid": process["pid"],
        "rows": told["rows"] if told else 0,
        "rows_per_s": told["rows_per_s"] if told else 0.0,
        "lag": told["lag"] if told else -1,
        "memory_bytes": _memory(process["pid"], process["created_at"]),
        "counters": told["counters"] if told else {},
        "restarts": process["restarts"],
        "error": process["error"],
    }


def _memory(pid: int, created_at: float) -> int:
    """Return the resident bytes of a process, 0 if it is gone."""
    process = process_of(pid, created_at) if pid else None
    if process is None:
        return 0
    try:
        return int(process.memory_info().rss)
    except psutil.NoSuchProcess:
        return 0
