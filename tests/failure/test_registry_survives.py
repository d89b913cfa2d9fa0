"""The registry after restarts and kills: everything is back, and a schema has one id whatever moment was chosen."""

import http.client
import random
import signal
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from headrace.core.child import EXIT_TERMINAL, Child, wait_until
from headrace.embedded.services import SERVICES, child_environment
from headrace.settings import Settings
from headrace.testing.registry import Answer, ask
from headrace.testing.stack import EmbeddedStack

pytestmark = pytest.mark.stack

LIMIT_SECS = 40.0
# Dies by its own SIGKILL when the record is on the topic and nobody has been told.
DYING = """
import os, signal
from headrace.embedded.registry import __main__ as process
class DyingLog(process.SchemaLog):
    def write(self, written):
        super().write(written)
        os.kill(os.getpid(), signal.SIGKILL)
process.SchemaLog = DyingLog
process.main()
"""


@pytest.fixture
def running(stack: EmbeddedStack) -> Iterator[EmbeddedStack]:
    """The shared stack; whatever a test did to the registry, the next one finds it running."""
    yield stack
    if stack.children["registry"].exit_code() is not None:
        stack.restart("registry")


def record(name: str) -> str:
    return f'{{"type":"record","name":"{name}","fields":[]}}'


def register(stack: EmbeddedStack, subject: str, text: str) -> Answer:
    return ask(stack.settings.registry_address(), "POST", f"/subjects/{subject}/versions", {"schema": text})


def start(settings: Settings, program: list[str], name: str) -> Child:
    output = settings.paths().logs / f"{name}.out"
    return Child(name, [sys.executable, *program], child_environment(settings), output)


def everything(stack: EmbeddedStack) -> list[object]:
    address = stack.settings.registry_address()
    asked = ["/schemas?deleted=true", "/subjects", "/subjects?deleted=true", "/config", "/mode"]
    asked += ["/config/registry-restart", "/mode/registry-restart"]
    return [ask(address, "GET", path).body for path in asked]


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_everything_is_back_after_a_restart(running: EmbeddedStack, how: str) -> None:
    address = running.settings.registry_address()
    for name in ("One", "Two"):
        register(running, f"registry-restart-{name}", record(name))
    register(running, "registry-restart", record("Kept"))
    ask(address, "PUT", "/config/registry-restart", {"compatibility": "FORWARD"})
    ask(address, "PUT", "/mode/registry-restart", {"mode": "READONLY"})
    ask(address, "DELETE", "/subjects/registry-restart-One")
    before = everything(running)
    if how == "stop":
        assert running.children["registry"].stop(LIMIT_SECS) == 0
    else:
        running.kill("registry")
    running.restart("registry")
    assert everything(running) == before


def test_a_kill_between_the_record_and_the_reply_leaves_one_id(running: EmbeddedStack) -> None:
    running.children["registry"].stop(LIMIT_SECS)
    dying = start(running.settings, ["-c", DYING], "registry-dying")
    assert wait_until(lambda: SERVICES["registry"].ready(running.settings), LIMIT_SECS)
    with pytest.raises((OSError, http.client.HTTPException)):
        register(running, "registry-killed", record("Killed"))
    assert dying.wait(LIMIT_SECS) == -signal.SIGKILL
    running.restart("registry")
    address = running.settings.registry_address()
    found = ask(address, "GET", "/subjects/registry-killed/versions/latest").body
    again = register(running, "registry-killed", record("Killed")).body
    assert (again["id"], again["version"]) == (found["id"], 1)
    assert register(running, "registry-killed-too", record("Killed")).body["id"] == found["id"]


def test_kills_at_random_moments_leave_one_id_a_schema(running: EmbeddedStack) -> None:
    chooser = random.Random(20_131_001)
    seen: dict[str, set[int]] = {}
    stopped = threading.Event()

    def keep_registering() -> None:
        number = 0
        while not stopped.is_set():
            name = f"Random{number}"
            try:
                answer = register(running, f"registry-random-{number}", record(name))
            except (OSError, http.client.HTTPException):
                stopped.wait(0.02)
                continue
            assert answer.status == 200, answer.body
            seen.setdefault(name, set()).add(answer.body["id"])
            number += chooser.random() < 0.8  # some schemas are registered again

    with ThreadPoolExecutor(1) as pool:
        work = pool.submit(keep_registering)
        try:
            for _ in range(3):
                so_far = len(seen)
                assert wait_until(lambda: len(seen) >= so_far + chooser.randint(1, 30), LIMIT_SECS)  # noqa: B023
                running.kill("registry")
                running.restart("registry")
        finally:
            stopped.set()
        work.result(LIMIT_SECS)
    assert len(seen) > 3
    assert all(len(ids) == 1 for ids in seen.values())
    told = ask(running.settings.registry_address(), "GET", "/schemas?subjectPrefix=registry-random-").body
    assert len({one["id"] for one in told}) == len(told) == len({one["schema"] for one in told})
    assert {one["id"] for one in told} >= set().union(*seen.values())


def test_registrations_go_on_after_kafka_was_killed(running: EmbeddedStack) -> None:
    first = register(running, "registry-kafka", record("Before")).body["id"]
    running.kill("kafka")
    with ThreadPoolExecutor(1) as pool:
        during = pool.submit(register, running, "registry-kafka-down", record("During"))
        running.restart("kafka")
        answer = during.result(LIMIT_SECS)
    assert answer.status == 200 or answer.error[:2] in {(500, 50001), (500, 50002)}
    found: list[Answer] = []

    def registered() -> bool:
        found.append(register(running, "registry-kafka-down", record("During")))
        return found[-1].status == 200

    assert wait_until(registered, LIMIT_SECS)
    assert (found[-1].body["id"], found[-1].body["version"]) == (first + 1, 1)


def test_the_password_is_demanded_and_never_written_down(running: EmbeddedStack) -> None:
    running.children["registry"].stop(LIMIT_SECS)
    canary = "canary-5f1c"
    settings = Settings.model_validate(running.settings.model_dump() | {"registry_password": canary})
    child = start(settings, ["-m", "headrace.embedded.registry"], "registry-password")
    try:
        assert wait_until(lambda: SERVICES["registry"].ready(settings), LIMIT_SECS)
        address = settings.registry_address()
        assert ask(address, "GET", "/subjects").error == (401, 401, "HTTP 401 Unauthorized")
        right = {"Authorization": "Basic aGVhZHJhY2U6Y2FuYXJ5LTVmMWM="}
        assert ask(address, "GET", "/subjects", headers=right).status == 200
    finally:
        assert child.stop(LIMIT_SECS) == 0
    logs = settings.paths().logs
    assert not [path for path in logs.iterdir() if canary in path.read_text(errors="replace")]


def test_a_taken_port_is_one_line_that_names_the_setting(running: EmbeddedStack) -> None:
    second = start(running.settings, ["-m", "headrace.embedded.registry"], "registry-second")
    assert second.wait(LIMIT_SECS) == EXIT_TERMINAL
    assert "HEADRACE_REGISTRY_PORT" in second.last_line()
    assert ask(running.settings.registry_address(), "GET", "/").status == 200
