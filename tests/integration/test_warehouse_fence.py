"""The fence of docs/decisions/0003, line by line, against a running warehouse: what is refused, and what is not."""

import hashlib
from pathlib import Path
from typing import Any

import pytest

from headrace.embedded.warehouse import rules
from headrace.settings import Settings
from headrace.testing.stack import EmbeddedStack
from headrace.testing.warehouse import ask, pipeline_user

pytestmark = pytest.mark.stack

READ_THROUGH = "dcd5349c9a9b6d12"
CANARY = "CANARY-7f3a91"
NOT_GRANTED = 497


@pytest.fixture(scope="module")
def warehouse(stack: EmbeddedStack) -> Settings:
    """A database of these tests' own, with a table in it."""
    settings = stack.settings
    for statement in (
        "CREATE DATABASE IF NOT EXISTS fence",
        "CREATE OR REPLACE TABLE fence.t (a Int32, b String) ENGINE = MergeTree ORDER BY a",
        "CREATE OR REPLACE TABLE fence.files (file String, disk String, format String) ENGINE = Log",
    ):
        assert ask(settings, statement).status == 200, statement
    return settings


@pytest.fixture
def secret(tmp_path: Path) -> Path:
    """A file of the machine that no statement may show."""
    path = tmp_path / "secret.csv"
    path.write_text(f"{CANARY}\n")
    return path


# (what reads the file at {path}, its harmless twin). Each twin proves that the refusal is not a general failure.
READS_A_FILE = [
    ("SELECT file('{path}')", "SELECT lower('{path}')"),
    ("SELECT FILE('{path}')", "SELECT LOWER('{path}')"),
    ("SELECT `file`('{path}')", "SELECT `lower`('{path}')"),
    ("SELECT \"fi\\x6ce\"('{path}')", "SELECT \"lowe\\x72\"('{path}')"),
    ("SELECT /* a */ file /* b */ ('{path}')", "SELECT /* a */ lower /* b */ ('{path}')"),
    ("SELECT * FROM file('{path}', 'CSV', 'a String')", "SELECT * FROM values('a String', '{path}')"),
    ("SELECT arrayMap(x -> file(x), ['{path}'])", "SELECT arrayMap(x -> lower(x), ['{path}'])"),
    ("SELECT arrayMap(file, ['{path}'])", "SELECT arrayMap(lower, ['{path}'])"),
    ("SELECT arrayMap(`file` AS g, ['{path}'])", "SELECT arrayMap(`lower` AS g, ['{path}'])"),
    ("SELECT * APPLY(file) FROM (SELECT '{path}' AS a)", "SELECT * APPLY(lower) FROM (SELECT '{path}' AS a)"),
    ("SELECT * APPLY(x -> file(x)) FROM (SELECT '{path}' AS a)", "SELECT * APPLY(x -> lower(x)) FROM (SELECT '' AS a)"),
    ("SELECT * REPLACE (file('{path}') AS a) FROM (SELECT 1 AS a)", "SELECT * REPLACE (2 AS a) FROM (SELECT 1 AS a)"),
    ("WITH '{path}' AS p SELECT (SELECT file(p))", "WITH '{path}' AS p SELECT (SELECT lower(p))"),
    ("SELECT * FROM view(SELECT file('{path}'))", "SELECT * FROM view(SELECT lower('{path}'))"),
    ("SELECT * FROM (VALUES (file('{path}')))", "SELECT * FROM (VALUES (lower('{path}')))"),
    ("SELECT * FROM format(Values, '(file(''{path}''))')", "SELECT format('{{}}', '{path}')"),
    ("SELECT '' IN format(Values, 'a String', '(file(''{path}''))')", "SELECT '' IN ('{path}')"),
    ("SELECT '' IN file('{path}', 'CSV', 'a String')", "SELECT '' IN (SELECT '{path}')"),
    ("SELECT 1 ORDER BY file('{path}')", "SELECT 1 ORDER BY lower('{path}')"),
    ("SELECT 1 LIMIT length(file('{path}'))", "SELECT 1 LIMIT length('{path}')"),
    ("EXPLAIN SELECT file('{path}')", "EXPLAIN SELECT lower('{path}')"),
    ("DESCRIBE file('{path}')", "DESCRIBE fence.t"),
    ("DESCRIBE (SELECT file('{path}'))", "DESCRIBE (SELECT lower('{path}'))"),
    ("SELECT * FROM url('file://{path}', 'CSV', 'a String')", "SELECT domain('file://{path}')"),
    ("SELECT * FROM sqlite('{path}', 'a')", "SELECT * FROM numbers(1)"),
    ("SELECT * FROM filesystem('{path}')", "SELECT * FROM zeros(1)"),
    ("SELECT * FROM python('{path}')", "SELECT * FROM generateRandom('a Int8') LIMIT 1"),
    ("SELECT * FROM eval('SELECT file(''{path}'')')", "SELECT * FROM merge('fence', '^t$')"),
    ("SELECT catboostEvaluate('{path}', 1)", "SELECT plus(1, 1)"),
    ("INSERT INTO fence.t (b) SELECT file('{path}')", "INSERT INTO fence.t (b) SELECT lower('{path}')"),
    ("INSERT INTO fence.t (b) FROM INFILE '{path}' FORMAT CSV", "INSERT INTO fence.t (b) FORMAT CSV x"),
    ("INSERT INTO fence.t VALUES (1, file('{path}'))", "INSERT INTO fence.t VALUES (1, upper('x'))"),
    (
        "INSERT INTO fence.t VALUES (1, (SELECT a FROM format(Values, 'a String', concat('(fi', 'le(''{path}''))'))))",
        "INSERT INTO fence.t VALUES (1, concat('a', 'b'))",
    ),
    (
        "INSERT INTO fence.t VALUES (1 IN format(Values, 'a String', concat('(fi', 'le(''{path}''))')), '')",
        "INSERT INTO fence.t VALUES (1 IN (1, 2), '')",
    ),
    ("INSERT INTO fence.t VALUES (1, `fi\\x6ce`('{path}'))", "INSERT INTO fence.t VALUES (1, '`fi\\x6ce`')"),
    ("ALTER TABLE fence.t UPDATE b = file('{path}') WHERE 1", "ALTER TABLE fence.t UPDATE b = 'x' WHERE 0"),
    ("DELETE FROM fence.t WHERE b = file('{path}')", "DELETE FROM fence.t WHERE b = 'nothing'"),
    ("ALTER TABLE fence.t ADD COLUMN c String DEFAULT file('{path}')", "ALTER TABLE fence.t COMMENT COLUMN b 'x'"),
    ("CREATE VIEW fence.v1 AS SELECT file('{path}')", "CREATE OR REPLACE VIEW fence.v2 AS SELECT lower('{path}')"),
    ("CREATE TABLE fence.f1 AS file('{path}')", "CREATE OR REPLACE TABLE fence.f2 AS fence.t"),
    (
        "CREATE TABLE fence.f3 (a String DEFAULT file('{path}')) ENGINE = Memory",
        "CREATE OR REPLACE TABLE fence.f4 (a String DEFAULT lower('{path}')) ENGINE = Memory",
    ),
    (
        "CREATE TABLE fence.f5 (a String) ENGINE = File(CSV, '{path}')",
        "CREATE OR REPLACE TABLE fence.f6 (a String) ENGINE = Memory",
    ),
    (
        "SELECT 1 SETTINGS additional_result_filter = 'file(''{path}'') != '''''",
        "SELECT 1 SETTINGS max_threads = 1",
    ),
    (
        "SELECT 1 SETTINGS `additional_table_filters` = {{'system.one': 'file(''{path}'') != '''''}}",
        "SELECT 1 SETTINGS `max_threads` = 1",
    ),
]


@pytest.mark.parametrize(("reads", "harmless"), READS_A_FILE, ids=[reads for reads, _ in READS_A_FILE])
def test_fence_shows_no_file_of_the_machine(warehouse: Settings, secret: Path, reads: str, harmless: str) -> None:
    refused = ask(warehouse, reads.format(path=secret))
    assert CANARY not in refused.text
    assert refused.status >= 400
    stored = ask(warehouse, "SELECT count() FROM fence.t WHERE b LIKE {canary:String}", param_canary=f"%{CANARY}%")
    assert stored.text == "0\n"
    allowed = ask(warehouse, harmless.format(path=secret))
    assert allowed.status == 200, allowed.text


@pytest.mark.parametrize("database", ["", "default", "fence", "system"])
@pytest.mark.parametrize("quotes", ["`{path}`", '"{path}"', "default.`{path}`", "{{t:Identifier}}", "'{path}'"])
def test_fence_opens_no_path_as_a_table(warehouse: Settings, secret: Path, database: str, quotes: str) -> None:
    name = quotes.format(path=secret)
    for statement in (f"SELECT * FROM {name}", f"DESCRIBE TABLE {name}", f"SELECT '' IN ({name}) FROM {name}"):
        found = ask(warehouse, statement, database=database, param_t=str(secret))
        assert found.status >= 400
        assert CANARY not in found.text


def test_default_database_is_an_ordinary_one_at_every_start(warehouse: Settings) -> None:
    engine = ask(warehouse, "SELECT engine FROM system.databases WHERE name = 'default'")
    assert engine.text == "Atomic\n"
    assert ask(warehouse, "CREATE OR REPLACE TABLE fence_plain (a Int8) ENGINE = Memory").status == 200
    assert ask(warehouse, "SELECT count() FROM fence_plain").text == "0\n"


WRITES_A_FILE = [
    "SELECT 1 INTO OUTFILE '{path}'",
    "SELECT 1 INTO OUTFILE '{path}' TRUNCATE FORMAT CSV",
    "SELECT 1 into/**/outfile '{path}' APPEND",
    "SHOW DATABASES INTO OUTFILE '{path}'",
    "EXPLAIN SELECT 1 INTO OUTFILE '{path}'",
    "INSERT INTO FUNCTION file('{path}', 'CSV', 'a Int32') SELECT 1",
    "INSERT INTO TABLE FUNCTION file('{path}', 'CSV', 'a Int32') VALUES (1)",
    "CREATE TABLE fence.w1 (a Int32) ENGINE = MergeTree ORDER BY a SETTINGS disk = disk(type = local, path = '{path}')",
    "CREATE DATABASE fence_w ENGINE = Filesystem('{path}')",
    "BACKUP DATABASE fence TO File('{path}')",
    "SELECT 1 SETTINGS input_format_record_errors_file_path = '{path}'",
    "ALTER TABLE fence.t FREEZE",
    "ALTER TABLE fence.t FETCH PARTITION ALL FROM '{path}'",
    "ATTACH TABLE fence.w2 FROM '{path}' (a Int32) ENGINE = MergeTree ORDER BY a",
]


@pytest.mark.parametrize("statement", WRITES_A_FILE)
def test_fence_writes_no_file_of_the_machine(warehouse: Settings, tmp_path: Path, statement: str) -> None:
    target = tmp_path / "out"
    refused = ask(warehouse, statement.format(path=target))
    assert (refused.status, refused.code) == (403, NOT_GRANTED), refused.text
    assert not target.exists()


NO_STATEMENTS_FOR_CLIENTS = [
    "SYSTEM SHUTDOWN",
    "SYSTEM FLUSH LOGS",
    "KILL QUERY WHERE 1",
    "GRANT ALL ON *.* TO default",
    "REVOKE ALL ON *.* FROM default",
    "SET ROLE pipeline",
    "SET ROLE ALL",
    "SET DEFAULT ROLE ALL TO default",
    "CREATE USER intruder",
    "CREATE ROLE intruder",
    "CREATE FUNCTION intruder AS x -> x",
    "CREATE NAMED COLLECTION intruder AS a = 1",
    "CREATE DICTIONARY fence.d (a Int32) PRIMARY KEY a SOURCE(NULL()) LAYOUT(FLAT()) LIFETIME(0)",
    "EXECUTE AS default SELECT 1",
    "ATTACH TABLE fence.t",
    "DETACH TABLE fence.t",
    "BEGIN TRANSACTION",
    "DROP TABLE fence.none PARALLEL WITH DROP TABLE fence.none",
    "SHOW GRANTS",
    "SHOW USERS",
    "CREATE MATERIALIZED VIEW fence.m REFRESH EVERY 1 SECOND TO fence.t AS SELECT 1 AS a",
    "CREATE VIEW fence.m DEFINER = default SQL SECURITY DEFINER AS SELECT 1",
    "ALTER TABLE fence.t MODIFY TTL toDateTime(a) TO DISK 'default'",
    "ALTER TABLE fence.t MODIFY SETTING storage_policy = 'x'",
]


@pytest.mark.parametrize("statement", NO_STATEMENTS_FOR_CLIENTS)
def test_fence_runs_listed_kinds_of_statements_only(warehouse: Settings, statement: str) -> None:
    for headers in ({}, pipeline_user(warehouse)):
        refused = ask(warehouse, statement, headers=headers)
        assert (refused.status, refused.code) == (403, NOT_GRANTED), refused.text
    assert ask(warehouse, "SELECT count() >= 0 FROM fence.t").text == "1\n"


ELSEWHERE = [
    "url('http://127.0.0.1:1/', 'CSV', 'a Int8')",
    "s3('http://127.0.0.1:1/b/k')",
    "remote('127.0.0.1:1', system.one)",
    "mysql('127.0.0.1:1', 'd', 't', 'u', 'p')",
    "postgresql('127.0.0.1:1', 'd', 't', 'u', 'p')",
    "mongodb('127.0.0.1:1', 'd', 't', 'u', 'p')",
    "redis('127.0.0.1:1', 'k', 'k String')",
    "hdfs('hdfs://127.0.0.1:1/x', 'CSV', 'a Int8')",
    "cluster('default', system.one)",
    "executable('x', 'CSV', 'a Int8')",
    "iceberg('http://127.0.0.1:1/')",
    "deltaLakeLocal('/')",
    "dictionary('d')",
    "input('a Int8')",
    "loop(system.one)",
]


@pytest.mark.parametrize("function", ELSEWHERE)
def test_fence_reaches_no_other_host_nor_program(warehouse: Settings, function: str) -> None:
    refused = ask(warehouse, f"SELECT * FROM {function}", secs=10)
    assert (refused.status, refused.code) == (403, NOT_GRANTED), refused.text


def test_every_table_function_of_this_engine_is_allowed_by_list_or_refused(warehouse: Settings) -> None:
    names = ask(warehouse, "SELECT name FROM system.table_functions").text.split()
    allowed = [
        name for name in names if ask(warehouse, f"EXPLAIN AST SELECT * FROM {name}()").code not in {NOT_GRANTED, 62}
    ]
    assert len(names) > 90
    assert len(allowed) >= 15
    assert {name.lower() for name in allowed} <= rules.TABLE_FUNCTIONS


def test_functions_of_this_engine_were_read_through(warehouse: Settings) -> None:
    """Scalar functions are refused by name, so a new engine's new ones must be looked at: then write the new digest."""
    names = ask(warehouse, "SELECT DISTINCT name FROM system.functions ORDER BY name").body
    assert hashlib.sha256(names).hexdigest()[:16] == READ_THROUGH, "look at what is new in system.functions (rules.py)"


@pytest.mark.parametrize("word", ["File", "URL", "S3", "Executable", "Kafka", "MySQL", "Distributed", "QueryRunner"])
def test_fence_makes_tables_of_listed_engines_only(warehouse: Settings, word: str) -> None:
    refused = ask(warehouse, f"CREATE TABLE fence.e (a Int8) ENGINE = {word}('x')")
    assert (refused.status, refused.code) == (403, NOT_GRANTED), refused.text
    for name in ("MergeTree ORDER BY a", "ReplacingMergeTree ORDER BY lower(toString(a))", "Memory", "Log", "Null"):
        assert ask(warehouse, f"CREATE OR REPLACE TABLE fence.e (a Int8) ENGINE = {name}").status == 200


def test_fence_makes_ordinary_databases_only(warehouse: Settings) -> None:
    for engine in (
        "Filesystem('/')",
        "Overlay",
        "MySQL('127.0.0.1:1', 'd', 'u', 'p')",
        "SQLite('/x')",
        "Backup('a', 'b')",
    ):
        assert ask(warehouse, f"CREATE DATABASE fence_other ENGINE = {engine}").code == NOT_GRANTED
    assert ask(warehouse, "CREATE DATABASE IF NOT EXISTS fence_other ENGINE = Atomic").status == 200
    assert ask(warehouse, "DROP DATABASE fence_other").status == 200


@pytest.mark.parametrize(
    "text",
    [
        "SELECT 1; INSERT INTO fence.t VALUES (77, 'stacked')",
        "EXPLAIN AST SELECT 1; INSERT INTO fence.t VALUES (77, 'stacked')",
        "EXPLAIN AST SELECT 1;\nINSERT INTO fence.t SELECT 77, 'stacked'",
        "SELECT 1 -- ;\n; INSERT INTO fence.t SELECT 77, 'stacked'",
        "INSERT INTO fence.t SELECT 1, ''; INSERT INTO fence.t SELECT 77, 'stacked'",
        "EXPLAIN AST EXPLAIN AST SELECT 1; INSERT INTO fence.t SELECT 77, 'stacked'",
    ],
)
def test_fence_runs_one_statement_or_none(warehouse: Settings, text: str) -> None:
    refused = ask(warehouse, text)
    assert (refused.status, refused.code) == (400, 62), refused.text
    assert ask(warehouse, "SELECT count() FROM fence.t WHERE a = 77").text == "0\n"
    assert ask(warehouse, "SELECT 1;").text == "1\n"


def test_names_that_are_also_functions_stay_usable(warehouse: Settings) -> None:
    assert ask(warehouse, "INSERT INTO fence.files (file, disk, format) VALUES ('a', 'b', 'c')").status == 200
    for query in (
        "SELECT file, disk, format FROM fence.files",
        "SELECT count(file), any(file) FROM fence.files WHERE file LIKE 'a' AND file IN ('a') AND file = 'a'",
        "SELECT lower(file), files.file, arrayMap(x -> concat(x, files.file), ['']) FROM fence.files",
        "SELECT format FROM fence.files ORDER BY format ASC FORMAT CSV",
        "SELECT 'SELECT file(1) INTO OUTFILE; DROP TABLE x' AS `file`",
    ):
        found = ask(warehouse, query)
        assert found.status == 200, found.text
    assert ask(warehouse, "SELECT arrayMap(file, ['x']) FROM fence.files").code == NOT_GRANTED


@pytest.mark.parametrize(
    "setting",
    ["dialect", "format_schema", "format_template_row", "filter", "implicit_select", "http_max_tries", "disk"],
)
def test_settings_that_change_what_a_statement_means_are_refused_everywhere(warehouse: Settings, setting: str) -> None:
    for statement in (
        f"SELECT 1 SETTINGS {setting} = '1'",
        f"SET {setting} = '1'",
        f"SELECT 1 SETTINGS `{setting}` = 1",
    ):
        assert ask(warehouse, statement).code == NOT_GRANTED, statement
    url: dict[str, Any] = {setting: "1"}
    assert ask(warehouse, "SELECT 1", **url).code == NOT_GRANTED


def test_names_with_control_characters_are_refused(warehouse: Settings) -> None:
    forged = "x\nSelectWithUnionQuery\n Function lower"
    assert ask(warehouse, f"SELECT 1 AS `{forged}`").code == NOT_GRANTED
    assert ask(warehouse, "SELECT * FROM {t:Identifier}", param_t="x\\nFunction lower").code == NOT_GRANTED
    assert ask(warehouse, "SELECT 'a\nb' AS `größer als 1`").text == "a\\nb\n"
