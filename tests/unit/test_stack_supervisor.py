"""The supervisor's decisions, with a clock and children that the test moves."""

import json
import os
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from headrace.core.child import EXIT_TERMINAL, Child
from headrace.errors import AlreadyRunning, ServiceUnreachable, WrongUse
from headrace.observability.counter_export import Counters
from headrace.runtime.backoff import Backoff
from headrace.runtime.home import (
    ProcessReport,
    SupervisorReport,
    bury_leftovers,
    is_held,
    locked_home,
    read_report,
    write_report,
)
from headrace.runtime.managed import START_LIMIT_SECS
from headrace.runtime.plan import STAGES, ProcessSpec, listening, make_plan, parse_services, stop_order
from headrace.runtime.status import stack_status
from headrace.runtime.supervisor import StopFlag, Supervisor
from headrace.settings import Settings


@dataclass
class FakeChild:
    """A child whose end the test decides; it leaves when it is asked to."""

    name: str
    log: list[str]
    code: int | None = None
    stubborn: bool = False
    pid: int = field(default_factory=os.getpid)
    output: Path = Path("child.out")

    def exit_code(self) -> int | None:
        return self.code

    def terminate(self) -> None:
        self.log.append(f"terminate {self.name}")
        if not self.stubborn:
            self.code = 0

    def wait(self, limit_secs: float) -> int | None:
        return self.code

    def kill(self) -> int:
        self.log.append(f"kill {self.name}")
        self.code = -9
        return -9

    def last_line(self) -> str:
        return '{"message": "no such table"}'


class Line:
    """A supervisor over fake children: services a, b after a, c after both."""

    def __init__(self, home: Path) -> None:
        self.now = 0.0
        self.log: list[str] = []
        self.children: dict[str, FakeChild] = {}
        self.ready = {"a", "b", "c"}
        self.reports: list[SupervisorReport] = []
        (home / "run").mkdir(parents=True)
        self.settings = Settings(home=home, drain_secs=5.0)
        plan = (self.spec("a"), self.spec("b", "a"), self.spec("c", "a", "b"))
        self.supervisor = Supervisor(
            self.settings, plan, self.reports.append, launch=self.launch, monotonic=lambda: self.now
        )

    def spec(self, name: str, *after: str) -> ProcessSpec:
        return ProcessSpec(name, "module", "service", lambda _settings, child: child.name in self.ready, after)

    def launch(self, spec: ProcessSpec) -> Child:
        self.log.append(f"start {spec.name}")
        self.children[spec.name] = FakeChild(spec.name, self.log)
        return self.children[spec.name]  # type: ignore[return-value]

    def tick(self, times: int = 1, secs: float = 0.1) -> None:
        for _ in range(times):
            self.supervisor.tick()
            self.now += secs

    def state(self, name: str) -> str:
        return self.reports[-1]["processes"][name]["state"]


@pytest.fixture
def line(tmp_path: Path) -> Line:
    return Line(tmp_path)


def test_backoff_doubles_up_to_its_limit_and_begins_anew_after_a_healthy_while() -> None:
    backoff = Backoff(first_secs=1.0, most_secs=5.0, healthy_secs=10.0)
    assert [backoff.delay_secs(ran_secs=0.0) for _ in range(5)] == [1.0, 2.0, 4.0, 5.0, 5.0]
    assert backoff.delay_secs(ran_secs=9.9) == 5.0
    assert backoff.delay_secs(ran_secs=10.0) == 1.0


def test_process_starts_only_after_what_it_needs_is_ready(line: Line) -> None:
    line.ready.remove("a")
    line.tick(5)
    assert line.log == ["start a"]
    line.ready.add("a")
    line.tick(5)
    assert line.log == ["start a", "start b", "start c"]
    assert line.reports[-1]["phase"] == "running"


def test_dead_process_starts_again_after_its_delay_and_status_says_why(line: Line) -> None:
    line.tick(5)
    line.children["b"].code = -9
    line.tick()
    assert line.state("b") == "restarting"
    assert line.reports[-1]["processes"]["b"]["error"] == "no such table"
    assert line.log.count("start b") == 1
    line.tick(5)
    assert line.log.count("start b") == 2
    assert line.state("b") == "running"
    assert line.reports[-1]["processes"]["b"]["restarts"] == 1


def test_terminal_exit_is_failed_and_not_tried_again_for_a_minute(line: Line) -> None:
    line.tick(5)
    line.children["c"].code = EXIT_TERMINAL
    line.tick(590)
    assert line.state("c") == "failed"
    assert line.log.count("start c") == 1
    line.tick(20)
    assert line.log.count("start c") == 2


def test_metrics_of_the_supervisor_tell_who_is_up_who_failed_and_how_often_it_was_started_again(
    line: Line,
) -> None:
    def told() -> tuple[float | None, ...]:
        families = text_string_to_metric_families(counters.text("")[0].decode())
        values = {(one.name, *one.labels.values()): one.value for family in families for one in family.samples}
        keys = (
            ("headrace_process_up", "c"),
            ("headrace_stage_state", "c", "failed"),
            ("headrace_process_restarts_total", "c"),
        )
        return tuple(values.get(key) for key in keys)

    with closing(Counters("supervisor")) as counters:
        line.tick(5)
        assert told() == (1, None, 0)
        line.children["c"].code = EXIT_TERMINAL
        line.tick(5)
        assert told() == (0, 1, 0)
        line.tick(620)
        assert told() == (1, 0, 1)


def test_process_that_never_gets_ready_is_killed_and_started_again(line: Line) -> None:
    line.ready.remove("a")
    line.tick()
    line.now += START_LIMIT_SECS["service"] + 1
    line.tick()
    assert line.log == ["start a", "kill a"]
    assert "not ready" in line.reports[-1]["processes"]["a"]["error"]


def test_service_that_dies_again_and_again_at_the_start_ends_the_start(line: Line) -> None:
    line.ready.remove("a")

    def die_again_and_again() -> None:
        while True:
            line.tick()
            line.children["a"].code = 1

    with pytest.raises(ServiceUnreachable, match="a does not start: no such table") as raised:
        die_again_and_again()
    assert "doctor" in raised.value.hint
    assert line.log == ["start a"] * 3


def test_stop_drains_in_order_and_kills_what_is_late(line: Line, monkeypatch: pytest.MonkeyPatch) -> None:
    line.tick(5)
    line.children["b"].stubborn = True

    def wait(_limit_secs: float) -> int | None:
        line.now += 1.0
        return line.children["b"].code

    monkeypatch.setattr(line.children["b"], "wait", wait)
    line.log.clear()
    stop = StopFlag()
    stop.wish()
    line.supervisor.run(stop)
    assert line.log == ["terminate c", "terminate b", "kill b", "terminate a"]
    assert 5.0 <= line.now < 8.0
    assert read_report(line.settings.paths()) is None


def test_second_wish_to_stop_kills_at_once(line: Line) -> None:
    line.tick(5)
    line.children["b"].stubborn = True
    line.log.clear()
    stop = StopFlag()
    stop.wish()
    stop.wish()
    line.supervisor.run(stop)
    assert "kill b" in line.log
    assert line.now < 5.0


def test_plan_has_the_stages_after_all_services_and_stops_them_first() -> None:
    plan = make_plan(Settings())
    names = [spec.name for spec in plan]
    assert names == ["kafka", "warehouse", "registry", *STAGES, "predict"]
    assert all(set(spec.after) == {"kafka", "warehouse", "registry"} for spec in plan if spec.name in STAGES)
    assert [spec.name for spec in stop_order(plan)] == [*STAGES, "predict", "registry", "warehouse", "kafka"]


def test_nothing_waits_for_the_service_of_predictions_and_it_waits_for_no_warehouse() -> None:
    plan = {spec.name: spec for spec in make_plan(Settings())}
    assert plan["predict"].after == ("kafka", "registry")
    assert not any("predict" in spec.after for spec in plan.values())
    assert plan["predict"].kind == "stage", "the line would end if it could not start"


def test_predictions_are_a_part_of_the_pipeline() -> None:
    assert [spec.name for spec in make_plan(Settings(), ["kafka", "registry"])] == ["kafka", "registry"]
    assert listening(Settings(), ["kafka", "pipeline"]) == {"kafka", "predict"}
    assert listening(Settings(learners=False), ["kafka", "pipeline"]) == {"kafka"}


def test_line_without_learners_has_neither_of_their_processes() -> None:
    names = {spec.name for spec in make_plan(Settings(learners=False))}
    assert names == {"kafka", "warehouse", "registry", *STAGES} - {"learner"}
    assert listening(Settings(), ["kafka"]) == {"kafka"}


def test_plan_leaves_out_services_that_are_elsewhere() -> None:
    settings = Settings(kafka_bootstrap="broker.example:9092", warehouse_url="https://ch.example")
    assert [spec.name for spec in make_plan(settings)] == ["registry", *STAGES, "predict"]
    assert make_plan(settings)[0].after == ()


@pytest.mark.parametrize("text", ["", "kafak", "kafka,zoo"])
def test_unknown_services_are_wrong_use_that_shows_the_choices(text: str) -> None:
    with pytest.raises(WrongUse) as raised:
        parse_services(text)
    assert "kafka" in raised.value.hint


def test_home_is_held_by_one_and_the_second_is_told_by_whom(tmp_path: Path) -> None:
    paths = Settings(home=tmp_path).paths()
    assert not is_held(paths)
    with locked_home(paths):
        assert is_held(paths)
        with pytest.raises(AlreadyRunning, match=f"pid {os.getpid()}"), locked_home(paths):
            pass
    assert not is_held(paths)


def test_leftovers_of_a_killed_supervisor_are_found_by_pid_and_start_time(tmp_path: Path) -> None:
    paths = Settings(home=tmp_path).paths()
    paths.run.mkdir(parents=True)
    # this very process number, but of another start: it must not be killed
    entry: ProcessReport = {
        "kind": "stage",
        "state": "running",
        "pid": os.getpid(),
        "created_at": 1.0,
        "restarts": 0,
        "error": "",
    }
    write_report(paths, {"pid": 1, "created_at": 1.0, "phase": "running", "processes": {"sink": entry}})
    assert bury_leftovers(paths) == 0
    assert read_report(paths) is None


def test_status_of_a_home_that_does_not_run_says_stopped_everywhere(tmp_path: Path) -> None:
    status = stack_status(Settings(home=tmp_path))
    assert status["phase"] == "stopped"
    assert set(status["services"]) == {"kafka", "registry", "warehouse", "predict"}
    assert {service["state"] for service in status["services"].values()} == {"stopped"}
    assert status["memory_bytes"] == 0


def test_status_shows_external_services_with_their_address(tmp_path: Path) -> None:
    status = stack_status(Settings(home=tmp_path, registry_url="http://registry.example:8081"))
    assert status["services"]["registry"]["state"] == "external"
    assert status["services"]["registry"]["address"] == "http://registry.example:8081"


def test_status_joins_what_the_supervisor_and_the_stage_say(line: Line) -> None:
    paths = line.settings.paths()
    (paths.run / "stages").mkdir()
    told: dict[str, object] = {"state": "idle", "pid": os.getpid(), "rows": 7, "rows_per_s": 3.5, "lag": 0}
    told |= {"memory_bytes": 1, "counters": {"headrace_repeated_batches_total": 2}}
    (paths.run / "stages" / "sink.json").write_text(json.dumps(told))
    with locked_home(paths):
        line.tick(5)
        report = read_report(paths)
        assert report is not None
        process = report["processes"]["a"]
        gone: ProcessReport = {**process, "pid": 0}
        write_report(paths, {**report, "processes": {"sink": process, "judge": gone}})
        status = stack_status(line.settings)
    sink, judge = status["stages"]["sink"], status["stages"]["judge"]
    assert {"state", "pid", "rows", "rows_per_s", "lag", "memory_bytes"} <= sink.keys()
    assert (sink["state"], sink["rows"], sink["rows_per_s"], sink["lag"]) == ("idle", 7, 3.5, 0)
    assert sink["memory_bytes"] > 1_000_000
    assert (sink["counters"], judge["counters"]) == ({"headrace_repeated_batches_total": 2}, {})
    assert (judge["rows"], judge["lag"], judge["memory_bytes"]) == (0, -1, 0)
    assert status["memory_bytes"] > sink["memory_bytes"]
