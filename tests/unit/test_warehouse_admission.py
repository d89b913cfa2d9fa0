"""What the fence gives the engine of a client's text: a value to format, then the canonical text to explain."""

from collections.abc import Mapping

import pytest

from headrace.embedded.warehouse.faults import SYNTAX_ERROR, Fault
from headrace.embedded.warehouse.fence import Act, Fence

FORMATS = "SELECT formatQuerySingleLine({q:String})"


class Recorder:
    """Keeps what the fence asks; answers with a canonical text and a tree, or with the engine's refusal."""

    def __init__(self, canonical: str | Fault, tree: str = "SelectWithUnionQuery\n") -> None:
        self.asked: list[tuple[str, dict[str, str]]] = []
        self._canonical = canonical
        self._tree = tree

    def text(self, sql: str, parameters: Mapping[str, str]) -> str:
        self.asked.append((sql, dict(parameters)))
        if sql == FORMATS:
            if isinstance(self._canonical, Fault):
                raise self._canonical
            return f"{self._canonical}\n"
        return self._tree


def test_text_goes_in_as_a_value_and_only_the_canonical_text_is_explained() -> None:
    parser = Recorder("SELECT 1")
    admitted = Fence(frozenset()).admit(parser, "select\t1 -- c", {"a": "x"})
    assert parser.asked == [(FORMATS, {"q": "select\\t1 -- c"}), ("EXPLAIN AST SELECT 1", {"a": "x"})]
    assert (admitted.text, admitted.act) == ("SELECT 1", Act.READ)


def test_text_that_the_engine_refuses_to_format_is_never_explained() -> None:
    parser = Recorder(Fault(SYNTAX_ERROR, "Multi-statements are not allowed"))
    with pytest.raises(Fault, match="Multi-statements"):
        Fence(frozenset()).admit(parser, "SELECT 1; DROP TABLE x", {})
    assert [sql for sql, _ in parser.asked] == [FORMATS]


@pytest.mark.parametrize(
    "canonical",
    [
        "SELECT 1; DROP TABLE x",
        "SELECT file('/x')",
        "SELECT 1 INTO OUTFILE '/x'",
        "INSERT INTO t FROM INFILE '/x' FORMAT CSV",
        "SELECT 1 SETTINGS dialect = 'x'",
        "SELECT 1 AS `a\nSelectQuery`",
    ],
)
def test_text_that_reaches_out_is_refused_before_it_is_explained(canonical: str) -> None:
    parser = Recorder(canonical)
    with pytest.raises(Fault):
        Fence(frozenset({"file"}), frozenset({"file"})).admit(parser, "x", {})
    assert [sql for sql, _ in parser.asked] == [FORMATS]


@pytest.mark.parametrize("kind", ["SystemQuery", "GrantQuery", "BackupQuery", "AttachQuery", "Unheard", ""])
def test_kind_that_is_not_listed_is_refused(kind: str) -> None:
    with pytest.raises(Fault) as caught:
        Fence(frozenset()).admit(Recorder("X", f"{kind}\n"), "x", {})
    assert (caught.value.code, caught.value.status) == (497, 403)
