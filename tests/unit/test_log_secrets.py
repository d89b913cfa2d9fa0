"""No log holds a secret, nor a value of a row that another program put into its message."""

import base64
import json
import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from pydantic import SecretStr

from headrace.observability.events import BatchRepeated, StageFailed, emit
from headrace.observability.file_events import OddityFound, ReaderFailed
from headrace.observability.logs import configure_logs
from headrace.observability.redaction import Redactor, without_foreign_values
from headrace.observability.sink_events import StoreAwaited
from headrace.settings import Settings
from headrace.testing.logs import kept_logging

SECRET = "s3c/r@t pass"
NAME = "Ann Lee"


@pytest.fixture(autouse=True)
def root_logger() -> Iterator[None]:
    with kept_logging():
        yield


def settings(home: Path) -> Settings:
    return Settings(
        home=home,
        kafka_sasl_username="ann",
        kafka_sasl_password=SecretStr(SECRET),
        registry_url="http://bob:hunter%2Ftwo@registry.example:8081",
        registry_password=SecretStr("abc"),
    )


def log_of(home: Path) -> str:
    return (home / "logs" / "sink.log").read_text()


@pytest.mark.parametrize(
    "form",
    [
        SECRET,
        quote(SECRET, safe=""),
        base64.b64encode(f"ann:{SECRET}".encode()).decode(),
        f"http://ann:{SECRET}@kafka.example",
        "hunter/two",
        "hunter%2Ftwo",
        "(abc)",
    ],
)
def test_secret_of_a_setting_is_in_no_field_no_message_and_no_traceback(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], form: str
) -> None:
    configure_logs(settings(tmp_path), "sink")
    emit(StageFailed(stage="sink", error=f"login {form} refused", hint=f"try {form}"))
    logging.getLogger("library").warning("connecting with %s", form)
    try:
        raise ConnectionError(form)
    except ConnectionError:
        logging.getLogger("library").exception("no connection")
    said = log_of(tmp_path) + capsys.readouterr().err
    assert len(said.splitlines()) == 6
    assert form.strip("()") not in said.replace("test_secret", "").replace("traceback", "")
    assert not [part for part in ("s3c", "t pass", "hunter") if part in said]


def test_short_secret_is_hidden_as_a_word_and_leaves_other_words_alone(tmp_path: Path) -> None:
    redactor = Redactor(settings(tmp_path))
    assert redactor.text("password abc, abcdef") == "password ***, abcdef"


def test_pipelines_own_password_is_hidden_though_it_changes_with_each_start_of_the_stack(tmp_path: Path) -> None:
    own = settings(tmp_path)
    configure_logs(own, "sink")
    own.paths().run.mkdir()
    for password in ("first-of-them", "second-of-them"):
        own.paths().pipeline_password_file.write_text(password)
        emit(StoreAwaited(cause=f"{password} is wrong", retry_secs=1.0))
        emit(StageFailed(stage="sink", error=f"{password} is wrong", hint=""))
    assert "of-them" not in log_of(tmp_path)


def test_values_of_variables_that_are_secret_by_name_are_hidden(tmp_path: Path) -> None:
    environment = {
        "OTEL_EXPORTER_OTLP_HEADERS": "x-api-key=topsecretkey,other=second",
        "SMTP_PASSWORD": "mailword",
        "LANG": "visible",
    }
    redactor = Redactor(Settings(home=tmp_path), environment)
    assert redactor.text("topsecretkey second mailword visible") == "*** *** *** visible"


@pytest.mark.parametrize(
    "cause",
    [
        f"Code: 6. DB::Exception: Cannot parse string '{NAME}' as Int64: syntax error at begin. (CANNOT_PARSE_TEXT)",
        f"DB::Exception: Cannot parse input: expected ',' before: '{NAME},7\\n': (at row 3)",
        f'DB::Exception: bad\nRow 1:\nColumn 0,   name: id, type: Int64, parsed text: "{NAME}"ERROR\n',
        f"ValueError: invalid literal for int() with base 10: '{NAME}'",
        repr(KeyError(NAME)),
        repr(KeyError(f"{NAME} of the house")),
        repr(ValueError(NAME)),
        repr(ValueError(f"this is no number: {NAME!r}")),
        f'ComputeError: conversion from `str` to `i64` failed in column `a` for 1 out of 1 values: ["{NAME}"]',
        f"the warehouse refuses: Code: 27. DB::Exception: no '{NAME}' it\\'s",
    ],
)
def test_values_that_other_programs_quote_are_in_no_log(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], cause: str
) -> None:
    configure_logs(settings(tmp_path), "sink")
    emit(BatchRepeated(stage="sink", cause=cause))
    emit(ReaderFailed(format="csv", dataset="people", name="p.csv", file="0123456789abcdef", row=3, error=cause))
    emit(OddityFound(folder="people", name="x", reason="no_dataset", detail=cause))
    logging.getLogger("library").warning("%s", cause)
    try:
        raise ValueError(cause)
    except ValueError:
        logging.getLogger("library").exception("failed")
    said = log_of(tmp_path) + capsys.readouterr().err
    assert len(said.splitlines()) == 10
    assert NAME not in said
    entries = [json.loads(line) for line in log_of(tmp_path).splitlines()]
    assert entries[1]["row"] == 3
    assert "in test_values_that_other_programs_quote" in entries[4]["exception"]


def test_our_own_words_keep_what_they_quote() -> None:
    said = 'dataset "orders": field "city" changed from int to string'
    assert without_foreign_values(said) == said
    assert without_foreign_values(repr(RuntimeError("it can't be read"))) == "RuntimeError(it can't be read)"
    mixed = f'topic "orders.raw": ValueError: bad {NAME!r}'
    assert without_foreign_values(mixed) == 'topic "orders.raw": ValueError: bad ***'


def test_standard_error_is_left_open(tmp_path: Path) -> None:
    configure_logs(settings(tmp_path), "sink").close()
    assert not sys.stderr.closed
