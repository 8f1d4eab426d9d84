"""Applying a plan, with the worker asked before every stage of SQLMesh's evaluator."""

from __future__ import annotations

import contextlib
import time
import typing as t

from sqlmesh.core.plan import Plan
from sqlmesh.core.plan.evaluator import BuiltInPlanEvaluator
from sqlmesh.utils.errors import PlanError

from sluice_bridge.faults import Fault, Halted
from sluice_bridge.plans import has_effect
from sluice_bridge.project import Project

# Between two batches of one stage the answer may be this old; before a stage it is always fresh.
ANSWER_LASTS_S = 1.0
PROMOTION = "environment_record_update"


class Fence:
    """Whether the apply may go on: the worker's answer, and the plan being the newest still."""

    def __init__(self, project: Project, plan: Plan, ask: t.Callable[[str], bool]) -> None:
        self._project, self._plan, self._ask = project, plan, ask
        self._promoted = False
        self._answered_at = 0.0
        self.stage = ""
        self.seconds: dict[str, float] = {}

    def run(self, stage: str, evaluate: t.Callable[[], None]) -> None:
        """Runs one stage, unless it may not start."""
        self.stage = stage
        if not self._ask(stage):
            raise Halted(stage)
        self._answered_at = time.monotonic()
        if not self._promoted:
            self._refuse_stale_plan()
        started = time.monotonic()
        evaluate()
        self.seconds[stage] = round(
            self.seconds.get(stage, 0.0) + time.monotonic() - started, 3
        )
        # From here on the environment stands at this very plan.
        self._promoted = self._promoted or stage == PROMOTION

    def broken(self) -> bool:
        """SQLMesh's circuit breaker: polled between batches, from any of its threads."""
        if time.monotonic() - self._answered_at < ANSWER_LASTS_S:
            return False
        if not self._ask(self.stage):
            return True
        self._answered_at = time.monotonic()
        return False

    def _refuse_stale_plan(self) -> None:
        # SQLMesh compares at promotion, when everything has been backfilled already.
        environment = self._plan.environment_naming_info.name
        stored = self._project.environment(environment)
        if stored and not stored["expired"] and stored["plan_id"] != self._plan.previous_plan_id:
            raise Fault(
                "conflict",
                f"plan {stored['plan_id']} was applied to {environment} after plan "
                f"{self._plan.plan_id} was made; stopped before {self.stage}",
            )


def apply(
    project: Project, plan: t.Optional[Plan], ask: t.Callable[[str], bool]
) -> dict[str, t.Any]:
    """Applies a plan; what it returns was read back from the state."""
    if plan is None or not has_effect(plan):
        stored = plan and project.environment(plan.environment_naming_info.name)
        return {"changed": False, "plan_id": stored and stored["plan_id"], "stages": {}}
    fence = Fence(project, plan, ask)
    try:
        with _fenced(fence):
            project.context.apply(plan, circuit_breaker=fence.broken)
    except PlanError as error:
        if type(error) is PlanError and project.console.failures:
            raise Fault("apply", "\n".join(project.console.failures)) from error
        raise
    except Exception as error:
        # The breaker's own error does not say where.
        if type(error).__name__ == "CircuitBreakerError":
            raise Halted(fence.stage) from error
        raise
    return {"changed": True, "plan_id": _verified(project, plan, fence), "stages": fence.seconds}


def _verified(project: Project, plan: Plan, fence: Fence) -> str:
    if not fence.seconds:
        raise Fault("other", "SQLMesh applied the plan past the fence: no stage was announced")
    environment = plan.environment_naming_info.name
    stored = project.environment(environment)
    if stored is None or stored["plan_id"] != plan.plan_id:
        now = stored["plan_id"] if stored else "nothing"
        raise Fault("conflict", f"{environment} stands at {now}, not at plan {plan.plan_id}")
    return plan.plan_id


@contextlib.contextmanager
def _fenced(fence: Fence) -> t.Iterator[None]:
    """Cuts the evaluator's loop over its stages into single stages with the fence before each."""
    whole = BuiltInPlanEvaluator._evaluate_stages

    def one_by_one(self: BuiltInPlanEvaluator, stages: t.Any, plan: t.Any) -> None:
        for stage in stages:
            fence.run(_name(stage), lambda: whole(self, [stage], plan))

    BuiltInPlanEvaluator._evaluate_stages = one_by_one  # type: ignore[method-assign]
    try:
        yield
    finally:
        BuiltInPlanEvaluator._evaluate_stages = whole  # type: ignore[method-assign]


def _name(stage: t.Any) -> str:
    words = type(stage).__name__.removesuffix("Stage")
    return "".join(f"_{letter.lower()}" if letter.isupper() else letter for letter in words)[1:]
