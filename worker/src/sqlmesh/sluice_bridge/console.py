"""SQLMesh's console, turned into text for comments and events for the worker.

The parents' progress bars are not started: they cost a thread and draw for a terminal that is not
there.
"""

from __future__ import annotations

import time
import typing as t

from sqlmesh.core.console import MarkdownConsole
from sqlmesh.utils import Verbosity

from sluice_bridge.wire import clip

PROGRESS_EVERY_S = 0.2
MAX_FAILURES = 20


class BridgeConsole(MarkdownConsole):
    """Captures what SQLMesh prints, and tells how far an apply is."""

    def __init__(self, tell: t.Callable[[dict[str, t.Any]], None]) -> None:
        # As wide as the reference bot's, or interval lists are broken at 80 columns. Very verbose,
        # or long lists of models are shortened in the middle.
        super().__init__(
            width=1000,
            warning_capture_only=True,
            error_capture_only=True,
            verbosity=Verbosity.VERY_VERBOSE,
        )
        self._tell = tell
        self._phase, self._done, self._total = "", 0, 0
        self._told_at = 0.0
        self.failures: list[str] = []
        self.naming: t.Callable[[t.Any], str] = lambda snapshot: str(snapshot.name)

    def drain(self) -> list[str]:
        """Forgets everything that was captured, and returns the warnings: what one operation
        printed must not appear in the next one's report."""
        warnings = [clip(warning, 2_000) for warning in self._warnings[:50]]
        self._captured_outputs, self._warnings, self._errors = [], [], []
        self.failures = []
        return warnings

    # -- progress: the total is known at the start, each update is one batch or model

    def start_creation_progress(self, snapshots: t.Any, *_: t.Any, **__: t.Any) -> None:
        self._begin("create tables", len(snapshots))

    def update_creation_progress(self, snapshot: t.Any, *_: t.Any, **__: t.Any) -> None:
        self._advance(snapshot)

    def stop_creation_progress(self, *_: t.Any, **__: t.Any) -> None:
        pass

    def start_evaluation_progress(self, batched_intervals: t.Any, *_: t.Any, **__: t.Any) -> None:
        self._begin("backfill", sum(len(batches) for batches in batched_intervals.values()))

    def start_snapshot_evaluation_progress(self, *_: t.Any, **__: t.Any) -> None:
        pass

    def update_snapshot_evaluation_progress(
        self,
        snapshot: t.Any,
        interval: t.Any,
        batch_idx: int,
        duration_ms: t.Any,
        *_: t.Any,
        **__: t.Any,
    ) -> None:
        if duration_ms is not None:  # None: the batch failed
            self._advance(snapshot)

    def stop_evaluation_progress(self, *_: t.Any, **__: t.Any) -> None:
        pass

    def start_promotion_progress(self, snapshots: t.Any, *_: t.Any, **__: t.Any) -> None:
        self._begin("swap views", len(snapshots))

    def update_promotion_progress(self, snapshot: t.Any, *_: t.Any, **__: t.Any) -> None:
        self._advance(snapshot)

    def stop_promotion_progress(self, *_: t.Any, **__: t.Any) -> None:
        pass

    def loading_start(self, *_: t.Any, **__: t.Any) -> t.Any:
        return None

    def loading_stop(self, *_: t.Any, **__: t.Any) -> None:
        pass

    # -- what would otherwise only be printed

    def log_failed_models(self, errors: t.Any) -> None:
        """Keeps the causes: SQLMesh's own error says only that the application failed."""
        for error in list(errors)[:MAX_FAILURES]:
            cause = error.__cause__ or error
            node = getattr(error.node, "snapshot_name", None) or getattr(error.node, "name", "")
            name = str(node).replace('"', "")
            why = f"{type(cause).__name__}: {cause}"
            self.failures.append(clip(f"{name}: {why}" if name else why, 4_000))
        super().log_failed_models(errors)

    def _print(self, value: t.Any, **kwargs: t.Any) -> None:
        # The parent renders everything twice, once for a terminal.
        with self.console.capture() as capture:
            self.console.print(value, **kwargs)
        self._captured_outputs.append(capture.get())

    def _begin(self, phase: str, total: int) -> None:
        self._phase, self._done, self._total, self._told_at = phase, 0, total, 0.0
        self._report(None)

    def _advance(self, snapshot: t.Any) -> None:
        self._done += 1
        self._report(self.naming(snapshot))

    def _report(self, model: t.Optional[str]) -> None:
        now = time.monotonic()
        if now - self._told_at < PROGRESS_EVERY_S and self._done < self._total:
            return
        self._told_at = now
        self._tell(
            {
                "event": "progress",
                "phase": self._phase,
                "model": model and clip(model, 500),
                "done": self._done,
                "total": self._total,
            }
        )
