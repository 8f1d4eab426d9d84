"""What every job needs, imported once, before the first fork.

Nothing here may open a connection, which does not survive a fork. Threads do not either: numpy and
DuckDB start one each when they are imported, but those rest until they are given work.
"""

from __future__ import annotations

import gc
import importlib
import os
import platform
import typing as t
from pathlib import Path

# Imported on first use by SQLMesh's loader, planner and evaluator: found by comparing `sys.modules`
# before and after a job. One that is missing in this Python is not needed by it.
WARM = (
    "pandas",
    "duckdb",
    "sqlmesh.core.context",
    "sqlmesh.core.plan.evaluator",
    "sqlmesh.core.state_sync.db",
    "sqlmesh.core.engine_adapter.duckdb",
    "sqlmesh.core.test.definition",
    "sqlmesh.core.config.loader",
    "sqlmesh.integrations.github.cicd.config",
    "sqlglot.dialects.duckdb",
    "sqlglot.optimizer",
    "sqlglot.serde",
    "sqlmesh.core.audit.builtin",
    "sqlmesh.magics",  # asked for at every API call, and brings IPython along
    "rich._emoji_codes",
    "logging.config",
)


def load() -> dict[str, t.Any]:
    """Imports SQLMesh and what it will need; the versions go into the server's greeting.

    Raises ImportError when SQLMesh itself is missing.
    """
    sqlmesh = importlib.import_module("sqlmesh")
    # Older versions do not ask the environment. No personal configuration is read, and its time is
    # part of no model's cache key.
    importlib.import_module("sqlmesh.core.constants").SQLMESH_PATH = Path(
        os.environ["SQLMESH_HOME"]
    )
    importlib.import_module("sluice_bridge.job")
    for name in WARM:
        try:
            importlib.import_module(name)
        except Exception:  # an optional library that is broken is as good as missing
            continue
    gc.collect()
    gc.freeze()  # or the first collection in a child copies every page it touches
    return {
        "sqlmesh": getattr(sqlmesh, "__version__", "unknown"),
        "python": platform.python_version(),
        "pid": os.getpid(),
    }
