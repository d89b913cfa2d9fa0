"""The registry's client: which answers are about a schema, what is kept, and what is never shown."""

import json
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest
from clickhouse_connect.driver.exceptions import OperationalError

from headrace.errors import SchemaRefused, ServiceUnreachable
from headrace.schemas.record import FieldType, RecordField, RecordSchema
from headrace.schemas.registry import Registry
from headrace.settings import Settings
from headrace.transport.warehouse import Warehouse

SECRET = "c4n:ary@9"
TEXT = RecordSchema("orders", (RecordField("line", FieldType.STRING),)).text()


@contextmanager
def answering(*answers: tuple[int, dict[str, object]]) -> Iterator[tuple[Registry, list[str]]]:
    """Give a client of a server that gives these answers, the last one for ever, and the paths it was asked."""
    asked: list[str] = []

    class Handler(BaseHTTPRequestHandler):
        def answer(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, body = answers[min(len(asked), len(answers) - 1)]
            asked.append(self.path)
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = answer  # noqa: N815

        def log_message(self, *_args: object) -> None:
            """Say nothing."""

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            with closing(Registry(Settings(registry_url=f"http://127.0.0.1:{server.server_port}"))) as registry:
                yield registry, asked
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(autouse=True)
def _no_pause_between_tries(monkeypatch: pytest.MonkeyPatch) -> None:
    module = "confluent_kafka.schema_registry._sync.schema_registry_client.full_jitter"
    monkeypatch.setattr(module, lambda *_args: 0)


@pytest.mark.parametrize("status", [301, 400, 401, 403, 404, 405, 408, 429, 500, 501, 503])
def test_an_answer_that_is_not_about_the_schema_is_to_be_repeated(status: int) -> None:
    with answering((status, {"error_code": status, "message": "no"})) as (registry, _):
        for ask in (
            lambda: registry.register("orders-value", TEXT),
            lambda: registry.latest("orders-value"),
            lambda: registry.text_of(1),
        ):
            with pytest.raises(ServiceUnreachable, match=f"answers with {status}: no") as caught:
                ask()
            assert ("HEADRACE_REGISTRY_PASSWORD" in caught.value.hint) == (status in {401, 403})


@pytest.mark.parametrize("status", [409, 422])
def test_only_a_refusal_of_the_schema_refuses_the_schema(status: int) -> None:
    with answering((status, {"error_code": status, "message": "incompatible"})) as (registry, _):
        with pytest.raises(SchemaRefused, match="incompatible"):
            registry.register("orders-value", TEXT)


def test_a_registry_that_is_read_only_for_now_refuses_no_schema() -> None:
    answer = {"error_code": 42205, "message": "Subject orders-value in context . is in read-only mode"}
    with answering((422, answer)) as (registry, _):
        with pytest.raises(ServiceUnreachable, match="read-only mode") as caught:
            registry.register("orders-value", TEXT)
        assert "READWRITE" in caught.value.hint


def test_an_unknown_subject_has_no_latest_schema() -> None:
    with answering((404, {"error_code": 40401, "message": "Subject 'orders-value' not found."})) as (registry, _):
        assert registry.latest("orders-value") is None


def test_a_server_error_that_passes_refuses_nothing() -> None:
    with answering((501, {"error_code": 501, "message": "no"}), (200, {"id": 4})) as (registry, _):
        with pytest.raises(ServiceUnreachable):
            registry.register("orders-value", TEXT)
        assert registry.register("orders-value", TEXT) == 4


def test_an_unknown_id_is_asked_again_and_a_known_one_is_kept() -> None:
    unknown = (404, {"error_code": 40403, "message": "Schema not found"})
    with answering(unknown, unknown, (200, {"schema": TEXT})) as (registry, asked):
        assert registry.text_of(3) is None
        assert registry.record_schema(3) is None
        found = registry.record_schema(3)
        assert found is not None
        assert found.dataset == "orders"
        assert registry.record_schema(3) is found
        assert registry.text_of(3) == TEXT
        assert len(asked) == 3


def test_no_password_of_an_address_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    url = f"http://ann:{SECRET}@127.0.0.1:1"
    settings = Settings(registry_url="http://127.0.0.1:1", warehouse_url=url)
    with closing(Registry(settings)) as registry:
        registry._address = url
        with pytest.raises(ServiceUnreachable, match=r"http://127\.0\.0\.1:1 does not answer") as registry_error:
            registry.latest("orders-value")

    def refused(**_options: object) -> None:
        raise OperationalError(f"cannot reach {url}/?query=1")

    monkeypatch.setattr("clickhouse_connect.get_client", refused)
    with Warehouse(settings) as warehouse, pytest.raises(ServiceUnreachable) as warehouse_error:
        warehouse.execute("SELECT 1")
    for shown in (str(registry_error.value), str(warehouse_error.value)):
        assert "127.0.0.1:1" in shown
        assert not any(part in shown for part in ("c4n", "ary@9", "ann:"))


@pytest.mark.parametrize("schema_id", [0, 2**31, 2**32 - 1])
def test_number_that_no_schema_has_is_unknown_without_a_question(schema_id: int) -> None:
    with answering((404, {"error_code": 404, "message": "HTTP 404 Not Found"})) as (registry, asked):
        assert registry.text_of(schema_id) is None
    assert asked == []
