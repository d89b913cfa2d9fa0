"""A registry whose reader of `_schemas` cannot go on ends and says why; it never answers on from an old memory."""

import json
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from confluent_kafka import Producer

from headrace.core.child import EXIT_TERMINAL, Child, wait_until
from headrace.embedded.services import SERVICES, child_environment
from headrace.testing.registry import ask
from headrace.testing.stack import EmbeddedStack

pytestmark = pytest.mark.stack

LIMIT_SECS = 60.0
TOLD = "the registry's reader stopped"
FOREIGN = b'{"keytype":"CONTEXT","tenant":"default","context":".elsewhere"}'
# Its reader meets a fault of our own at one subject: what no code foresaw.
STUMBLING = """
from headrace.embedded.registry import __main__ as process
class StumblingStore(process.Store):
    def apply(self, key, value):
        if b"stumble" in key:
            raise ZeroDivisionError("a fault of our own")
        super().apply(key, value)
process.Store = StumblingStore
process.main()
"""


@pytest.fixture
def own() -> Iterator[EmbeddedStack]:
    """A Kafka and a registry of one test's own: what it writes to the topic stays there."""
    with EmbeddedStack(("kafka", "registry")) as running:
        yield running


def register(stack: EmbeddedStack, subject: str) -> Any:
    body = {"schema": '{"type":"record","name":"R","fields":[]}'}
    return ask(stack.settings.registry_address(), "POST", f"/subjects/{subject}/versions", body)


def told(stack: EmbeddedStack) -> list[dict[str, Any]]:
    lines = (stack.settings.paths().logs / "registry.log").read_text().splitlines()
    return [line for line in map(json.loads, lines) if TOLD in json.dumps(line)]


def test_reader_that_meets_a_fault_ends_its_registry_and_the_next_start_serves(own: EmbeddedStack) -> None:
    assert own.children["registry"].stop(LIMIT_SECS) == 0
    output = own.settings.paths().logs / "registry-stumbling.out"
    stumbling = Child("registry-stumbling", [sys.executable, "-c", STUMBLING], child_environment(own.settings), output)
    assert wait_until(lambda: SERVICES["registry"].ready(own.settings), LIMIT_SECS)
    assert register(own, "before").status == 200
    answer = register(own, "stumble")
    assert answer.error[:2] == (500, 50001)
    assert stumbling.wait(LIMIT_SECS) not in {0, EXIT_TERMINAL, None}
    assert "a fault of our own" in stumbling.last_line()
    assert "stumble" not in stumbling.last_line().partition("; next:")[2]
    assert [line for line in told(own) if "a fault of our own" in json.dumps(line)]
    own.restart("registry")
    assert ask(own.settings.registry_address(), "GET", "/subjects").body == ["before", "stumble"]


def test_record_that_cannot_be_served_ends_a_running_registry_and_the_next_start_says_so(own: EmbeddedStack) -> None:
    registry = own.children["registry"]
    assert register(own, "served").status == 200
    producer = Producer(dict(own.settings.kafka_client()))
    producer.produce("_schemas", key=FOREIGN, value=b'{"tenant":"default","context":".elsewhere"}', partition=0)
    assert producer.flush(LIMIT_SECS) == 0
    assert registry.wait(LIMIT_SECS) not in {0, EXIT_TERMINAL, None}
    assert TOLD in registry.last_line()
    assert [line for line in told(own) if "CONTEXT" in json.dumps(line)]
    own.start("registry")
    again = own.children["registry"]
    assert again.wait(LIMIT_SECS) == EXIT_TERMINAL
    assert 'records of type "CONTEXT" are not supported' in again.last_line()
