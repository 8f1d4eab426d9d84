"""Building plans as the reference bot does, and describing them as data and as text."""

from __future__ import annotations

import hashlib
import inspect
import typing as t

from sqlmesh.core import constants as c
from sqlmesh.core.config import CategorizerConfig
from sqlmesh.core.console import SNAPSHOT_CHANGE_CATEGORY_STR
from sqlmesh.core.environment import EnvironmentNamingInfo
from sqlmesh.core.plan import Plan, SnapshotIntervals
from sqlmesh.core.schema_diff import get_schema_differ, has_drop_alteration
from sqlmesh.core.snapshot.definition import Snapshot, SnapshotId
from sqlmesh.utils.errors import NoChangesPlanError

from sluice_bridge.project import Project
from sluice_bridge.wire import clip

try:
    from sqlmesh.core.plan import stages
except ImportError:
    stages = None  # type: ignore[assignment]

MAX_MARKDOWN = 200_000
# SQLMesh versions before these flags existed plan without them.
NEWER_FLAGS = ("preview_start", "preview_min_intervals")

# As a model is called that cannot exist.
STATEMENTS = "before_all and after_all"


def build(project: Project, request: dict[str, t.Any]) -> t.Optional[Plan]:
    """The plan for a request; `None` when a new environment would be empty of changes."""
    context, bot = project.context, request["options"]
    forward_only = (
        request["head_branch"].endswith(bot["forward_only_branch_suffix"])
        or context.config.plan.forward_only
    )
    flags: dict[str, t.Any] = {
        "skip_tests": True,
        "skip_linter": True,
        "categorizer_config": CategorizerConfig(**bot["auto_categorize_changes"]),
        "forward_only": forward_only,
    }
    if request["purpose"] == "pr":
        environment = request["environment"]
        flags |= {
            "start": bot["default_pr_start"],
            "min_intervals": bot["pr_min_intervals"],
            "preview_start": bot["default_pr_preview_start"],
            "preview_min_intervals": bot["pr_preview_min_intervals"],
            "skip_backfill": bot["skip_pr_backfill"],
            "include_unmodified": bot["pr_include_unmodified"],
        }
    else:
        environment = c.PROD
        flags |= {"no_gaps": True, "run": bot["run_on_deploy_to_prod"]}
    known = inspect.signature(context.plan_builder).parameters
    flags = {k: v for k, v in flags.items() if k in known or k not in NEWER_FLAGS}
    try:
        return context.plan_builder(environment, **flags).build()
    except NoChangesPlanError:
        return None


def has_effect(plan: Plan) -> bool:
    """Whether applying does anything. SQLMesh returns silently when not."""
    return plan.has_changes or plan.requires_backfill or plan.has_unmodified_unpromoted


def describe(
    project: Project, plan: t.Optional[Plan], request: dict[str, t.Any]
) -> dict[str, t.Any]:
    """The plan as the worker reads it."""
    head = {"purpose": request["purpose"], "environment": request["environment"]}
    if plan is None:
        return head | {
            "plan_id": "",
            "is_new_environment": True,
            "has_effect": False,
            "has_changes": False,
            "models": [],
            "uncategorized": [],
            "builds": [],
            "digest_input": [],
            "markdown": "No changes to apply.",
        }
    description = Description(project, plan)
    return head | {
        "plan_id": plan.plan_id,
        "previous_plan_id": plan.previous_plan_id,
        "is_new_environment": plan.context_diff.is_new_environment,
        "has_effect": has_effect(plan),
        "has_changes": plan.has_changes,
        "models": description.models(),
        "uncategorized": [description.name(s) for s in plan.uncategorized],
        "builds": description.builds(),
        "digest_input": description.direct_changes(),
        "markdown": clip(description.markdown(), MAX_MARKDOWN),
    }


class Description:
    """Reads a plan. Models are called by their names in prod, whatever the environment."""

    def __init__(self, project: Project, plan: Plan) -> None:
        self.project, self.plan, self.diff = project, plan, plan.context_diff
        self.naming = EnvironmentNamingInfo()
        # Computed anew at each access by SQLMesh.
        self.missing = {missing.snapshot_id: missing for missing in plan.missing_intervals}

    def name(self, snapshot: t.Any) -> str:
        """A model as people call it."""
        return snapshot.display_name(
            self.naming,
            self.project.context.default_catalog,
            dialect=self.project.context.default_dialect,
        )

    def changes(self) -> list[tuple[str, t.Any]]:
        """What happens to each model that something happens to, in order of names."""
        found = [("added", self.plan.snapshots[s_id]) for s_id in self.diff.added]
        found += [("removed", info) for info in self.diff.removed_snapshots.values()]
        for new, _ in self.diff.modified_snapshots.values():
            if self.diff.directly_modified(new.name):
                found.append(("directly_modified", new))
            elif self.diff.indirectly_modified(new.name):
                found.append(("indirectly_modified", new))
            else:
                found.append(("metadata_updated", new))
        return sorted(found, key=lambda change: (self.name(change[1]), change[0]))

    def models(self) -> list[dict[str, t.Any]]:
        """Each change with its kind, category and dates."""
        return [
            {
                "name": self.name(snapshot),
                "change": change,
                "kind": str(getattr(snapshot.model_kind_name, "value", None) or "AUDIT"),
                "category": _category(change, snapshot),
                "loaded": None if change == "removed" else self._loaded(snapshot),
                "missing": None if change == "removed" else self._missing(snapshot),
            }
            for change, snapshot in self.changes()
        ]

    def direct_changes(self) -> list[dict[str, t.Any]]:
        """What the author did, without what follows from it: this is what an approval means."""
        direct = [
            {
                "name": self.name(snapshot),
                "change": change,
                "category": _category(change, snapshot),
                "forward_only": change != "removed" and snapshot.is_forward_only,
                "destructive": change == "directly_modified" and self._destructive(snapshot),
                "fingerprint": _own_fingerprint(snapshot),
            }
            for change, snapshot in self.changes()
            if change in ("added", "removed", "directly_modified")
            or (change == "metadata_updated" and self._by_itself(snapshot))
        ]
        return direct + self._statements()

    def _by_itself(self, snapshot: Snapshot) -> bool:
        """Whether the model's own metadata changed, and not just its parents'."""
        new, old = self.diff.modified_snapshots[snapshot.name]
        return _own_fingerprint(new) != _own_fingerprint(old)

    def _statements(self) -> list[dict[str, t.Any]]:
        """What runs before and after everything, as one entry, when it is another."""
        if not getattr(self.diff, "has_environment_statements_changes", False):
            return []
        texts = sorted(each.json(sort_keys=True) for each in self.diff.environment_statements)
        return [
            {
                "name": STATEMENTS,
                "change": "directly_modified",
                "category": None,
                "forward_only": False,
                "destructive": False,
                "fingerprint": hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16],
            }
        ]

    def builds(self) -> list[str]:
        """The physical versions that applying creates or fills. A version that is not deployable
        has its data under its development version; a new snapshot's record is unique as well."""
        plan, keys = self.plan, set()
        filled = {} if plan.skip_backfill or plan.empty_backfill else self.missing
        touched: set[SnapshotId] = {*self.diff.new_snapshots, *filled, *plan.restatements}
        for s_id in touched:
            snapshot = plan.snapshots.get(s_id) or self.diff.new_snapshots[s_id]
            if not snapshot.version:
                continue  # uncategorized: the plan cannot be applied
            keys.add(_build(snapshot, plan.deployability_index))
            if s_id in self.diff.new_snapshots:
                keys.add(f"{snapshot.name}@{snapshot.dev_version}")
        return sorted(keys | self._staged())

    def _staged(self) -> set[str]:
        """The versions that the evaluator's own stages write to; some of them are not in the
        difference, such as prod's table under a forward-only change. Empty where this SQLMesh
        cannot say: the stages are younger than plans are."""
        if stages is None or self.plan.uncategorized or not has_effect(self.plan):
            return set()
        context, plan = self.project.context, self.plan.to_evaluatable()
        # Intervals are brought up to date in the snapshots that it is given, and those are for the
        # apply to change.
        own = [
            snapshot.copy(
                update={
                    "intervals": snapshot.intervals.copy(),
                    "dev_intervals": snapshot.dev_intervals.copy(),
                }
            )
            for snapshot in plan.new_snapshots
        ]
        plan = plan.copy(update={"new_snapshots": own})
        keys = set()
        for stage in stages.build_plan_stages(plan, context.state_reader, context.default_catalog):
            keys |= {
                _build(snapshot, stage.deployability_index)
                for snapshot in self._written_by(stage)
                if snapshot.version
            }
        return keys

    def _written_by(self, stage: t.Any) -> t.Iterable[Snapshot]:
        name = type(stage).__name__
        if name == "PhysicalLayerUpdateStage":
            # It names every model of the environment, and makes the tables that are not there.
            evaluator = self.project.context.snapshot_evaluator
            absent = getattr(evaluator, "get_snapshots_to_create", None)
            return absent(stage.snapshots, stage.deployability_index) if absent else stage.snapshots
        if name == "MigrateSchemasStage":
            return stage.snapshots
        if name == "BackfillStage":
            return stage.snapshot_to_intervals
        return ()

    def markdown(self) -> str:
        """The plan in the words of the reference bot's summary."""
        console, plan = self.project.console, self.plan
        console.consume_captured_output()
        catalog = self.project.context.default_catalog
        if plan.restatements:
            console._print("\n**Restating models**\n")
        else:
            console.show_environment_difference_summary(context_diff=self.diff, no_diff=False)
        if self.diff.has_changes:
            console.show_model_difference_summary(
                context_diff=self.diff,
                environment_naming_info=plan.environment_naming_info,
                default_catalog=catalog,
                no_diff=False,
            )
        console._show_missing_dates(plan, catalog)
        text = console.consume_captured_output().strip() or "No changes to apply."
        return f"{console.captured_warnings}{console.captured_errors}{text}"

    def _loaded(self, snapshot: Snapshot) -> t.Optional[str]:
        intervals = snapshot.dev_intervals if snapshot.is_forward_only else snapshot.intervals
        if not snapshot.is_incremental or not intervals:
            return None
        return self._dates(snapshot, SnapshotIntervals(snapshot.snapshot_id, intervals))

    def _missing(self, snapshot: Snapshot) -> t.Optional[str]:
        missing = self.missing.get(snapshot.snapshot_id)
        if missing is None:
            return None
        if not snapshot.is_incremental:
            return "recreate view" if snapshot.is_view else "full refresh"
        return self._dates(snapshot, missing)

    def _dates(self, snapshot: Snapshot, intervals: SnapshotIntervals) -> str:
        deployable = self.plan.deployability_index.is_deployable(snapshot)
        preview = "" if deployable else " (preview)"
        return clip(intervals.format_intervals(snapshot.node.interval_unit) + preview, 4_000)

    def _destructive(self, snapshot: Snapshot) -> bool:
        """Whether a forward-only change takes columns, and with them their data, away from the
        table that prod reads. Columns that are not known may be taken away."""
        if not snapshot.is_model or not (snapshot.is_forward_only or self.plan.forward_only):
            return False
        new, old = self.diff.modified_snapshots[snapshot.name]
        before, after = old.model.columns_to_types, new.model.columns_to_types
        if not before or not after:
            return not new.model.on_destructive_change.is_error
        differ = get_schema_differ(new.model.dialect)
        return has_drop_alteration(differ.compare_columns(new.name, before, after))


def _category(change: str, snapshot: t.Any) -> t.Optional[str]:
    category = None if change == "removed" else snapshot.change_category
    return None if category is None else SNAPSHOT_CHANGE_CATEGORY_STR[category]


def _own_fingerprint(snapshot: t.Any) -> str:
    """The hashes of a model's own code and metadata, without those of its parents."""
    own = snapshot.fingerprint
    return f"{own.data_hash}-{own.metadata_hash}"


def _build(snapshot: Snapshot, index: t.Any) -> str:
    version = snapshot.version if index.is_deployable(snapshot) else snapshot.dev_version
    return f"{snapshot.name}@{version}"
