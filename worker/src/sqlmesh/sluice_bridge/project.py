"""One project, loaded once, and what is asked of it besides plans."""

from __future__ import annotations

import time
import typing as t
from pathlib import Path

from sqlmesh.core.config.loader import load_configs
from sqlmesh.core.config.root import Config
from sqlmesh.core.context import Context
from sqlmesh.integrations.github.cicd.config import GithubCICDBotConfig
from sqlmesh.utils.errors import ConfigError

from sluice_bridge.console import BridgeConsole
from sluice_bridge.faults import Fault
from sluice_bridge.wire import clip

MAX_FINDINGS = 500


def policy(path: str) -> dict[str, t.Any]:
    """Approvers, bot options and linter switch of a checkout, from its configuration alone."""
    config = _configuration(path)
    bot = config.cicd_bot or GithubCICDBotConfig(
        auto_categorize_changes=config.plan.auto_categorize_changes
    )
    return {
        "approvers": [
            user.github_username
            for user in {user.username: user for user in config.users}.values()
            if user.is_required_approver and user.github_username
        ],
        "bot": bot_options(bot),
        "linter": config.linter.enabled,
    }


def bot_options(bot: GithubCICDBotConfig) -> dict[str, t.Any]:
    """The bot's options with the reference's defaults; those this SQLMesh lacks as the newest has
    them."""
    start = bot.default_pr_start
    return {
        "invalidate_environment_after_deploy": bot.invalidate_environment_after_deploy,
        "enable_deploy_command": bot.enable_deploy_command,
        "merge_method": bot.merge_method.value if bot.merge_method else None,
        "command_namespace": bot.command_namespace,
        "auto_categorize_changes": {
            kind: mode.value for kind, mode in bot.auto_categorize_changes.dict().items()
        },
        "default_pr_start": None if start is None else str(start),
        "default_pr_preview_start": str(getattr(bot, "default_pr_preview_start", "yesterday")),
        "skip_pr_backfill": bot.skip_pr_backfill,
        "pr_include_unmodified": bot.pr_include_unmodified,
        "run_on_deploy_to_prod": bot.run_on_deploy_to_prod,
        "pr_environment_name": bot.pr_environment_name,
        "pr_min_intervals": bot.pr_min_intervals,
        "pr_preview_min_intervals": getattr(bot, "pr_preview_min_intervals", 1),
        "prod_branch_names": bot.prod_branch_names,
        "forward_only_branch_suffix": bot.forward_only_branch_suffix,
        "check_if_blocked_on_deploy_to_prod": getattr(
            bot, "check_if_blocked_on_deploy_to_prod", True
        ),
    }


def _configuration(path: str) -> Config:
    try:
        return next(iter(load_configs(None, Config, path).values()))
    except ConfigError as error:
        raise Fault("config", str(error)) from error


class Project:
    """A loaded project: one context for everything that a job does."""

    def __init__(
        self,
        path: str,
        console: BridgeConsole,
        gateway: t.Optional[str] = None,
        cache_dir: t.Optional[str] = None,
    ) -> None:
        started = time.monotonic()
        config = _configuration(path)
        if cache_dir:
            config.cache_dir = cache_dir  # outlives the checkout
        self.console = console
        self.context = Context(config={Path(path).absolute(): config}, gateway=gateway)
        self.seconds = time.monotonic() - started

    def loaded(self) -> dict[str, t.Any]:
        """How much was loaded."""
        return {
            "models": len(self.context.models),
            "linter": self.context.config.linter.enabled,
            "seconds": round(self.seconds, 3),
        }

    def lint(self) -> dict[str, t.Any]:
        """The first violations of each level, and how many more there are."""
        report: dict[str, list[str]] = {"errors": [], "warnings": []}
        left_out = dict.fromkeys(report, 0)
        for violation in self.context.lint_models(raise_on_error=False):
            level = "errors" if violation.violation_type == "error" else "warnings"
            if len(report[level]) == MAX_FINDINGS:
                left_out[level] += 1
                continue
            rule = violation.rule.name
            text = f"{violation.model.name}: {rule}: {violation.violation_msg}"
            report[level].append(clip(text, 2_000))
        for level, count in left_out.items():
            if count:
                report[level].append(f"… and {count:,} more {level}")
        return report

    def test(self) -> dict[str, t.Any]:
        """Runs every unit test."""
        result, _ = self.context._run_tests()
        failures: dict[str, list[str]] = {}
        for case, text in [*result.failures, *result.errors]:
            name = getattr(case, "test_name", None) or str(case)
            model = getattr(getattr(case, "model", None), "name", None)
            failures.setdefault(f"{model}::{name}" if model else name, []).append(text)
        return {
            "ran": result.testsRun,
            "skipped": result.tests_skipped,
            "failures": [
                {"name": clip(name, 500), "text": clip("\n".join(texts), 8_000)}
                for name, texts in list(failures.items())[:MAX_FINDINGS]
            ],
        }

    def environment(self, name: str) -> t.Optional[dict[str, t.Any]]:
        """What the state says of an environment now."""
        stored = self.context.state_reader.get_environment(name)
        if stored is None:
            return None
        return {
            "plan_id": stored.plan_id,
            "finalized": stored.finalized_ts is not None,
            "expired": stored.expired,
        }

    def invalidate(self, name: str) -> None:
        """Marks an environment for removal. One that does not exist is fine."""
        self.context.invalidate_environment(name)

    def close(self) -> None:
        """Closes every connection."""
        self.context.close()
