"""Whatever a client writes, no file of the machine is shown or made; and names and values come back as they went in."""

import itertools
import json
import random
import string
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from headrace.embedded.warehouse.insert_text import find_insert_head
from headrace.embedded.warehouse.lexer import Kind, escape_parameter, quote_name, quote_text, tokens
from headrace.settings import Settings
from headrace.testing.stack import EmbeddedStack
from headrace.testing.warehouse import ask

CANARY = "CANARY-5b1d02"
slow = settings(deadline=None, max_examples=80, suppress_health_check=[HealthCheck.function_scoped_fixture])
quick = settings(deadline=None, max_examples=300)

TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=40)

# Every way that is known to open a file, each with {f} for a function's name and {p} for a path's literal.
OPENERS = [
    "SELECT {f}({p})",
    "SELECT * FROM {f}({p}, 'CSV', 'a String')",
    "SELECT arrayMap({f}, [{p}])",
    "SELECT arrayMap(x -> {f}(x), [{p}])",
    "SELECT * APPLY({f}) FROM (SELECT {p} AS a)",
    "SELECT * FROM view(SELECT {f}({p}))",
    "SELECT * FROM {t}",
    "SELECT * FROM default.{t}",
    "WITH {t} AS (SELECT 1) SELECT * FROM {t}, (SELECT {f}({p}))",
    "SELECT 1 INTO OUTFILE {o}",
    "SELECT 1 UNION ALL SELECT 2 INTO OUTFILE {o} TRUNCATE FORMAT CSV",
    "INSERT INTO FUNCTION {f}({o}, 'CSV', 'a Int32') SELECT 1",
    "INSERT INTO fuzz.t VALUES ({f}({p}))",
    "INSERT INTO fuzz.t FROM INFILE {p} FORMAT LineAsString",
    "CREATE TABLE fuzz.x (a String) ENGINE = {e}(CSV, {p})",
    "CREATE TABLE fuzz.x (a String DEFAULT {f}({p})) ENGINE = Memory",
    "EXPLAIN AST SELECT 1; SELECT {f}({p})",
    "SELECT 1 SETTINGS additional_result_filter = '{f}({p}) != 1'",
    "SELECT '' IN {f}({p}, 'CSV', 'a String')",
    "DESCRIBE {f}({p})",
]
WRAPPERS = [
    "{s}",
    "EXPLAIN {s}",
    "EXPLAIN PIPELINE {s}",
    "SELECT * FROM ({s})",
    "({s}) UNION ALL ({s})",
    "WITH q AS ({s}) SELECT * FROM q",
    "SELECT 1 WHERE 'a' IN ({s})",
    "SELECT ({s})",
    "CREATE VIEW fuzz.v AS {s}",
    "INSERT INTO fuzz.t {s}",
    "{s} FORMAT JSON",
    "{s} SETTINGS max_threads = 1",
    "{s}; SELECT 1",
    "SELECT 1; {s}",
    "-- c\n{s}",
    "/* SELECT 1 */ {s}",
]
NEEDS_A_HOST = ("url", "executable", "python", "eval", "\\x")
FILLERS = ["", " ", "\n", "\t", "/**/", "/* ; */", "-- x\n", " /*\n*/ "]


@pytest.fixture(scope="module")
def warehouse(stack: EmbeddedStack) -> Settings:
    assert ask(stack.settings, "CREATE DATABASE IF NOT EXISTS fuzz").status == 200
    assert ask(stack.settings, "CREATE OR REPLACE TABLE fuzz.t (a String) ENGINE = Memory").status == 200
    return stack.settings


def spelling(chooser: random.Random, name: str) -> str:
    """Return one of the many ways to write a name."""
    escaped = "".join(f"\\x{ord(part):02x}" if chooser.random() < 0.4 else part for part in name)
    cased = "".join(part.upper() if chooser.random() < 0.3 else part for part in name)
    return chooser.choice([name, name, cased, f"`{name}`", f'"{name}"', f"`{escaped}`", f'"{escaped}"'])


def literal(chooser: random.Random, text: str) -> str:
    """Return one of the many ways to write a string."""
    escaped = "".join(f"\\x{ord(part):02x}" if chooser.random() < 0.2 else part for part in text)
    return chooser.choice([f"'{text}'", f"'{escaped}'", f"$q${text}$q$", f"concat('{text}', '')", f"('{text}')"])


def attempt(chooser: random.Random, path: Path, out: Path) -> str:
    """Return one statement that tries to open a file."""
    function = chooser.choice(["file", "file", "file", "url", "executable", "python", "format", "eval", "sqlite"])
    statement = chooser.choice(OPENERS)
    for name, value in [
        ("{f}", spelling(chooser, function)),
        ("{p}", literal(chooser, str(path))),
        ("{t}", chooser.choice([f"`{path}`", f'"{path}"', f"'{path}'"])),
        ("{o}", literal(chooser, str(out))),
        ("{e}", spelling(chooser, chooser.choice(["File", "URL", "Executable"]))),
    ]:
        statement = statement.replace(name, value)
    if chooser.random() < 0.5:
        statement = chooser.choice(WRAPPERS).replace("{s}", statement)
    return statement.replace(" ", chooser.choice([" ", " ", f" {chooser.choice(FILLERS)} "]))


@pytest.mark.stack
@slow
@given(seed=st.integers(0, 2**32))
def test_no_spelling_of_an_attempt_shows_or_makes_a_file(
    warehouse: Settings, tmp_path_factory: pytest.TempPathFactory, seed: int
) -> None:
    folder = tmp_path_factory.getbasetemp()
    secret, out = folder / "s3cret", folder / f"out-{seed}"
    secret.write_text(f"{CANARY}\n")
    chooser = random.Random(seed)
    for _ in range(4):
        statement = attempt(chooser, secret, out)
        found = ask(warehouse, statement, method=chooser.choice(["POST", "POST", "GET"]))
        assert CANARY not in found.text, statement
        assert not out.exists(), statement
    stored = ask(warehouse, "SELECT countIf(a LIKE {c:String}) FROM fuzz.t", param_c=f"%{CANARY}%")
    assert stored.text == "0\n"


@pytest.mark.stack
@slow
@given(text=st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=60))
def test_a_name_stays_a_name(warehouse: Settings, text: str) -> None:
    found = ask(warehouse, f"SELECT 1 AS {quote_name(text)} FORMAT JSON")
    assert found.status == 200, found.text
    assert json.loads(found.body)["meta"][0]["name"] == text


@pytest.mark.stack
@slow
@given(text=TEXT)
def test_a_value_comes_back_as_it_went_in(warehouse: Settings, text: str) -> None:
    for query, value in [("SELECT {v:String}", escape_parameter(text)), (f"SELECT {quote_text(text)}", "")]:
        found = ask(warehouse, f"{query} FORMAT JSONCompactEachRow", param_v=value)
        assert found.status == 200, found.text
        assert json.loads(found.body) == [text]


@pytest.mark.stack
@slow
@given(text=st.text(string.printable, max_size=80))
def test_any_text_is_answered_and_the_warehouse_goes_on(warehouse: Settings, text: str) -> None:
    found = ask(warehouse, text)
    assert found.status in {200, 400, 403, 404, 413, 500, 501}
    assert "Fence" not in found.text
    assert found.code != 49, found.text
    assert ask(warehouse, "SELECT 1").text == "1\n"


@pytest.mark.stack
@slow
@given(data=st.binary(max_size=2000), pieces=st.integers(1, 5))
def test_data_of_an_insert_are_stored_byte_for_byte(warehouse: Settings, data: bytes, pieces: int) -> None:
    assert ask(warehouse, "TRUNCATE TABLE fuzz.t").status == 200
    whole = b"INSERT INTO fuzz.t FORMAT RawBLOB\n" + data
    in_url = ask(warehouse, "INSERT INTO fuzz.t FORMAT RawBLOB", data=data)
    in_body = ask(warehouse, data=whole)
    assert (in_url.status, in_body.status) == (200, 200), in_url.text + in_body.text
    stored = ask(warehouse, "SELECT lower(hex(a)) FROM fuzz.t").text.split("\n")
    assert [bytes.fromhex(line) for line in stored[:-1]] in ([data, data], [])
    assert stored[:-1] or not data


@quick
@given(TEXT)
def test_quotes_hold_any_text(text: str) -> None:
    for quote, kind in ((quote_name, Kind.QUOTED), (quote_text, Kind.STRING)):
        found = list(tokens(f"a {quote(text)} b"))
        assert [token.text for token in (found[0], found[-1])] == ["a", "b"]
        assert (len(found), found[1].kind) == (3, kind)
    assert next(tokens(quote_name(text))).text == text


@quick
@given(TEXT)
def test_lexer_never_fails_and_loses_nothing_but_blanks_and_comments(text: str) -> None:
    found = list(tokens(text))
    assert all(text[token.start : token.end] for token in found)
    assert all(first.end <= second.start for first, second in itertools.pairwise(found))


@quick
@given(st.binary(max_size=60), st.sampled_from(["CSV", "Native", "JSONEachRow"]))
def test_insert_head_never_depends_on_the_data(data: bytes, name: str) -> None:
    head = f"INSERT INTO t (a, `b c`) FORMAT {name}\n".encode()
    found = find_insert_head(head + data)
    assert found is not None
    assert (head + data)[found.data_start :] == data


UNFENCED = """
import json, sys
from chdb.session import Session
session, shown = Session(), 0
for statement in json.load(sys.stdin):
    try:
        shown += b"%s" in session.query(statement, "TabSeparated").bytes()
    except Exception:
        pass
print(shown)
"""


def test_attempts_would_succeed_without_a_fence(tmp_path: Path) -> None:
    secret = tmp_path / "s3cret"
    secret.write_text(CANARY)
    chooser = random.Random(1)
    made = {attempt(chooser, secret, tmp_path / f"out-{number}") for number in range(400)}
    reading = [statement for statement in made if not any(name in statement.lower() for name in NEEDS_A_HOST)]
    program = UNFENCED.replace("%s", CANARY)
    done = subprocess.run(
        [sys.executable, "-c", program],
        input=json.dumps(reading),
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert len(made) > 300
    assert int(done.stdout) > 20
    assert any(tmp_path.glob("out-*"))
