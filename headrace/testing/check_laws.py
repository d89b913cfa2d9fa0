"""What every check must promise, for tests of built-in checks and of anybody's own.

A law that is broken raises AssertionError with the figures that differ. `known` completes a view with what the check
needs from elsewhere, e.g. facts or a reference.
"""

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from itertools import pairwise

import polars as pl

from headrace.schemas.check_rules import CheckRule
from headrace.schemas.expression import KIND_OF
from headrace.stream_processors.checks.base import Check, Outcome, Parameters, Verdict, View
from headrace.stream_processors.sketches.registry import pack_cell, unpack_cell
from headrace.testing.check_views import merged_views, views_of

Known = Callable[[View], View]


def as_it_is(view: View) -> View:
    """Return the view: the check needs nothing from elsewhere."""
    return view


def hold_to_laws(
    check: Check, rule: CheckRule, batch: pl.DataFrame, known: Known = as_it_is, *, rounds: int = 20, seed: int = 0
) -> None:
    """Hold a check to all laws on a batch, which is split at random; for tests without a library of properties."""
    chance = random.Random(seed)  # noqa: S311 - it decides where a test cuts
    words_and_parameters(check, rule)
    no_rows_never_pass(check, rule, known)
    stored_state_says_the_same(check, rule, batch, known)
    for _ in range(rounds):
        parts_say_what_the_whole_says(check, rule, batch, random_parts(batch, chance, check.order_bound), known)


def random_parts(batch: pl.DataFrame, chance: random.Random, in_order: bool) -> list[pl.DataFrame]:
    """Return the rows as up to five batches in any order; each a range of rows where their order counts."""
    rows = list(range(batch.height))
    if not in_order:
        chance.shuffle(rows)
    cuts = sorted(chance.choices(range(batch.height + 1), k=4))
    parts = [batch[rows[first:last]] for first, last in pairwise([0, *cuts, batch.height])]
    chance.shuffle(parts)
    return parts


def parts_say_what_the_whole_says(
    check: Check, rule: CheckRule, batch: pl.DataFrame, parts: Sequence[pl.DataFrame], known: Known = as_it_is
) -> None:
    """Hold a check to its first law: the figures of any split of the rows, put together, are those of all rows.

    The cells of an order-bound check may differ, and its verdicts be apart by the errors that they tell.
    """
    whole = views_of(check, rule, batch)
    merged = merged_views([views_of(check, rule, part) for part in parts])
    _same("windows", set(merged), set(whole))
    for start, view in whole.items():
        other = merged[start]
        _same("rows", other.rows, view.rows)
        found, wanted = check.verdict(rule, known(other)), check.verdict(rule, known(view))
        if check.order_bound and (found.error or wanted.error):
            off = abs((found.observed or 0.0) - (wanted.observed or 0.0))
            _true(off <= found.error + wanted.error, f"{found} and {wanted} are apart by more than their errors")
            continue
        _same("counts", dict(other.counts), dict(view.counts))
        if not check.order_bound:
            _same("cells", dict(other.cells), dict(view.cells))
        _true(same_verdict(found, wanted), f"the parts say {found}, the whole says {wanted}")


def stored_state_says_the_same(check: Check, rule: CheckRule, batch: pl.DataFrame, known: Known = as_it_is) -> None:
    """Hold a check to its second law: a state that was packed and unpacked gives the same verdict."""
    for view in views_of(check, rule, batch).values():
        stored = {name: unpack_cell(pack_cell(cell)) for name, cell in view.cells.items()}
        _same("verdict", check.verdict(rule, known(replace(view, cells=stored))), check.verdict(rule, known(view)))


def no_rows_never_pass(check: Check, rule: CheckRule, known: Known = as_it_is) -> Verdict:
    """Hold a check to its third law: a window without rows does not pass; return what is said of it."""
    found = check.verdict(rule, known(View(0, 3600, 0)))
    _true(found.outcome is not Outcome.PASS, "a window without rows passes")
    _true(bool(found.detail), "it does not say why a window without rows is not checked")
    return found


def words_and_parameters(check: Check, rule: CheckRule) -> None:
    """Hold a check to its fourth law: it accepts the rule, and has words for it and for each of its parameters."""
    kinds = {name: KIND_OF[kind] for name, kind in rule.types.items()}
    _same("problem", check.problem(rule, kinds), "")
    _true(bool(check.sentence(rule)) and bool(check.summary), "it has no sentence or no summary")
    _true(issubclass(check.Model, Parameters), "its Model is no Parameters")
    fields: Mapping[str, object] = check.Model.model_fields
    silent = [name for name, field in fields.items() if not getattr(field, "description", "")]
    _same("parameters without a description", silent, [])


def same_verdict(left: Verdict, right: Verdict) -> bool:
    """Return True for the same verdict; a mean may be rounded otherwise."""
    if left.observed is None or right.observed is None:
        return left == right
    close = math.isclose(left.observed, right.observed, abs_tol=1e-9) or left.observed == right.observed
    near = math.isclose(left.error, right.error, abs_tol=1e-9)
    rows = (left.outcome, left.rows, left.rows_at_risk) == (right.outcome, right.rows, right.rows_at_risk)
    return close and near and rows


def _same(what: str, found: object, wanted: object) -> None:
    _true(found == wanted, f"{what}: {found} is not {wanted}")


def _true(holds: bool, told: str) -> None:
    if not holds:
        raise AssertionError(told)
