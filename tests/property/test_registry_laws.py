"""Laws of the registry: ids, compatibility, and a state that follows from the topic alone."""

import json
import warnings
from collections.abc import Callable
from typing import Any

import avro.schema
from avro.compatibility import ReaderWriterCompatibilityChecker, SchemaCompatibilityType
from hypothesis import given
from hypothesis import strategies as st

from headrace.embedded.registry.avro_check import parse_new
from headrace.embedded.registry.compatibility import Earlier, Level, differences, violations
from headrace.embedded.registry.refusals import Refusal
from headrace.embedded.registry.store import Store
from headrace.testing.registry import MemoryRegistry

PRIMITIVES = st.sampled_from(["null", "boolean", "int", "long", "float", "double", "bytes", "string"])
NAMES = st.sampled_from(["a", "b", "c", "d"])


def _unions(inner: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    def kind(branch: Any) -> str:
        return str(branch["type"] if isinstance(branch, dict) else branch)

    plain = inner.filter(lambda branch: not isinstance(branch, list))
    return st.lists(plain, min_size=1, max_size=3, unique_by=kind)


TYPES: st.SearchStrategy[Any] = st.recursive(
    PRIMITIVES,
    lambda inner: st.one_of(
        inner.map(lambda items: {"type": "array", "items": items}),
        inner.map(lambda values: {"type": "map", "values": values}),
        _unions(inner),
    ),
    max_leaves=6,
)


@st.composite
def schemas(draw: st.DrawFn) -> str:
    """One record of up to four fields; enum and fixed under names of their own, so that no name is used twice."""
    fields: list[dict[str, Any]] = []
    for name in draw(st.lists(NAMES, unique=True, max_size=4)):
        named = st.sampled_from(
            [
                {"type": "enum", "name": f"E_{name}", "symbols": ["X", "Y"]},
                {"type": "enum", "name": f"E_{name}", "symbols": ["X"], "default": "X"},
                {"type": "fixed", "name": f"F_{name}", "size": 2},
                {"type": "fixed", "name": f"F_{name}", "size": 4},
            ]
        )
        field: dict[str, Any] = {"name": name, "type": draw(st.one_of(TYPES, named))}
        if field["type"] in ("int", "long", "float", "double") and draw(st.booleans()):
            field["default"] = 0
        if isinstance(field["type"], list) and field["type"][0] == "null" and draw(st.booleans()):
            field["default"] = None
        fields.append(field)
    return json.dumps({"type": "record", "name": draw(st.sampled_from(["R", "S"])), "fields": fields})


@given(schemas())
def test_the_stored_text_is_stable_and_means_the_same(text: str) -> None:
    stored = parse_new(text).text
    assert parse_new(stored).text == stored
    assert avro.schema.parse(stored) == avro.schema.parse(text)


@given(schemas(), schemas())
def test_we_agree_with_avros_own_compatibility(reader: str, writer: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        checker = ReaderWriterCompatibilityChecker()  # type: ignore[no-untyped-call]
        theirs = checker.get_compatibility(avro.schema.parse(reader), avro.schema.parse(writer))
    ours = differences(parse_new(reader).root, parse_new(writer).root)
    assert (not ours) == (theirs.compatibility is SchemaCompatibilityType.compatible)


@given(schemas())
def test_a_schema_is_compatible_with_itself_at_every_level(text: str) -> None:
    new = parse_new(text)
    assert not any(violations(level, new, [Earlier(1, parse_new(text))]) for level in Level)


@given(schemas(), st.lists(schemas(), max_size=3))
def test_levels_relate_as_their_names_say(new: str, history: list[str]) -> None:
    earlier = [Earlier(place, parse_new(text)) for place, text in enumerate(history, 1)]
    fine = {level: not violations(level, parse_new(new), earlier) for level in Level}
    assert fine[Level.NONE]
    assert fine[Level.FULL] == (fine[Level.BACKWARD] and fine[Level.FORWARD])
    assert fine[Level.FULL_TRANSITIVE] == (fine[Level.BACKWARD_TRANSITIVE] and fine[Level.FORWARD_TRANSITIVE])
    for level in (Level.BACKWARD, Level.FORWARD, Level.FULL):
        transitive = Level(f"{level}_TRANSITIVE")
        each = all(not violations(level, parse_new(new), [one]) for one in earlier)
        assert fine[transitive] == each
        assert fine[level] or not fine[transitive]


@given(schemas(), schemas())
def test_backward_one_way_is_forward_the_other(one: str, other: str) -> None:
    first, second = parse_new(one), parse_new(other)
    backward = violations(Level.BACKWARD, first, [Earlier(1, second)])
    forward = violations(Level.FORWARD, second, [Earlier(1, first)])
    assert bool(backward) == bool(forward)


TEXTS = [f'{{"type":"record","name":"R{number}","fields":[]}}' for number in range(3)]
SUBJECTS = st.sampled_from(["a", "b"])
STEPS = st.one_of(
    st.tuples(st.just("register"), SUBJECTS, st.sampled_from(TEXTS)),
    st.tuples(st.just("delete_version"), SUBJECTS, st.integers(1, 4), st.booleans()),
    st.tuples(st.just("delete_subject"), SUBJECTS, st.booleans()),
    st.tuples(st.just("set_level"), SUBJECTS, st.sampled_from(["NONE", "FULL"])),
    st.tuples(st.just("delete_level"), SUBJECTS),
    st.tuples(st.just("set_mode"), SUBJECTS, st.sampled_from(["READWRITE", "READONLY"])),
    st.tuples(st.just("delete_mode"), SUBJECTS),
)


def do(registry: MemoryRegistry, step: tuple[Any, ...]) -> Any:
    service = registry.service
    steps: dict[str, Callable[..., Any]] = {
        "delete_version": lambda subject, version, hard: service.delete_version(subject, version, permanent=hard),
        "delete_subject": lambda subject, hard: service.delete_subject(subject, permanent=hard),
    }
    try:
        return steps.get(step[0], getattr(service, step[0]))(*step[1:])
    except Refusal:
        return None


def state(store: Store) -> tuple[Any, ...]:
    names = (None, "a", "b")
    return (
        list(store.all_versions()),
        [store.level(name) for name in names],
        [store.mode(name) for name in names],
        {text: store.ids_of(parse_new(text)) for text in TEXTS},
        store.highest_id,
    )


@given(st.lists(STEPS, max_size=25))
def test_ids_are_never_shared_and_the_topic_alone_gives_the_state(steps: list[tuple[Any, ...]]) -> None:
    text_of: dict[int, str] = {}
    with MemoryRegistry() as registry:
        registry.service.set_level(None, "NONE")
        for step in steps:
            found = do(registry, step)
            if step[0] != "register" or found is None:
                continue
            assert text_of.setdefault(found.id, found.text) == found.text
            written = len(registry.log.records)
            assert registry.service.register(step[1], step[2]) == found
            assert len(registry.log.records) == written
            assert registry.service.lookup(step[1], step[2]) == found
        for records in (registry.log.records, registry.log.compacted()):
            later = Store()
            for key, value in records:
                later.apply(key, value)
            assert state(later) == state(registry.store)
