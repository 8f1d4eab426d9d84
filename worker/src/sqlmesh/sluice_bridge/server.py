"""The fork server: one child per connection, and nothing of a job outlives its connection.

Owns processes. Knows nothing of SQLMesh beyond that the job module is imported already. Single
threaded on purpose: a fork copies only the thread that calls it.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import sys
import time
import typing as t

from sluice_bridge import PROTOCOL, linux

GRACE_S = 8.0
SWEEP_MS = 20


def announce(control: int, message: dict[str, t.Any]) -> None:
    """Writes one line to the worker. A worker that is gone shows at the lifeline, not here."""
    try:
        os.write(control, json.dumps(message).encode() + b"\n")
    except BrokenPipeError:
        pass


class Job(t.NamedTuple):
    """A child, and the server's own copy of its connection, where a worker's hang-up shows. The
    number is of no other child, which cannot be said of a pid."""

    number: int
    pid: int
    connection: socket.socket


class Limits(t.NamedTuple):
    """How many jobs run at once, and for how long the worker may say nothing at its lifeline: one
    that is stopped may have lost its leases, while its jobs would write on."""

    max_jobs: int
    silence_s: float


class Server:
    """Accepts, forks, reaps, and ends what has lost its worker."""

    def __init__(self, path: str, lifeline: int, control: int, limits: Limits) -> None:
        self._lifeline, self._control = lifeline, control
        self._max_jobs, self._silence_s = limits
        self._heard_at = time.monotonic()
        self._jobs: dict[int, Job] = {}
        self._numbers = 0
        self._dying: set[int] = set()
        self._ended: list[dict[str, t.Any]] = []
        linux.adopt_orphans()
        self._listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        mask = os.umask(0o177)
        self._listener.bind(path)
        os.umask(mask)
        self._listener.listen(self._max_jobs)
        self._woken, self._waker = os.pipe()
        os.set_blocking(self._woken, False)
        os.set_blocking(self._waker, False)

    def serve(self, versions: dict[str, t.Any]) -> None:
        """Serves until the lifeline ends or falls silent, then ends every job and returns."""
        self._heard_at = time.monotonic()
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._waker, warn_on_full_buffer=False)
        announce(self._control, {"ready": {"protocol": PROTOCOL, **versions}})
        while self._turn():
            pass
        self._dying.update(self._jobs)
        deadline = time.monotonic() + GRACE_S
        while (self._jobs or self._strays()) and time.monotonic() < deadline:
            self._settle()
            time.sleep(SWEEP_MS / 1000)

    def _turn(self) -> bool:
        """Waits for something to happen and acts on it; False once the worker is gone."""
        poll = select.poll()
        poll.register(self._lifeline, select.POLLIN)
        poll.register(self._woken, select.POLLIN)
        poll.register(self._listener, select.POLLIN)
        watched = {}
        for job in self._jobs.values():
            if job.pid not in self._dying:
                # Only the hang-up: what is said on the connection belongs to the child.
                poll.register(job.connection, select.POLLRDHUP)
                watched[job.connection.fileno()] = job.pid
        patience_ms = self._silence_s * 1000 / 4
        wait_ms = min(SWEEP_MS, patience_ms) if self._dying or self._ended else patience_ms
        for descriptor, _ in poll.poll(wait_ms):
            if descriptor == self._lifeline:
                if not os.read(self._lifeline, 4096):
                    return False
                self._heard_at = time.monotonic()
            elif descriptor == self._woken:
                os.read(self._woken, 4096)
            elif descriptor == self._listener.fileno():
                self._accept()
            else:
                self._dying.add(watched[descriptor])
        self._settle()
        if time.monotonic() - self._heard_at <= self._silence_s:
            return True
        print(f"the worker said nothing for {self._silence_s} s: ending", file=sys.stderr)
        return False

    def _settle(self) -> None:
        self._reap()
        self._sweep()
        self._reap()
        self._report()

    def _accept(self) -> None:
        """Takes one connection. One that fails, for want of descriptors, memory or a peer, ends
        alone: the worker sees it close."""
        connection = None
        try:
            connection, _ = self._listener.accept()
            if len(self._jobs) >= self._max_jobs:
                connection.sendall(b'"busy"\n')
                connection.close()
                return
            server = os.getpid()
            self._numbers += 1
            pid = os.fork()
        except OSError as error:
            print(f"a connection was not served: {error}", file=sys.stderr)
            if connection is None:
                time.sleep(SWEEP_MS / 1000)  # it still waits to be accepted
            else:
                connection.close()
            return
        if pid == 0:
            self._become_job(connection, server)
        self._jobs[pid] = Job(self._numbers, pid, connection)

    def _become_job(self, connection: socket.socket, server: int) -> t.NoReturn:
        """The child's life. Never returns: the server's frames are below it on the stack."""
        code = 70
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.setsid()
            linux.adopt_orphans()
            linux.die_with_parent()
            if os.getppid() != server:
                os._exit(code)
            for descriptor in (self._lifeline, self._control, self._woken, self._waker):
                os.close(descriptor)
            self._listener.close()
            for job in self._jobs.values():
                job.connection.close()
            from sluice_bridge import job as jobs

            jobs.run(connection, self._numbers)
            code = 0
        except BaseException:  # noqa: B036 - whatever it was, its trace goes to the log
            import traceback

            traceback.print_exc()
        finally:
            os._exit(code)

    def _sweep(self) -> None:
        """Ends dying jobs from the leaves up.

        The job's own process inherits its orphans, so as long as it lives, stopped, everything
        that it ever started is still below it; it goes last. What a job left behind when it ended
        by itself was inherited by this server, and belongs to nobody.
        """
        for pid in self._strays():
            linux.kill(pid)
        for leader in self._dying & self._jobs.keys():
            linux.kill(leader, signal.SIGSTOP)
            below = linux.descendants(leader, linux.processes())
            for pid in below:
                linux.kill(pid)
            if not below:
                linux.kill(leader)

    def _strays(self) -> list[int]:
        table, server = linux.processes(), os.getpid()
        return [
            process.pid
            for process in table
            if process.parent == server and process.running and process.pid not in self._jobs
        ]

    def _reap(self) -> None:
        while True:
            try:
                pid, status, usage = os.wait4(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            job = self._jobs.pop(pid, None)
            if job is None:
                continue
            self._dying.discard(pid)
            job.connection.close()
            self._ended.append(
                {
                    "job": job.number,
                    "pid": pid,
                    "status": os.waitstatus_to_exitcode(status),
                    "cpu_ms": round((usage.ru_utime + usage.ru_stime) * 1000),
                    "peak_rss": usage.ru_maxrss * 1024,
                }
            )

    def _report(self) -> None:
        """Says which jobs are gone, once nothing is left of them either."""
        if self._ended and not self._strays():
            for job in self._ended:
                announce(self._control, {"gone": job})
            self._ended.clear()
