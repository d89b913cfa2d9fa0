"""What the fence admitted is remembered by its text and parameters, within bounds, and what it refused is not."""

from collections.abc import Mapping

import pytest

from headrace.embedded.warehouse import admissions
from headrace.embedded.warehouse.admissions import Admissions
from headrace.embedded.warehouse.faults import ACCESS_DENIED, Fault
from headrace.embedded.warehouse.fence import Act, Admitted, Fence, Parser
from headrace.embedded.warehouse.tree import Node


class Asked(Fence):
    """A fence that notes what it is asked, and refuses a statement that says so."""

    def __init__(self) -> None:
        super().__init__(frozenset())
        object.__setattr__(self, "said", [])

    def admit(self, parser: Parser, statement: str, parameters: Mapping[str, str]) -> Admitted:
        self.said.append((statement, dict(parameters)))  # type: ignore[attr-defined]
        if statement == "refused":
            raise Fault(ACCESS_DENIED, "no")
        return Admitted(f"{statement} {dict(parameters)}", Act.READ, Node("SelectQuery", "", "SelectQuery"), ())

    def times(self) -> int:
        return len(self.said)  # type: ignore[attr-defined]


class Nobody:
    """A parser that is not asked."""

    def text(self, sql: str, parameters: Mapping[str, str]) -> str:
        raise AssertionError(sql)


def test_a_statement_is_admitted_once_for_each_text_with_its_parameters() -> None:
    fence = Asked()
    known = Admissions(fence)
    first = known.admit(Nobody(), "SELECT {a:Int64}", {"a": "1"})
    assert known.admit(Nobody(), "SELECT {a:Int64}", {"a": "1"}) is first
    assert known.admit(Nobody(), "SELECT {a:Int64}", {"a": "2"}) != first
    assert known.admit(Nobody(), "SELECT {a:Int64} ", {"a": "1"}) != first
    assert fence.times() == 3


def test_a_refusal_is_made_anew_each_time() -> None:
    fence = Asked()
    known = Admissions(fence)
    for _ in range(2):
        with pytest.raises(Fault):
            known.admit(Nobody(), "refused", {})
    assert fence.times() == 2


def test_the_statement_said_longest_ago_is_forgotten_and_a_long_one_never_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(admissions, "MOST_STATEMENTS", 2)
    fence = Asked()
    known = Admissions(fence)
    for statement in ("a", "b", "a", "c", "a", "b"):
        known.admit(Nobody(), statement, {})
    assert [statement for statement, _ in fence.said] == ["a", "b", "c", "b"]  # type: ignore[attr-defined]
    for _ in range(2):
        known.admit(Nobody(), "x", {"p": "y" * admissions.LONGEST})
    assert fence.times() == 6
