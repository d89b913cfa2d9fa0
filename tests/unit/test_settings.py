"""Settings that cannot be followed: the setting is named, a secret in it is not."""

import traceback

import pytest

from headrace.cli import main
from headrace.errors import WrongUse
from headrace.settings import Settings

SETTINGS = ("warehouse_url", "registry_url", "maven_mirror")


@pytest.mark.parametrize("name", SETTINGS)
@pytest.mark.parametrize("password", ["s3c/ret", "1/s3cret", "s3c#ret", "s3c?ret", "[s3cret", "s3c:x/ret", "//s3cret"])
def test_a_password_with_a_reserved_character_is_refused_by_the_settings_name(name: str, password: str) -> None:
    with pytest.raises(WrongUse) as caught:
        Settings(**{name: f"http://ann:{password}@ch.example:8123"})  # type: ignore[arg-type]
    assert f"HEADRACE_{name.upper()}" in str(caught.value)
    assert "%2F for /" in caught.value.hint
    shown = "".join(traceback.format_exception(caught.value))
    assert not any(part in shown for part in (password, "s3c"))


@pytest.mark.parametrize("url", ["ch.example:8123", "http://", "http://ch.example:99999", "ftp://ch.example", "x"])
def test_what_is_no_address_is_refused(url: str) -> None:
    with pytest.raises(WrongUse, match="HEADRACE_WAREHOUSE_URL is not an address"):
        Settings(warehouse_url=url)


@pytest.mark.parametrize(
    "url", ["", "http://ann:s3c%2Fret@ch.example:8123", "https://ch.example", "http://[::1]:8123", "http://a:p@w@h:1"]
)
def test_an_address_is_taken_as_it_is(url: str) -> None:
    assert Settings(warehouse_url=url).warehouse_url == url


@pytest.mark.parametrize(
    ("name", "value", "told"),
    [
        ("HEADRACE_FRAME_ROWS", "0", "HEADRACE_FRAME_ROWS: input should be greater than or equal to 1"),
        ("HEADRACE_WAREHOUSE_URL", "http://ann:s3c/ret@h:1", "HEADRACE_WAREHOUSE_URL cannot be read"),
    ],
)
def test_command_ends_with_wrong_use_and_one_clear_line(
    name: str, value: str, told: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(name, value)
    monkeypatch.setattr("sys.argv", ["headrace", "status"])
    with pytest.raises(SystemExit) as caught:
        main()
    first, second = capsys.readouterr().err.splitlines()
    assert caught.value.code == 2
    assert told in first
    assert second.startswith("  next: ")
    assert "s3c" not in first
