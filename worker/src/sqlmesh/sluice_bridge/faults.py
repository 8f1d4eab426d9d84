"""What went wrong, in the few words that the worker acts on."""

from __future__ import annotations

import re
import traceback
import typing as t

from sqlglot.errors import SqlglotError
from sqlmesh.utils.errors import (
    CircuitBreakerError,
    ConfigError,
    ConflictingPlanError,
    LinterError,
    PlanError,
    SQLMeshError,
    UncategorizedPlanError,
)

from sluice_bridge.wire import clip

MAX_MESSAGE = 8_000
MAX_TRACEBACK_LINES = 30
# SQLMesh's own table by its exact name, or its key's: `daily_snapshots` is somebody's model.
RECORDED_TWICE = re.compile(
    r"duplicate (?:key|entry)\b.*(?<![\w$])_snapshots(?:_pkey|\.PRIMARY)?(?![\w$])",
    re.IGNORECASE | re.DOTALL,
)
CONNECTS = ("sqlmesh/core/config/connection.py", "sqlmesh/utils/connection_pool.py")


class Halted(Exception):
    """The worker said no; nothing after the named stage began."""


class Fault(Exception):
    """An error whose class is known where it is raised."""

    def __init__(self, kind: str, message: str) -> None:
        super().__init__(message)
        self.kind = kind


def describe(error: BaseException, phase: str) -> dict[str, t.Any]:
    """The error as the worker reads it. `phase` is what was being done: `load`, `plan`, …"""
    trace = "".join(traceback.format_exception(type(error), error, error.__traceback__))
    return {
        "class": classify(error, phase),
        "message": clip(_sentence(error), MAX_MESSAGE),
        "traceback": clip("\n".join(trace.splitlines()[-MAX_TRACEBACK_LINES:]), MAX_MESSAGE),
    }


def classify(error: BaseException, phase: str) -> str:
    """The class of an error. Subclasses of PlanError come before it."""
    if isinstance(error, Fault):
        return error.kind
    if isinstance(error, (Halted, CircuitBreakerError)):
        return "halted"
    if _is_conflict(error):
        return "conflict"
    if isinstance(error, UncategorizedPlanError):
        return "uncategorized"
    if any(_is_locked(link) for link in _chain(error)):
        return "busy"
    if any(RECORDED_TWICE.search(str(link)) for link in _chain(error)):
        return "conflict"
    if isinstance(error, LinterError):
        return "lint"
    if isinstance(error, ConfigError) and phase == "policy":
        return "config"
    if isinstance(error, PlanError) and phase != "apply":
        return "plan"
    return phase if isinstance(error, (SQLMeshError, SqlglotError, ValueError)) else "other"


def _is_conflict(error: BaseException) -> bool:
    # Finalize reports it as a plain SQLMeshError, with this beginning.
    return isinstance(error, ConflictingPlanError) or (
        isinstance(error, SQLMeshError) and str(error).startswith("Another plan (")
    )


def _is_locked(link: BaseException) -> bool:
    # Where SQLMesh connects: a model's own SQL may attach a file that is locked for good.
    if type(link).__name__ != "IOException" or "duckdb" not in type(link).__module__:
        return False
    if "could not set lock on file" not in str(link).lower():
        return False
    frames = traceback.walk_tb(link.__traceback__)
    return any(frame.f_code.co_filename.endswith(CONNECTS) for frame, _ in frames)


def _chain(error: BaseException) -> t.Iterator[BaseException]:
    seen: set[int] = set()
    link: t.Optional[BaseException] = error
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__


def _sentence(error: BaseException) -> str:
    text = str(error).strip()
    if isinstance(error, (SQLMeshError, SqlglotError, Fault, Halted)) and text:
        return text
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
