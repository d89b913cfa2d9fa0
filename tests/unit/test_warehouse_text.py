"""What the warehouse reads in texts by itself: tokens, the head of an INSERT, trees, errors, requests."""

import pytest

from headrace.embedded.warehouse.access import Doorkeeper, pipeline_password
from headrace.embedded.warehouse.faults import Fault, fault_of
from headrace.embedded.warehouse.fence import setting_names
from headrace.embedded.warehouse.insert_text import find_insert_head, starts_insert
from headrace.embedded.warehouse.lexer import Kind, escape_parameter, quote_name, quote_text, tokens
from headrace.embedded.warehouse.requests import read_query, refuse_unsupported
from headrace.embedded.warehouse.tree import parse_tree


def texts(sql: str) -> list[str]:
    return [token.text for token in tokens(sql)]


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT 1", ["SELECT", "1"]),
        ("a /* ; file( */ b -- c\n# d\n;", ["a", "b", ";"]),
        ("'it''s \\' ;' x", ["'it''s \\' ;'", "x"]),
        ('"fi\\x6ce"', ["file"]),
        ("$x$ a ; $y$ b $x$ c", ["$x$ a ; $y$ b $x$", "c"]),
        ("`a``b`.c", ["a`b", ".", "c"]),
        ("'never closed", ["'never closed"]),
        ("x1 1x 0xFF 1e5", ["x1", "1x", "0xFF", "1e5"]),
        ("größe", ["größe"]),
    ],
)
def test_lexer_cuts_a_text_as_clickhouse_does(sql: str, expected: list[str]) -> None:
    assert texts(sql) == expected


def test_lexer_tells_how_deep_a_token_is_nested() -> None:
    found = {token.text: token.depth for token in tokens("a (b [c {d} ] ) e")}
    assert (found["a"], found["b"], found["c"], found["d"], found["e"]) == (0, 1, 2, 3, 0)


@pytest.mark.parametrize(
    ("text", "data"),
    [
        (b"INSERT INTO t FORMAT CSV\n1,2", b"1,2"),
        (b"insert into db.t (a, b) settings x = 1 format  Native \r\n\x0a\x20", b"\x0a\x20"),
        (b"INSERT INTO t FORMAT TSV 1\t2", b"1\t2"),
        (b"INSERT INTO t VALUES (1), (2)", b" (1), (2)"),
        (b"INSERT INTO t (`values`, format) VALUES(1)", b"(1)"),
        (b"INSERT INTO format FORMAT CSV\nx", b"x"),
        (b"INSERT INTO d.values VALUES (1)", b" (1)"),
        (b"INSERT INTO TABLE values FORMAT CSV\nx", b"x"),
        (b"-- VALUES\nINSERT /* FORMAT X */ INTO t FORMAT JSONEachRow\n{}", b"{}"),
        (b"INSERT INTO t FORMAT CSV\nINSERT INTO t FORMAT X\n", b"INSERT INTO t FORMAT X\n"),
        (b"INSERT INTO t FORMAT Native\n\xff\xfe\x00", b"\xff\xfe\x00"),
    ],
)
def test_insert_head_ends_where_the_data_begin(text: bytes, data: bytes) -> None:
    head = find_insert_head(text)
    assert head is not None
    assert text[head.data_start :] == data


@pytest.mark.parametrize(
    "text",
    [
        b"SELECT 1 FORMAT CSV",
        b"INSERT INTO t SELECT 1 FORMAT CSV",
        b"INSERT INTO t WITH 1 AS x SELECT x FORMAT CSV",
        b"INSERT INTO t FROM INFILE '/x' FORMAT CSV",
        b"INSERT INTO t",
        b"INSERT INTO t (format, values)",
        b"WITH 1 AS x INSERT INTO t VALUES (1)",
        b"",
    ],
)
def test_insert_head_is_none_without_inline_data(text: bytes) -> None:
    assert find_insert_head(text) is None


def test_insert_head_is_settled_only_when_its_data_have_begun() -> None:
    for text, settled in [(b"INSERT INTO t FORMAT Nat", False), (b"INSERT INTO t FORMAT CSV \n", False)]:
        head = find_insert_head(text)
        assert head is not None
        assert head.settled is settled
    head = find_insert_head(b"INSERT INTO t FORMAT CSV\n1")
    assert head is not None
    assert head.settled


def test_insert_head_refuses_a_semicolon_before_the_data() -> None:
    with pytest.raises(Fault, match="excessive ';'"):
        find_insert_head(b"INSERT INTO t FORMAT CSV; 1,2")


def test_starts_insert_waits_while_the_first_word_may_still_become_insert() -> None:
    assert starts_insert(b"INS")
    assert starts_insert(b"  -- x\n")
    assert not starts_insert(b"SELECT")


def test_setting_names_are_found_behind_nested_values() -> None:
    found = tuple(tokens("SETTINGS a = 1, `b` = disk(type = local, c = {'x':1}), d = 'e = f' FORMAT CSV"))
    assert setting_names(found, 1) == ["a", "b", "d"]


def test_tree_is_read_by_its_blanks() -> None:
    root = parse_tree("A (children 2)\n B x (children 1)\n  C\n D (alias y)\n")
    assert [(node.kind, node.name) for node in root.walk()] == [("A", ""), ("B", "x"), ("C", ""), ("D", "")]


@pytest.mark.parametrize(
    ("message", "code", "name", "status"),
    [
        ("Code: 60. DB::Exception: No x. (UNKNOWN_TABLE)", 60, "UNKNOWN_TABLE", 404),
        ("Stream failed: Code: 62. DB::Exception: Bad. (SYNTAX_ERROR) (version 26.9)", 62, "SYNTAX_ERROR", 400),
        ("Code: 241. DB::Exception: Too much (MEMORY_LIMIT_EXCEEDED)", 241, "MEMORY_LIMIT_EXCEEDED", 500),
        ("Code: 159. DB::Exception: Slow. (TIMEOUT_EXCEEDED)", 159, "TIMEOUT_EXCEEDED", 408),
        ("Code: 497. DB::Exception: No. (ACCESS_DENIED)", 497, "ACCESS_DENIED", 403),
        ("std::exception. Code: 1001, type: avro::Exception, e.what() = Bad", 1001, "STD_EXCEPTION", 500),
        ("boom", 1002, "UNKNOWN_EXCEPTION", 500),
        (3 * "Code: 73. DB::Exception: " + "Unknown format x. (UNKNOWN_FORMAT)", 73, "UNKNOWN_FORMAT", 404),
    ],
)
def test_fault_keeps_the_engines_code_name_and_status(message: str, code: int, name: str, status: int) -> None:
    fault = fault_of(message)
    assert (fault.code, fault.name, fault.status) == (code, name, status)
    assert str(fault).count("DB::Exception") == 1


def test_fault_tells_a_nested_error_once() -> None:
    inner = "Code: 452. DB::Exception: Too big. (SETTING_CONSTRAINT_VIOLATION) (version 26.9.2.1). "
    fault = fault_of(f"Code: 452. DB::Exception: {inner}(SETTING_CONSTRAINT_VIOLATION)")
    assert str(fault) == "Code: 452. DB::Exception: Too big. (SETTING_CONSTRAINT_VIOLATION)"


def test_quotes_leave_no_way_out() -> None:
    assert texts(quote_text("a'; DROP --\\")) == ["'a\\'; DROP --\\\\'"]
    (token,) = tokens(quote_name("a`; DROP --\\"))
    assert (token.kind, token.text) == (Kind.QUOTED, "a`; DROP --\\")
    assert escape_parameter("a\tb\n\\N") == "a\\tb\\n\\\\N"


def test_request_sorts_options_settings_and_parameters() -> None:
    query = read_query(
        "POST",
        "/",
        b"query=SELECT%20%7Ba%3AInt8%7D&database=d&max_threads=2&param_a=1&send_progress_in_http_headers=1&=x",
        [(b"X-ClickHouse-Format", b"JSON")],
    )
    assert query.query == "SELECT {a:Int8}"
    assert query.database == "d"
    assert query.settings == (("max_threads", "2"),)
    assert query.parameters == {"a": "1"}
    assert not query.readonly
    assert query.headers["x-clickhouse-format"] == "JSON"


def test_request_takes_credentials_from_one_place_only() -> None:
    basic = [(b"authorization", b"Basic cGlwZWxpbmU6c2Vj")]
    header = [(b"x-clickhouse-user", b"u"), (b"x-clickhouse-key", b"k")]
    assert read_query("GET", "/", b"", []).credentials() == ("default", "")
    assert read_query("GET", "/", b"", basic).credentials() == ("pipeline", "sec")
    assert read_query("GET", "/", b"", header).credentials() == ("u", "k")
    assert read_query("GET", "/", b"user=a&password=b", []).credentials() == ("a", "b")
    for headers, url in [(basic + header, b""), (basic, b"user=a"), ([(b"authorization", b"Bearer x")], b"")]:
        with pytest.raises(Fault) as caught:
            read_query("GET", "/", url, headers).credentials()
        assert caught.value.code == 516


@pytest.mark.parametrize("url", [b"compress=1", b"decompress=1", b"role=x"])
def test_request_for_what_is_not_there_is_refused_with_a_reason(url: bytes) -> None:
    with pytest.raises(Fault) as caught:
        refuse_unsupported(read_query("POST", "/", url, []))
    assert caught.value.status == 501


def test_doorkeeper_gives_the_same_answer_for_a_wrong_user_and_a_wrong_password() -> None:
    keeper = Doorkeeper("", "right", frozenset())
    texts_seen = []
    for url in (b"user=pipeline&password=wrong", b"user=nobody&password=wrong", b"user=default&password=wrong"):
        with pytest.raises(Fault) as caught:
            keeper.identify(read_query("GET", "/", url, []))
        texts_seen.append(caught.value.text.partition(":")[2])
        assert (caught.value.code, caught.value.status) == (516, 403)
    assert len(set(texts_seen)) == 1
    assert keeper.identify(read_query("GET", "/", b"user=pipeline&password=right", [])).name == "pipeline"
    assert keeper.identify(read_query("GET", "/", b"", [])).name == "default"


def test_pipeline_password_is_random_kept_and_its_owners_only(tmp_path_factory: pytest.TempPathFactory) -> None:
    first = tmp_path_factory.mktemp("a") / "run" / "pipeline.password"
    other = tmp_path_factory.mktemp("b") / "pipeline.password"
    password = pipeline_password(first)
    assert len(password) >= 32
    assert first.stat().st_mode & 0o777 == 0o600
    assert pipeline_password(first) == password != pipeline_password(other)
