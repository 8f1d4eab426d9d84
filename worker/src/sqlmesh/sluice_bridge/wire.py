"""The connection of one job: JSON lines, each bounded, and the questions asked across it.

A thread reads the raw descriptor, never `sys.stdin`: a thread that blocks on a Python stream
deadlocks SQLMesh's forked loaders.
"""

from __future__ import annotations

import json
import os
import queue
import signal
import socket
import threading
import typing as t

MAX_REQUEST_BYTES = 1 << 20
MAX_REPLY_BYTES = 8 << 20
MAX_TEXT = 64_000


def clip(text: object, limit: int = MAX_TEXT) -> str:
    """The text, cut at a line end where it is too long, and saying so."""
    whole = str(text)
    if len(whole) <= limit:
        return whole
    head = whole[:limit]
    return head[: head.rfind("\n") + 1 or limit] + f"… cut, {len(whole):,} characters in all"


class Channel:
    """The job's side of the connection. Safe to use from SQLMesh's own threads."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._sending = threading.Lock()
        self._asking = threading.Lock()
        self._asked = 0
        self._answers: queue.Queue[dict[str, t.Any]] = queue.Queue()
        self._requests: queue.Queue[dict[str, t.Any]] = queue.Queue()
        self._ending = False
        threading.Thread(target=self._read, name="sluice-reader", daemon=True).start()

    def request(self) -> dict[str, t.Any]:
        """The next request; waits for it."""
        return self._requests.get()

    def send(self, message: dict[str, t.Any]) -> None:
        """Sends one line; a reply that is too long becomes an error reply."""
        line = json.dumps(message, default=str).encode() + b"\n"
        if len(line) > MAX_REPLY_BYTES:
            text = f"the reply has {len(line):,} bytes, more than the worker reads"
            error = {"class": "other", "message": text, "traceback": None}
            line = json.dumps({"id": message.get("id"), "err": error}).encode() + b"\n"
        with self._sending:
            self._connection.sendall(line)

    def ask(self, stage: str) -> bool:
        """Asks whether `stage` may start, and waits for the answer."""
        with self._asking:
            self._asked += 1
            self.send({"event": "fence", "stage": clip(stage, 200), "n": self._asked})
            while True:
                answer = self._answers.get()
                if answer.get("fence") == self._asked:
                    return answer.get("go") is True

    def end(self) -> None:
        """Says that the connection may close from now on without it meaning a lost worker."""
        self._ending = True

    def _read(self) -> None:
        descriptor, pending = self._connection.fileno(), b""
        while True:
            try:
                chunk = os.read(descriptor, 65_536)
            except OSError:
                chunk = b""
            if not chunk or len(pending) > MAX_REQUEST_BYTES:
                break
            *lines, pending = (pending + chunk).split(b"\n")
            for line in lines:
                message = json.loads(line)
                (self._answers if "fence" in message else self._requests).put(message)
        if not self._ending:
            # Nobody is left to work for. The server ends what has left this process group.
            os.killpg(0, signal.SIGKILL)
