"""A model's state goes into JSON and back whole, and nothing that is not a model's comes out of it."""

import collections
import json
import math
import random

import numpy as np
import pytest

from headrace.stream_processors.steps.model_state import FORMAT, StateRefused, pack, unpack


class Node:
    """Anything with a state: it is in a package that a test names."""

    def __init__(self, other: "Node | None" = None) -> None:
        self.other = other


HERE = (__name__,)


def test_values_come_back_as_they_were_with_their_types() -> None:
    given = {
        "numbers": [1, 2.5, -0.0, math.inf, True, None, 10**30],
        "keys": {1: "a", (2, "b"): [3]},
        "bytes": b"\x00\xff",
        "set": {"a", "b"},
        "frozen": frozenset({1, 2}),
        "array": np.arange(6, dtype=np.float32).reshape(2, 3),
        "scalar": np.int64(7),
        "counter": collections.Counter("aab"),
        "queue": collections.deque([1, 2], maxlen=3),
        "default": collections.defaultdict(list, {"x": [1]}),
    }
    found = unpack(pack(given))
    array = found.pop("array")
    np.testing.assert_array_equal(array, given.pop("array"))
    assert array.dtype == np.float32
    assert found == given
    assert {name: type(value) for name, value in found.items()} == {name: type(value) for name, value in given.items()}
    assert found["queue"].maxlen == 3
    assert math.copysign(1, found["numbers"][2]) == -1


def test_not_a_number_is_kept() -> None:
    assert math.isnan(unpack(pack([math.nan]))[0])


def test_what_is_shared_stays_shared_and_a_cycle_closes() -> None:
    shared: list[object] = [1]
    cycle = Node()
    cycle.other = Node(cycle)
    found = unpack(pack([shared, shared, cycle], HERE), HERE)
    assert found[0] is found[1]
    assert found[2].other.other is found[2]


def test_a_chain_deeper_than_pythons_stack_is_kept() -> None:
    chain = None
    for _ in range(20_000):
        chain = Node(chain)
    found, length = unpack(pack(chain, HERE), HERE), 0
    while found is not None:
        found, length = found.other, length + 1
    assert length == 20_000


def test_equal_states_have_equal_bytes_also_after_reading_them() -> None:
    chance = random.Random(3)
    chance.random()
    kept = pack({"chance": chance, "names": {"b", "a", "c"}})
    assert pack(unpack(kept)) == kept
    assert unpack(kept)["chance"].random() == chance.random()


def test_a_class_outside_of_the_allowed_packages_is_not_packed() -> None:
    with pytest.raises(StateRefused, match="Node"):
        pack(Node())


@pytest.mark.parametrize(
    "name",
    [
        "os:system",
        "builtins:eval",
        "builtins:open",
        "builtins:__import__",
        "subprocess:Popen",
        "posix:system",
        "river.datasets.sms_spam:SMSSpam",
        "river.stream.iter_csv:iter_csv",
        "headrace.settings:Settings",
        "headrace.stream_processors.steps.model_state:importlib.import_module",
        "headrace.stream_processors.steps.model_state:pack.__globals__",
    ],
)
@pytest.mark.parametrize("shape", ["class", "called", "object"])
def test_a_state_that_names_what_is_no_models_is_refused_before_anything_is_made(name: str, shape: str) -> None:
    entry = {
        "class": ["l", ["c", name]],
        "called": ["r", name, ["true"], None, [], []],
        "object": ["o", name, [], None, [], []],
    }
    forged = json.dumps({"format": FORMAT, "root": ["@", 0], "objects": [entry[shape]]}).encode()
    with pytest.raises(StateRefused):
        unpack(forged)


@pytest.mark.parametrize("name", ["river.nowhere:Model", "river.tree.nowhere:Model", "river.tree:Nowhere"])
def test_a_state_that_names_what_is_not_there_is_refused(name: str) -> None:
    table: list[list[object]] = [["o", name, [], None, [], []]]
    with pytest.raises(StateRefused, match=r"cannot be read.*owhere"):
        unpack(json.dumps({"format": FORMAT, "root": ["@", 0], "objects": table}).encode())


def test_a_function_of_an_allowed_package_cannot_be_called() -> None:
    entry = ["r", "headrace.stream_processors.steps.model_state:pack", [1], None, [], []]
    with pytest.raises(StateRefused, match="may not be called"):
        unpack(json.dumps({"format": FORMAT, "root": ["@", 0], "objects": [entry]}).encode())


def test_an_attribute_with_underscores_is_no_method() -> None:
    table = [["m", ["@", 1], "__class__"], ["l"]]
    with pytest.raises(StateRefused, match="__class__"):
        unpack(json.dumps({"format": FORMAT, "root": ["@", 0], "objects": table}).encode())


@pytest.mark.parametrize(
    "broken", [b"", b"{}", b"[1]", b"\x80\x04K\x01.", b'{"format": 2, "root": ["@", 9], "objects": []}']
)
def test_bytes_that_are_no_state_are_refused(broken: bytes) -> None:
    with pytest.raises(StateRefused, match="cannot be read"):
        unpack(broken)


def test_a_state_of_another_format_is_refused_with_its_number() -> None:
    with pytest.raises(StateRefused, match="format 1, not 2"):
        unpack(b'{"format": 1, "root": null, "objects": []}')
