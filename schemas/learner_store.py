"""Where learners are kept: HOME/learners/NAME.yaml, one file each; shipped ones are copied there once."""

import os
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cache
from importlib import resources
from pathlib import Path

from headrace.core.files import write_atomically
from headrace.errors import ContractInvalid
from headrace.schemas.contract import Contract
from headrace.schemas.learner_fields import Contracts
from headrace.schemas.learner_file import parse_learner
from headrace.schemas.learner_spec import LearnerSpec
from headrace.schemas.problems import LearnerProblems
from headrace.schemas.strict_yaml import load_yaml
from headrace.settings import Paths

SUFFIX = ".yaml"
COPIED = ".copied"
"""`.NAME.copied` beside the learners says that a shipped one was copied: deleted by a person, it stays deleted."""
FOLLOWED = ".followed"
"""`.NAME.followed` beside the learners is the text that NAME goes by while its file cannot be followed."""
_MISTAKEN = ".yml"
_SAVING_SECS = 1.0


@dataclass(frozen=True)
class Learners:
    """The learners of a home by name, and by file what is wrong with those that cannot be followed.

    A learner whose file cannot be followed any more is in both: it goes on as the file was.
    """

    specs: tuple[LearnerSpec, ...] = ()
    problems: Mapping[str, tuple[str, ...]] = field(default_factory=dict)

    def goes_on(self, file: str) -> LearnerSpec | None:
        """Return the learner that goes on although its file cannot be followed; None: it rests."""
        name = file.removesuffix(SUFFIX)
        return next((spec for spec in self.specs if spec.name == name), None) if file in self.problems else None


@dataclass(frozen=True)
class _Read:
    """A file as it was read: its bytes, the versions of the contracts that it was read against, what came of it."""

    content: bytes
    contracts: Mapping[str, str | None]
    spec: LearnerSpec | None
    problems: tuple[str, ...]


def learner_path(paths: Paths, name: str) -> Path:
    """Return where a home keeps a learner."""
    return paths.learners / f"{name}{SUFFIX}"


def declared_learners(paths: Paths) -> frozenset[str]:
    """Return the learners whose files are in the home."""
    if not paths.learners.is_dir():
        return frozenset()
    names = [path.name for path in paths.learners.iterdir()]
    return frozenset(name.removesuffix(SUFFIX) for name in names if name.endswith(SUFFIX) and name[0] != ".")


def _note(path: Path) -> Path:
    return path.with_name(f".{path.name.removesuffix(SUFFIX)}{FOLLOWED}")


@cache
def shipped_learners() -> Mapping[str, tuple[str, str]]:
    """Return (dataset, text) of each learner that comes with headrace, by its name."""
    files = resources.files("headrace.schemas").joinpath("learners").iterdir()
    texts = {file.name.removesuffix(SUFFIX): file.read_text(encoding="utf-8") for file in files}
    return {name: (load_yaml(text)[0]["dataset"], text) for name, text in sorted(texts.items())}


class LearnerStore:
    """The learners of a home. Not for use from several threads; reads files, never a service.

    `contracts` gives the contract of a dataset as it is now; `now` the seconds since 1970. Who runs the learners lets
    it `keep` the texts that they go by in the home, so that a restart and other processes know them.
    """

    def __init__(
        self, paths: Paths, contracts: Contracts, *, now: Callable[[], float] = time.time, keep: bool = False
    ) -> None:
        self._paths, self._contracts, self._now, self._keeps = paths, contracts, now, keep
        self._known: dict[Path, _Read] = {}

    def adopt(self, dataset: str) -> tuple[str, ...]:
        """Copy the learners that come with headrace for a dataset to the home, each once; return those copied now.

        Never over a file that is there, and not again after a person deleted it. May be repeated.
        """
        return tuple(
            name for name, (about, text) in shipped_learners().items() if about == dataset and self._copy(name, text)
        )

    def specs(self) -> Learners:
        """Return all learners of the home. Looks at every file, and reads one again when it or a contract changed.

        A file that cannot be followed stops no other. One that was written within the last second may be half written:
        for that second the learner stays what it was. One that was sound before leaves its learner as it was, with its
        problems told, if the text before can be followed by the contracts as they are.
        """
        found = [self._read(path) for path in self._files()]
        known = {path: read for path, read in found if read is not None}
        if self._keeps:
            self._keep(known)
        self._known = known
        specs = [read.spec for read in self._known.values() if read.spec is not None]
        problems = {path.name: read.problems for path, read in self._known.items() if read.problems}
        return Learners(tuple(sorted(specs, key=lambda spec: spec.name)), problems)

    def _files(self) -> list[Path]:
        """Return what is meant as a learner: whoever puts one aside calls it NAME.yaml.off or the like."""
        folder = self._paths.learners
        files = folder.iterdir() if folder.is_dir() else ()
        return sorted(path for path in files if path.suffix in {SUFFIX, _MISTAKEN} and not path.name.startswith("."))

    def _read(self, path: Path) -> tuple[Path, _Read | None]:
        before = self._known.get(path)
        if path.suffix != SUFFIX:
            return path, _Read(b"", {}, None, (f"it is not read: rename it to {path.stem}{SUFFIX}",))
        try:
            content, written_at = path.read_bytes(), path.stat().st_mtime
        except FileNotFoundError:
            return path, None
        except OSError as error:
            return path, _Read(b"", {}, None, (f"it cannot be read: {error.strerror}",))
        if before is not None and before.content == content and before.contracts == self._versions(before.contracts):
            return path, before
        read = self._parsed(path, content)
        if read.problems and before is not None and before.spec and self._now() - written_at < _SAVING_SECS:
            return path, before
        return path, self._going_on(path, read, before) if read.problems else read

    def _going_on(self, path: Path, read: _Read, before: _Read | None) -> _Read:
        """Return what was read of a file that cannot be followed, with the learner that it was before."""
        kept = _note(path)
        text = before.spec.text if before and before.spec else kept.read_text("utf-8") if kept.exists() else ""
        earlier = self._parsed(path, text.encode()) if text else None
        if earlier is None or earlier.spec is None:
            return read
        return _Read(read.content, {**read.contracts, **earlier.contracts}, earlier.spec, read.problems)

    def _keep(self, known: Mapping[Path, _Read]) -> None:
        """Write down the texts that learners go by, and forget those of learners whose files are gone."""
        for path, read in known.items():
            if read.spec is not None and not read.problems and read is not self._known.get(path):
                write_atomically(_note(path), read.content)
        folder = self._paths.learners
        for note in folder.glob(f".*{FOLLOWED}") if folder.is_dir() else ():
            if folder / f"{note.name.removesuffix(FOLLOWED)[1:]}{SUFFIX}" not in known:
                note.unlink()

    def _parsed(self, path: Path, content: bytes) -> _Read:
        asked: dict[str, str | None] = {}

        def contracts(dataset: str) -> Contract | None:
            # No version of any contract: where it cannot be followed, the learner is read again each time.
            asked[dataset] = ""
            found = self._contracts(dataset)
            asked[dataset] = found.version if found else None
            return found

        try:
            spec = parse_learner(content.decode("utf-8-sig"), contracts, path.name, str(path))
        except UnicodeDecodeError as error:
            return _Read(content, asked, None, (f"it is not UTF-8: byte {error.start}",))
        except LearnerProblems as error:
            return _Read(content, asked, None, error.problems)
        if spec.name != path.name.removesuffix(SUFFIX):
            what = (
                f'name: is "{spec.name}", the file {path.name}; rename the file to {spec.name}{SUFFIX}, or the learner'
            )
            return _Read(content, asked, None, (what,))
        return _Read(content, asked, spec, ())

    def _versions(self, asked: Mapping[str, str | None]) -> Mapping[str, str | None]:
        try:
            found = {dataset: self._contracts(dataset) for dataset in asked}
        except ContractInvalid:
            return {"": None}
        return {dataset: contract.version if contract else None for dataset, contract in found.items()}

    def _copy(self, name: str, text: str) -> bool:
        """Write a shipped learner unless it was copied before: whole or not at all, and never over a file."""
        target = learner_path(self._paths, name)
        copied = target.with_name(f".{name}{COPIED}")
        if copied.exists():
            return False
        target.parent.mkdir(parents=True, exist_ok=True)
        draft = target.with_name(f".{target.name}.{os.getpid()}.draft")
        try:
            draft.write_text(text, encoding="utf-8")
            os.link(draft, target)
            new = True
        except FileExistsError:
            new = False
        finally:
            draft.unlink(missing_ok=True)
        copied.touch()
        return new
