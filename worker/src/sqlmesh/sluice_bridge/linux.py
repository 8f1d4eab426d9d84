"""Process-tree facts of Linux: who descends from whom, and who inherits an orphan."""

from __future__ import annotations

import ctypes
import os
import signal
import typing as t

_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36
_libc = ctypes.CDLL(None, use_errno=True)


def adopt_orphans() -> None:
    """Makes this process the parent of every descendant whose own parent ends."""
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def die_with_parent() -> None:
    """Has the kernel kill this process when its parent ends."""
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _prctl(option: int, value: int) -> None:
    if _libc.prctl(option, value, 0, 0, 0) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


class Process(t.NamedTuple):
    """One line of the process table."""

    pid: int
    parent: int
    running: bool


def processes() -> list[Process]:
    """Every process there is. One that ends meanwhile is left out."""
    table = []
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            with open(f"/proc/{name}/stat", "rb") as stat:
                # The command name stands in brackets and may hold anything, brackets included.
                state, parent = stat.read().rpartition(b")")[2].split()[:2]
        except (OSError, ValueError):
            continue
        table.append(Process(int(name), int(parent), state not in (b"Z", b"X")))
    return table


def descendants(root: int, table: list[Process]) -> list[int]:
    """The running processes below `root`, without `root`."""
    children: dict[int, list[Process]] = {}
    for process in table:
        children.setdefault(process.parent, []).append(process)
    found, level = [], [root]
    while level:
        below = [process for parent in level for process in children.get(parent, [])]
        found += [process.pid for process in below if process.running]
        level = [process.pid for process in below]
    return found


def kill(pid: int, number: int = signal.SIGKILL) -> None:
    """Sends a signal; that the process is gone already is as good."""
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        pass
