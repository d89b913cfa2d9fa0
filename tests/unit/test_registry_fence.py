"""The registry's fence: no stranger's web page, no caller without the password."""

import base64
import logging

import pytest

from headrace.testing.registry import MemoryRegistry

HOST = ("host", "127.0.0.1:8081")


@pytest.mark.parametrize("host", ["127.0.0.1:8081", "localhost", "LOCALHOST:1", "[::1]:8081"])
def test_loopback_names_are_let_in(host: str) -> None:
    with MemoryRegistry() as registry:
        assert registry.call("GET", "/subjects", headers=[("host", host)]).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        [("host", "evil.example")],
        [("host", "evil.example:8081")],
        [("host", "127.0.0.1.evil.example")],
        [("host", "127.0.0.1@evil.example")],
        [("host", "[")],
        [("host", "")],
        [],
        [HOST, ("host", "evil.example")],
        [HOST, ("origin", "http://evil.example")],
        [HOST, ("origin", "http://127.0.0.1:8080")],
        [HOST, ("origin", "null")],
    ],
)
def test_rebound_names_and_foreign_origins_get_403(headers: list[tuple[str, str]]) -> None:
    with MemoryRegistry() as registry:
        answer = registry.call("GET", "/subjects", headers=headers)
        assert (answer.status, answer.body["error_code"]) == (403, 403)


def test_a_page_of_the_registry_itself_may_ask() -> None:
    with MemoryRegistry() as registry:
        headers = [HOST, ("origin", "http://127.0.0.1:8081")]
        assert registry.call("GET", "/subjects", headers=headers).status == 200


def basic(user: str, password: str) -> str:
    return "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()


@pytest.mark.parametrize(
    "given",
    ["", "Basic", "Basic x", "Basic ====", "Bearer secrét", basic("headrace", "wrong"), basic("other", "secrét")],
)
def test_a_wrong_password_gets_401(given: str) -> None:
    with MemoryRegistry(password="secrét") as registry:
        answer = registry.call("GET", "/", headers=[HOST, ("authorization", given)])
        assert (answer.status, answer.headers["www-authenticate"]) == (401, 'Basic realm="headrace"')


def test_the_right_password_is_let_in_and_never_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with MemoryRegistry(password="secrét") as registry:
        given = [HOST, ("authorization", basic("headrace", "secrét"))]
        assert registry.call("GET", "/subjects", headers=given).body == []
        assert registry.call("GET", "/no", headers=given).status == 404
    assert "secr" not in caplog.text
