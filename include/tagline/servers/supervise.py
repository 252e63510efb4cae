"""Child processes: started with a log file each, watched, and stopped with all they started."""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import FrameType, TracebackType

import psutil

from tagline.errors import TaglineError

_PATIENCE = 10.0  # seconds between asking a child to end and ending it


class ServerFailed(TaglineError):
    """A server did not start, or ended by itself; the message has the end of its log."""


@dataclass(frozen=True)
class _Child:
    name: str
    process: subprocess.Popen[bytes]
    log: Path


class Supervisor:
    """Runs children until the with-block ends, however it ends.

    Each child is the leader of a session of its own: Ctrl-C reaches only this process, and
    everything that a child has started is found by its session and stopped with it.
    """

    def __init__(self, environment: Mapping[str, str], logs: Path) -> None:
        self._environment = dict(environment)
        self._logs = logs
        self._children: list[_Child] = []

    def __enter__(self) -> Supervisor:
        self._logs.mkdir(parents=True, exist_ok=True)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        with _signals_ignored():
            _end([child.process for child in self._children])
            self._children.clear()

    def start(self, name: str, *module: str) -> None:
        """Start `python -m module…`, its output appended to <logs>/<name>.log."""
        self.start_command(name, [sys.executable, "-m", *module])

    def start_command(
        self, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> None:
        """Start a program, in an environment of its own if one is given."""
        self._children.append(self._launch(name, command, environment))

    def complete(self, name: str, *module: str) -> None:
        """Run `python -m module…` to its end; raises ServerFailed unless it succeeds."""
        self.complete_command(name, [sys.executable, "-m", *module])

    def complete_command(
        self, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None
    ) -> None:
        """Run a program to its end; raises ServerFailed unless it succeeds."""
        child = self._launch(name, command, environment)
        try:
            if child.process.wait() != 0:
                raise _failure(child)
        finally:
            _end([child.process])

    def _launch(
        self, name: str, command: Sequence[str], environment: Mapping[str, str] | None
    ) -> _Child:
        log = self._logs / f"{name}.log"
        with log.open("ab") as output:
            process = subprocess.Popen(
                command,
                env=self._environment if environment is None else environment,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
                preexec_fn=_end_with_parent,
            )
        return _Child(name, process, log)

    def processes(self) -> list[psutil.Process]:
        """All processes in the sessions of the children at this moment."""
        return _members({child.process.pid for child in self._children})

    def watch(self) -> None:
        """Raise ServerFailed if a child has ended by itself."""
        for child in self._children:
            if child.process.poll() is not None:
                raise _failure(child)

    def wait_until(self, ready: Callable[[], bool], what: str, seconds: float = 120) -> None:
        """Wait for `ready`, watching the children; raises ServerFailed after `seconds`."""
        limit = time.monotonic() + seconds
        while not ready():
            self.watch()
            if time.monotonic() > limit:
                raise ServerFailed(
                    f"{what} did not happen within {seconds:.0f} s; see the logs in {self._logs}"
                )
            time.sleep(0.2)


@contextlib.contextmanager
def interruptible() -> Iterator[None]:
    """Make SIGTERM and SIGHUP interrupt like Ctrl-C, so that every block is left properly."""

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = {number: signal.signal(number, interrupt) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@contextlib.contextmanager
def _signals_ignored() -> Iterator[None]:
    before = {number: signal.signal(number, signal.SIG_IGN) for number in _SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _end(leaders: Sequence[subprocess.Popen[bytes]]) -> None:
    """Ask all leaders to end; after a while end what is left of their sessions."""
    for leader in leaders:
        if leader.poll() is None:
            leader.terminate()
    limit = time.monotonic() + _PATIENCE
    for leader in leaders:
        with contextlib.suppress(subprocess.TimeoutExpired):
            leader.wait(max(limit - time.monotonic(), 0))
    for process in _members({leader.pid for leader in leaders}):
        with contextlib.suppress(psutil.NoSuchProcess):
            process.kill()
    for leader in leaders:
        leader.wait()


def _members(sessions: set[int]) -> list[psutil.Process]:
    return [process for process in psutil.process_iter() if _session(process.pid) in sessions]


def _session(pid: int) -> int | None:
    try:
        return os.getsid(pid)
    except OSError:
        return None


def _failure(child: _Child) -> ServerFailed:
    lines = child.log.read_text(errors="replace").splitlines()[-15:]
    return ServerFailed(
        f"{child.name} ended with exit code {child.process.returncode}. The end of {child.log}:\n"
        + "\n".join(f"  {line}" for line in lines)
    )


_LIBC = ctypes.CDLL(None) if sys.platform == "linux" else None


def _end_with_parent() -> None:
    """On Linux, ask the kernel to end this child when the supervisor is killed outright."""
    if _LIBC is not None:
        _LIBC.prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
