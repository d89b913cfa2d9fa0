"""YAML without its traps: a key given twice, an alias, or a date made of a version is an error or plain text."""

from typing import Any

import yaml

MAX_TEXT = 2**20


class YamlInvalid(ValueError):
    """Text that is not YAML as contracts use it; the message names the line."""


class _Loader(yaml.SafeLoader):
    """SafeLoader that refuses repeated keys and aliases, and leaves dates as text."""

    yaml_implicit_resolvers = {  # noqa: RUF012
        first: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }

    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            event = self.peek_event()  # type: ignore[no-untyped-call]
            raise YamlInvalid(f'line {event.start_mark.line + 1}: alias "*{event.anchor}": write the value out')
        node: yaml.Node | None = super().compose_node(parent, index)
        if isinstance(node, yaml.MappingNode):
            self._refuse_repeated(node)
        return node

    @staticmethod
    def _refuse_repeated(node: yaml.MappingNode) -> None:
        seen: dict[str, int] = {}
        for name, _value in node.value:
            line = name.start_mark.line + 1
            if not isinstance(name, yaml.ScalarNode) or name.tag == "tag:yaml.org,2002:merge":
                raise YamlInvalid(f"line {line}: a key must be plain text")
            if name.value in seen:
                raise YamlInvalid(f'line {line}: key "{name.value}" is there twice (first in line {seen[name.value]})')
            seen[name.value] = line


def load_yaml(text: str) -> tuple[Any, yaml.Node | None]:
    """Return the data and the node tree (for line numbers) of a YAML text; raises YamlInvalid."""
    if len(text) > MAX_TEXT:
        raise YamlInvalid(f"it has {len(text)} characters, at most {MAX_TEXT} are allowed")
    loader = None
    try:
        loader = _Loader(text)
        node = loader.get_single_node()
        return (None if node is None else loader.construct_document(node)), node
    except RecursionError as error:
        raise YamlInvalid("it is nested too deeply") from error
    except yaml.MarkedYAMLError as error:
        line = f"line {error.problem_mark.line + 1}: " if error.problem_mark else ""
        raise YamlInvalid(f"{line}not YAML: {error.problem}") from error
    except (yaml.YAMLError, ValueError) as error:
        if isinstance(error, YamlInvalid):
            raise
        raise YamlInvalid(f"not YAML: {' '.join(str(error).split())}") from error
    finally:
        if loader is not None:
            loader.dispose()
