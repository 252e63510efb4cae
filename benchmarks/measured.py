"""Child processes measured from outside: seconds, processor seconds and peak memory, by stage."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import psutil

_BETWEEN = 0.02  # seconds between two looks
_LATER = 0.25  # after the first minute, so that looking takes nothing from a long process
_SHOWN = 15  # last lines of a failed process that its error shows


class ProcessFailed(RuntimeError):
    """A measured process ended with an error; the message has its last lines."""


@dataclass
class Stage:
    """What one stage of a process took; `peak_mb` is the resident memory of the whole process."""

    seconds: float = 0.0
    cpu: float = 0.0
    peak_mb: float = 0.0


@dataclass(frozen=True)
class Measured:
    """A process from its start to its end, in seconds and MB; `stages` by the order they began."""

    seconds: float
    cpu: float
    peak_mb: float
    stages: Mapping[str, Stage]
    stdout: str


@dataclass
class _Watch:
    """Follows a process, and the stage that its log says it is in."""

    process: psutil.Process
    stage: str | None = None
    stages: dict[str, Stage] = field(default_factory=dict)
    whole: Stage = field(default_factory=Stage)
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=_SHOWN))
    _before: tuple[float, float] = field(default_factory=lambda: (time.perf_counter(), 0.0))

    def look(self) -> None:
        """Count time and memory since the last look to the present stage."""
        with suppress(psutil.Error):
            family = [self.process, *self.process.children(recursive=True)]
            used, memory = 0.0, 0.0
            for each in family:
                with suppress(psutil.Error):
                    times = each.cpu_times()
                    used += times.user + times.system
                    memory += each.memory_info().rss / 2**20
            now = time.perf_counter()
            for part in (self.whole, self.stages.get(self.stage or "")):
                if part is not None:
                    part.seconds += now - self._before[0]
                    part.cpu += max(0.0, used - self._before[1])
                    part.peak_mb = max(part.peak_mb, memory)
            self._before = (now, used)

    def read(self, log: IO[str]) -> None:
        """Follow the stages that the process logs as JSON lines."""
        for line in log:
            self.lines.append(line.rstrip())
            if '"stage"' not in line:
                continue
            with suppress(ValueError):
                said = json.loads(line)
                stage, message = str(said.get("stage")), str(said.get("message"))
                if message == f"{stage} begins":
                    self.look()
                    self.stages[stage] = Stage()
                    self.stage = stage
                elif message.startswith((f"{stage} ended", f"{stage} failed")):
                    self.look()
                    self.stages[stage].seconds = float(said["seconds"])
                    self.stage = None


@contextmanager
def told_stage(name: str) -> Iterator[None]:
    """In a measured process: say on stderr when a stage begins and ends."""
    _say(name, f"{name} begins")
    began = time.perf_counter()
    yield
    _say(name, f"{name} ended", seconds=time.perf_counter() - began)


def _say(stage: str, message: str, **more: float) -> None:
    said = json.dumps({"stage": stage, "message": message, **more})
    print(said, file=sys.stderr, flush=True)


def measured(
    command: Sequence[str | Path],
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Measured:
    """Run a process to its end; raises ProcessFailed with its last lines if it fails.

    The memory is that of the process with its children, looked at fifty times a second in the
    first minute, then four times. A process that logs stages as Tagline does
    (TAGLINE_LOG_FORMAT=json, --verbose) is measured by stage. Servers that it only talks to, such
    as PostgreSQL, are not counted.
    """
    started = time.perf_counter()
    process = subprocess.Popen(
        [str(word) for word in command],
        env={**os.environ, **(environment or {})},
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None and process.stderr is not None
    watch = _Watch(psutil.Process(process.pid))
    said: list[str] = []
    output: Any = process.stdout
    readers = [
        threading.Thread(target=watch.read, args=(process.stderr,), daemon=True),
        threading.Thread(target=lambda: said.append(output.read()), daemon=True),
    ]
    for reader in readers:
        reader.start()
    while process.poll() is None:
        watch.look()
        time.sleep(_BETWEEN if time.perf_counter() - started < 60 else _LATER)
    seconds = time.perf_counter() - started
    for reader in readers:
        reader.join()
    if process.returncode != 0:
        last = "\n".join([*watch.lines, *"".join(said).splitlines()[-_SHOWN:]])
        raise ProcessFailed(f"{Path(command[0]).name} ended with {process.returncode}:\n{last}")
    return Measured(seconds, watch.whole.cpu, watch.whole.peak_mb, watch.stages, "".join(said))
