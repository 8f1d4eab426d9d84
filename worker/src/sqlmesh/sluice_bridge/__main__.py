"""Entry: takes the descriptors away from whatever prints, imports SQLMesh once, then serves.

Descriptor 0 is the worker's lifeline (a byte now and then; its end of file, or silence, means that
the worker is gone), descriptor 1 carries what the server itself has to say. Both move before anything else is imported, because
SQLMesh and project code print.
"""

import argparse
import os
import sys


def main() -> int:
    """Serves until the lifeline ends. Exit code 3: this Python cannot run SQLMesh."""
    lifeline, control = os.dup(0), os.dup(1)
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    os.dup2(2, 1)

    arguments = argparse.ArgumentParser(prog="sluice_bridge")
    arguments.add_argument("--socket", required=True)
    arguments.add_argument("--max-jobs", type=int, required=True)
    arguments.add_argument("--silence-s", type=float, required=True)
    arguments.add_argument("--bounded", action="store_true")
    options = arguments.parse_args()

    os.environ.setdefault("MAX_FORK_WORKERS", "1")
    os.environ.setdefault("SQLMESH__DISABLE_ANONYMIZED_ANALYTICS", "true")
    # Only this package was wanted from the folder it lies in; a project has its own imports.
    home = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
    from sluice_bridge import bounds, preload, server

    if options.bounded:
        bounds.keep()

    try:
        versions = preload.load()
    except BaseException as error:  # noqa: B036 - a SystemExit in an import is a failure as well
        server.announce(control, {"failed": {"message": f"{type(error).__name__}: {error}"[:4000]}})
        return 3
    sys.path[:] = [entry for entry in sys.path if entry and os.path.abspath(entry) != home]
    limits = server.Limits(options.max_jobs, options.silence_s)
    server.Server(options.socket, lifeline, control, limits).serve(versions)
    return 0


if __name__ == "__main__":
    sys.exit(main())
