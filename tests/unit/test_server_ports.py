"""The ports of a deployment's servers."""

from __future__ import annotations

import socket
from dataclasses import astuple
from pathlib import Path

from tagline.servers.environment import HOST, chosen_ports


def test_deployments_that_start_together_get_different_ports(tmp_path: Path) -> None:
    with chosen_ports(tmp_path / "a") as one, chosen_ports(tmp_path / "b") as other:
        assert len({*astuple(one), *astuple(other)}) == 8


def test_a_deployment_gets_the_ports_of_last_time(tmp_path: Path) -> None:
    with chosen_ports(tmp_path) as before:
        pass
    with chosen_ports(tmp_path) as again:
        assert again == before


def test_a_port_that_is_taken_is_replaced(tmp_path: Path) -> None:
    with chosen_ports(tmp_path) as before:
        pass
    with socket.socket() as taken:
        taken.bind((HOST, before.mlflow))
        with chosen_ports(tmp_path) as again:
            assert again.mlflow != before.mlflow
            assert again.airflow == before.airflow
