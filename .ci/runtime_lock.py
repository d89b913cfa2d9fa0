"""Print the part of requirements.lock that the image needs: python .ci/runtime_lock.py --without chdb,jgo > run.lock.

The lock pins the packages of development too. uv writes below each package which ones ask for it (`# via`); what is
reached from the dependencies of pyproject.toml, without those left out, is printed with its hashes as it stands.
"""

import argparse
import re
import sys
import tomllib
from collections.abc import Collection, Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
_PACKAGE = re.compile(r"^(?P<name>[A-Za-z0-9][A-Za-z0-9._-]*)==")


def canonical(name: str) -> str:
    """Return a package's name as pip compares it.

    >>> canonical("types_PyYAML")
    'types-pyyaml'
    """
    return re.sub(r"[-_.]+", "-", name).lower()


def blocks(lock: str) -> dict[str, str]:
    """Return each package's lines by its name, with the comments that say who asks for it."""
    found: dict[str, list[str]] = {}
    name = ""
    for line in lock.splitlines():
        if match := _PACKAGE.match(line):
            name = canonical(match["name"])
        if name:
            found.setdefault(name, []).append(line)
    return {name: "\n".join(lines) for name, lines in found.items()}


def askers(block: str) -> frozenset[str]:
    """Return who asks for a package, by the comments below it."""
    lines = [line.strip() for line in block.splitlines() if line.strip().startswith("#")]
    words = [line.removeprefix("#").strip().removeprefix("via").strip() for line in lines]
    return frozenset(canonical(word) for word in words if word and "(" not in word)


def reached(lock: dict[str, str], wanted: Iterable[str], without: Collection[str]) -> frozenset[str]:
    """Return the packages that `wanted` ask for, and those ask for, until nothing is added."""
    found = {name for name in wanted if name in lock and name not in without}
    asked = {name: askers(block) for name, block in lock.items()}
    while more := {name for name, by in asked.items() if by & found and name not in without} - found:
        found |= more
    return frozenset(found)


def runtime_lock(without: Collection[str] = (), also: Collection[str] = ()) -> str:
    """Return the text of the image's lock; `also` are packages that are needed beside the dependencies."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = [canonical(re.split(r"[\[<>=~! ;]", text, maxsplit=1)[0]) for text in project["dependencies"]]
    lock = blocks((ROOT / "requirements.lock").read_text(encoding="utf-8"))
    names = reached(lock, [*wanted, *also], without)
    return "\n".join(lock[name] for name in sorted(names)) + "\n"


def _names(text: str) -> list[str]:
    return [canonical(name) for name in text.split(",") if name]


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--without", type=_names, default=[], help="Packages to leave out, by comma.")
    parser.add_argument("--also", type=_names, default=[], help="Packages to take as well, by comma.")
    chosen = parser.parse_args()
    sys.stdout.write(runtime_lock(chosen.without, chosen.also))
