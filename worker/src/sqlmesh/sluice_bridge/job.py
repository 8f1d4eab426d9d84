"""The life of one job's process: requests in, replies out, until `bye`."""

from __future__ import annotations

import os
import socket
import sys
import typing as t

from sqlmesh.core.console import set_console

from sluice_bridge import applying, faults, plans, project
from sluice_bridge.console import BridgeConsole
from sluice_bridge.wire import Channel


def run(connection: socket.socket, number: int) -> None:
    """Serves one connection in a process of its own."""
    channel = Channel(connection)
    channel.send({"hello": {"job": number}})
    job = Job(channel)
    while job.answer(channel.request()):
        pass


class Job:
    """What a job has in hand: its console, its project, its plans by purpose."""

    def __init__(self, channel: Channel) -> None:
        self._channel = channel
        self._console = BridgeConsole(channel.send)
        self._project: t.Optional[project.Project] = None
        self._plans: dict[str, t.Any] = {}
        set_console(self._console)

    def answer(self, request: dict[str, t.Any]) -> bool:
        """Serves one request; False after the last one.

        Everything that project code raises is an answer, `SystemExit` and `KeyboardInterrupt` too.
        """
        operation = str(request.get("op"))
        reply: dict[str, t.Any] = {"id": request.get("id")}
        try:
            reply["ok"] = self._serve(operation, request)
        except BaseException as error:  # noqa: B036
            reply["err"] = faults.describe(error, operation)
        reply["warnings"] = self._console.drain()
        sys.stdout.flush()
        self._channel.send(reply)
        return operation != "bye"

    def _serve(self, operation: str, request: dict[str, t.Any]) -> t.Any:
        if operation == "policy":
            return project.policy(request["path"])
        if operation == "load":
            return self._load(request)
        if operation == "bye":
            return self._bye()
        loaded = self._loaded()
        if operation == "lint":
            return loaded.lint()
        if operation == "test":
            return loaded.test()
        if operation == "plan":
            plan = plans.build(loaded, request)
            self._plans[request["purpose"]] = plan
            return plans.describe(loaded, plan, request)
        if operation == "apply":
            return applying.apply(loaded, self._plan(request), self._channel.ask)
        if operation == "invalidate":
            return loaded.invalidate(request["environment"])
        if operation == "environment":
            return loaded.environment(request["environment"])
        raise faults.Fault("other", f"the bridge has no operation {operation!r}")

    def _loaded(self) -> project.Project:
        if self._project is None:
            raise faults.Fault("other", "the project was not loaded")
        return self._project

    def _plan(self, request: dict[str, t.Any]) -> t.Optional[plans.Plan]:
        """The plan that the worker has read: one that was built since is not it."""
        plan = self._plans.get(request["purpose"], ...)
        if plan is ... or (plan.plan_id if plan else "") != request["plan_id"]:
            raise faults.Fault("other", f"plan {request['plan_id']} is not in hand any more")
        return plan

    def _load(self, request: dict[str, t.Any]) -> dict[str, t.Any]:
        os.chdir(request["path"])
        self._project = project.Project(
            request["path"], self._console, request.get("gateway"), request.get("cache_dir")
        )
        context = self._project.context
        self._console.naming = lambda snapshot: snapshot.display_name(
            plans.EnvironmentNamingInfo(), context.default_catalog, dialect=context.default_dialect
        )
        return self._project.loaded()

    def _bye(self) -> None:
        # The worker closes the connection when it has read the reply.
        self._channel.end()
        if self._project is not None:
            self._project.close()
