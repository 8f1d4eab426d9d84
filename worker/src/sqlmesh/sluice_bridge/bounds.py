"""What a stranger's code may use up: set before any of it runs, and not to be raised by it."""

from __future__ import annotations

import resource

GIB = 1 << 30

BOUNDS = (
    (resource.RLIMIT_DATA, 4 * GIB),
    (resource.RLIMIT_FSIZE, GIB),
    (resource.RLIMIT_NOFILE, 1024),
    (resource.RLIMIT_NPROC, 512),
    (resource.RLIMIT_CPU, 3600),
    (resource.RLIMIT_CORE, 0),
)


def keep() -> None:
    """Bounds this process, and each that it starts."""
    for what, most in BOUNDS:
        _, hard = resource.getrlimit(what)
        if hard != resource.RLIM_INFINITY:
            most = min(most, hard)
        resource.setrlimit(what, (most, most))
    # Where memory runs out, this goes before the worker does.
    with open("/proc/self/oom_score_adj", "w", encoding="ascii") as score:
        score.write("1000")
