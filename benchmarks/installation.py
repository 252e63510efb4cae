"""A deployment of a business for a benchmark: its home, its database, and its command line."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path
from typing import Any

from benchmarks.measured import Measured, measured
from tagline.settings import Settings

PROJECT = Path(__file__).parents[1]
_SERVER = """
import sys
from pathlib import Path
from tagline.database import server_url
from tagline.settings import Settings
print(server_url(Settings(home=Path(sys.argv[1]), business=sys.argv[2])), flush=True)
sys.stdin.read()
"""


@dataclass(frozen=True, kw_only=True)
class Installation:
    """A deployment whose database server runs; `variables` are what its sources read."""

    home: Path
    business: str
    definitions: Path
    database_url: str
    memory_limit: str = "4GB"
    buckets: int = 1
    variables: Mapping[str, str] = field(default_factory=dict)

    @property
    def settings(self) -> Settings:
        """The settings that its processes read from the environment."""
        return Settings(
            business=self.business,
            definitions=self.definitions,
            home=self.home,
            database_url=self.database_url,
            memory_limit=self.memory_limit,
            customer_buckets=self.buckets,
        )

    @property
    def environment(self) -> dict[str, str]:
        """The variables that its processes need."""
        return {
            **self.variables,
            "PYTHONPATH": os.pathsep.join(
                map(str, (PROJECT, PROJECT / "include", PROJECT / "plugins"))
            ),
            "TAGLINE_BUSINESS": self.business,
            "TAGLINE_CUSTOMER_BUCKETS": str(self.buckets),
            "TAGLINE_DATABASE_URL": self.database_url,
            "TAGLINE_DEFINITIONS": str(self.definitions),
            "TAGLINE_HOME": str(self.home),
            "TAGLINE_LOG_FORMAT": "json",
            "TAGLINE_MEMORY_LIMIT": self.memory_limit,
        }

    def run(self, as_of: date) -> tuple[Measured, dict[str, Any]]:
        """One `tagline run` of all stages; what it took, and its report."""
        return self.call("run", "--as-of", f"{as_of:%Y-%m-%d}", "--json")

    def call(self, *words: str) -> tuple[Measured, dict[str, Any]]:
        """One command of the command line with its JSON answer."""
        program = Path(sys.executable).with_name("tagline")
        made = measured([program, "--verbose", *words], self.environment)
        answer: dict[str, Any] = json.loads(made.stdout)
        return made, answer


@contextmanager
def server(home: Path, business: str) -> Iterator[str]:
    """The embedded PostgreSQL of a home, held by a process of its own that ends with the block."""
    environment = {**os.environ, "PYTHONPATH": str(PROJECT / "include")}
    process = subprocess.Popen(
        [sys.executable, "-c", _SERVER, str(home), business],
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None and process.stdout is not None
    try:
        url = process.stdout.readline().strip()
        if not url:
            raise RuntimeError(f"the embedded PostgreSQL of {home.name} did not start")
        yield url
    finally:
        process.stdin.close()
        process.wait(timeout=120)
