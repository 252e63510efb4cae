"""A client of Airflow's REST API: what the demo and the system tests ask of it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

import requests

from tagline.errors import TaglineError

FINISHED = {"success", "failed"}


class AirflowRefused(TaglineError):
    """Airflow answered a request with an error; the message has its reason."""


class AirflowApi:
    """Signs in as the generated administrator, on first use."""

    def __init__(self, url: str, passwords: Path) -> None:
        self.url = url
        self._passwords = passwords
        self._session = requests.Session()

    def login(self) -> tuple[str, str]:
        """The user's name and generated password."""
        users: dict[str, str] = json.loads(self._passwords.read_text())
        return next(iter(users.items()))

    def healthy(self) -> bool:
        """Whether database, scheduler and DAG processor all answer."""
        try:
            answer = requests.get(f"{self.url}/api/v2/monitor/health", timeout=10)
        except requests.RequestException:
            return False
        if answer.status_code != requests.codes.ok or not self._passwords.is_file():
            return False
        parts = answer.json()
        return all(
            parts[part]["status"] == "healthy"
            for part in ("metadatabase", "scheduler", "dag_processor")
        )

    def request(
        self, method: str, path: str, body: object = None, **query: object
    ) -> dict[str, Any]:
        """The JSON answer to a request below /api/v2; raises AirflowRefused for an error."""
        if "Authorization" not in self._session.headers:
            name, password = self.login()
            answer = self._session.post(
                f"{self.url}/auth/token", json={"username": name, "password": password}, timeout=30
            )
            answer.raise_for_status()
            self._session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        answer = self._session.request(
            method, f"{self.url}/api/v2{path}", json=body, params=_text(query), timeout=60
        )
        if not answer.ok:
            raise AirflowRefused(f"Airflow: {method} {path}: {answer.status_code} {answer.text}")
        document: dict[str, Any] = answer.json() if answer.content else {}
        return document

    def has_dags(self, dags: Sequence[str]) -> bool:
        """Whether the DAG processor has read these DAGs; raises AirflowRefused if one is broken."""
        broken = self.request("GET", "/importErrors")["import_errors"]
        if broken:
            raise AirflowRefused(
                "\n".join(f"{error['filename']}: {error['stack_trace']}" for error in broken)
            )
        known = {dag["dag_id"] for dag in self.request("GET", "/dags", limit=100)["dags"]}
        return known.issuperset(dags)

    def unpause(self, dag: str) -> None:
        """Let the scheduler run a DAG; a paused one keeps even its backfills waiting."""
        self.request("PATCH", f"/dags/{dag}", {"is_paused": False})

    def trigger(self, dag: str, conf: Mapping[str, Any]) -> str:
        """Start a run by hand; returns its id."""
        body = {"logical_date": None, "conf": dict(conf)}
        answer: str = self.request("POST", f"/dags/{dag}/dagRuns", body)["dag_run_id"]
        return answer

    def backfill(
        self, dag: str, first: datetime, last: datetime, *, reprocess: str, active: int
    ) -> int:
        """Create a backfill of the logical dates first..last; returns its id."""
        body = {
            "dag_id": dag,
            "from_date": first.isoformat(),
            "to_date": last.isoformat(),
            "reprocess_behavior": reprocess,
            "max_active_runs": active,
        }
        answer: int = self.request("POST", "/backfills", body)["id"]
        return answer

    def is_backfilling(self, dag: str) -> bool:
        """Whether a backfill of the DAG has not ended; Airflow allows only one at a time."""
        known = self.request("GET", "/backfills", dag_id=dag)["backfills"]
        return any(backfill["completed_at"] is None for backfill in known)

    def runs(self, dag: str, first: datetime, last: datetime) -> list[dict[str, Any]]:
        """The runs of a DAG with logical dates first..last, by logical date."""
        answer: list[dict[str, Any]] = self.request(
            "GET",
            f"/dags/{dag}/dagRuns",
            logical_date_gte=first,
            logical_date_lte=last,
            order_by="logical_date",
            limit=100,
        )["dag_runs"]
        return answer

    def run(self, dag: str, run_id: str) -> dict[str, Any]:
        """One run."""
        return self.request("GET", f"/dags/{dag}/dagRuns/{run_id}")

    def tasks(self, dag: str, run_id: str) -> list[dict[str, Any]]:
        """The task instances of a run."""
        path = f"/dags/{dag}/dagRuns/{run_id}/taskInstances"
        answer: list[dict[str, Any]] = self.request("GET", path, limit=500)["task_instances"]
        return answer

    def log(self, task: Mapping[str, Any]) -> str:
        """The log of a task instance's last try, a line per message; errors with their reason."""
        return "\n".join(_line(message) for message in self.messages(task))

    def messages(self, task: Mapping[str, Any]) -> list[Any]:
        """The messages of a task instance's last try, most of them with values of their own."""
        path = (
            f"/dags/{task['dag_id']}/dagRuns/{task['dag_run_id']}/taskInstances/{task['task_id']}"
            f"/logs/{max(task['try_number'], 1)}"
        )
        found: list[Any] = self.request("GET", path, map_index=task["map_index"])["content"]
        return found


def _line(message: object) -> str:
    if not isinstance(message, dict):
        return str(message)
    causes = message.get("error_detail") or []
    reasons = [f": {cause['exc_type']}: {cause['exc_value']}" for cause in causes[:1]]
    return "".join([str(message["event"]), *reasons])


def _text(query: Mapping[str, object]) -> dict[str, str]:
    return {
        name: value.isoformat() if isinstance(value, datetime) else str(value)
        for name, value in query.items()
    }
