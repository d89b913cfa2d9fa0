"""Who may ask the embedded services over HTTP: what Host and Origin must be, and where they listen."""

import pytest

from headrace.core.hosts import from_here, names_of
from headrace.embedded.server import listening_address
from headrace.errors import WrongUse
from headrace.settings import Settings


@pytest.mark.parametrize(
    ("headers", "admitted"),
    [
        ({"host": "127.0.0.1:8123"}, True),
        ({"host": "localhost:8123"}, True),
        ({"host": "[::1]:8123"}, True),
        ({"host": "evil.example:8123"}, False),
        ({"host": "127.0.0.1.evil.example"}, False),
        ({}, False),
        ({"host": "127.0.0.1:8123", "origin": "http://127.0.0.1:8123"}, True),
        ({"host": "127.0.0.1:8123", "origin": "http://127.0.0.1:3000"}, False),
        ({"host": "127.0.0.1:8123", "origin": "https://evil.example"}, False),
        ({"host": "127.0.0.1:8123", "origin": "null"}, False),
    ],
)
def test_a_web_page_is_not_from_here(headers: dict[str, str], admitted: bool) -> None:
    sent = [(name.encode(), value.encode()) for name, value in headers.items()]
    assert from_here(sent, names_of("127.0.0.1")) is admitted


def test_a_service_on_every_address_answers_to_any_name_but_not_to_foreign_pages() -> None:
    names = names_of("0.0.0.0")  # noqa: S104
    assert from_here([(b"host", b"db.example")], names)
    assert not from_here([(b"host", b"db.example"), (b"origin", b"http://evil.example")], names)
    assert not from_here([(b"host", b"a"), (b"host", b"b")], names)


@pytest.mark.parametrize("service", ["registry", "warehouse"])
def test_an_address_beyond_loopback_needs_a_password(
    service: str, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path_factory.mktemp("home")
    (home / "run").mkdir()
    (home / "run" / "stack.json").write_text(f'{{"{service}": "0.0.0.0:8081"}}')
    with pytest.raises(WrongUse, match=f"the {service} does not listen on 0.0.0.0 without a password"):
        listening_address(Settings(home=home), service)
    settings = Settings.model_validate({"home": home, f"{service}_password": "x"})
    assert listening_address(settings, service) == ("0.0.0.0", 8081)  # noqa: S104
