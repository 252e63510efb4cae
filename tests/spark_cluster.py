"""A standalone Spark cluster on this machine, from the pyspark package: a master, two workers."""

from __future__ import annotations

import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

WORKERS = 2
_MASTER = "org.apache.spark.deploy.master.Master"
_WORKER = "org.apache.spark.deploy.worker.Worker"
QUICK = "-XX:TieredStopAtLevel=1"  # short work: half the time goes into compiling otherwise


def missing_for_spark() -> str | None:
    """What to install before Spark can run here, or None."""
    if importlib.util.find_spec("pyspark") is None:
        return "no pyspark here: make spark"
    if shutil.which("java") is None:
        return "no Java here: apt-get install default-jre-headless"
    return None


@contextmanager
def spark_cluster(folder: Path) -> Iterator[str]:
    """The URL of a master with two workers of one core each; all are ended after the block."""
    with ExitStack() as stack:
        port, web = _free_port(), _free_port()
        master = ["--host", "127.0.0.1", "--port", str(port), "--webui-port", str(web)]
        stack.enter_context(_running([_MASTER, *master], folder / "master.log", port))
        url = f"spark://127.0.0.1:{port}"
        logs = [folder / f"worker{number}.log" for number in range(WORKERS)]
        for number, log in enumerate(logs):
            worker = ["--host", "127.0.0.1", "--cores", "1", "--memory", "1536M", "--work-dir"]
            places = [str(folder / f"worker{number}"), "--webui-port", str(_free_port()), url]
            stack.enter_context(_running([_WORKER, *worker, *places], log, None))
        _until(lambda: all("Successfully registered" in log.read_text() for log in logs), logs)
        yield url


@contextmanager
def _running(command: list[str], log: Path, port: int | None) -> Iterator[None]:
    """A process of Spark's own launcher, until the end of the block."""
    import pyspark

    home = Path(pyspark.__file__).parent
    environment = os.environ | {
        "SPARK_HOME": str(home),
        "SPARK_NO_DAEMONIZE": "1",
        "SPARK_DAEMON_MEMORY": "256m",
        "SPARK_DAEMON_JAVA_OPTS": QUICK,
        "SPARK_LOCAL_DIRS": str(log.with_suffix(".scratch")),
    }
    with log.open("w") as output:
        process = subprocess.Popen(
            [str(home / "bin" / "spark-class"), *command],
            env=environment,
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        if port is not None:
            _until(lambda: _answers(port), [log])
        yield
    finally:
        os.killpg(process.pid, signal.SIGTERM)  # its own session: the executors end with it
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()


def _until(is_so: object, logs: list[Path], seconds: float = 90) -> None:
    limit = time.monotonic() + seconds
    while not is_so():  # type: ignore[operator]
        if time.monotonic() > limit:
            raise TimeoutError("\n".join(log.read_text()[-2000:] for log in logs))
        time.sleep(0.2)


def _answers(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def _free_port() -> int:
    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        return int(server.getsockname()[1])
