"""What the figures of a bench were taken on, and where they are kept."""

import importlib.metadata
import json
import platform
import subprocess
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import psutil
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

RESULTS = Path(__file__).parent / "results"


def machine() -> dict[str, Any]:
    """Return what the figures were taken on."""
    commit = subprocess.run(["git", "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
    return {
        "command": f"python -m {_module()} {' '.join(sys.argv[1:])}".strip(),
        "commit": commit.stdout.strip(),
        "cores": psutil.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "python": platform.python_version(),
        "taken_at": datetime.now(UTC).isoformat(timespec="seconds"),
    }


def installed_mb(package: str) -> int:
    """Return what a package takes in this environment with all that it needs to run, compiled files included, in MB."""
    missing, found, size = [package], set[str](), 0
    while missing:
        name = canonicalize_name(missing.pop())
        if name in found:
            continue
        found.add(name)
        try:
            known = importlib.metadata.distribution(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        paths = (Path(str(path.locate())) for path in known.files or ())
        size += sum(path.lstat().st_size for path in paths if path.exists())
        needed = map(Requirement, known.requires or ())
        missing += [one.name for one in needed if one.marker is None or one.marker.evaluate({"extra": ""})]
    return round(size / 1e6)


def _module() -> str:
    own = Path(sys.argv[0])
    return "benchmarks" if own.stem == "__main__" else f"benchmarks.{own.stem}"


def save(result: Mapping[str, Any], name: str = "line") -> Path:
    """Write figures to benchmarks/results/<time>-<name>.json and return the path."""
    RESULTS.mkdir(exist_ok=True)
    saved = RESULTS / f"{datetime.now(UTC):%Y%m%dT%H%M%SZ}-{name}.json"
    saved.write_text(json.dumps(result, indent=2) + "\n")
    return saved
