"""The accounts of a production deployment: what FAB's roles lack, and the first administrator.

`python -m tagline_airflow.accounts`; done again, it changes nothing. All other accounts are made
in Airflow's web UI (Security) or by `airflow users create`.
"""

from __future__ import annotations

import logging
import os
import sys

from airflow.providers.fab.auth_manager.cli_commands.utils import get_application_builder
from airflow.providers.fab.www.security.permissions import ACTION_CAN_READ, RESOURCE_PLUGIN

NAME, PASSWORD, EMAIL = (f"AIRFLOW_ADMIN_{word}" for word in ("USERNAME", "PASSWORD", "EMAIL"))
# Airflow's navigation asks for the list of plugins; without it the entry of the portal is missing.
SEE_THE_PORTAL = ("Viewer", "User")


def main() -> int:
    """Complete the roles and create the administrator; the exit code."""
    name, password = os.environ.get(NAME), os.environ.get(PASSWORD)
    if not name or not password:
        print(f"set {NAME} and {PASSWORD}", file=sys.stderr)  # noqa: T201
        return 2
    logging.getLogger("airflow.providers.fab").setLevel(logging.WARNING)  # a line per permission
    with get_application_builder() as builder:
        security = builder.sm
        security.sync_roles()
        for role in SEE_THE_PORTAL:
            permission = security.create_permission(ACTION_CAN_READ, RESOURCE_PLUGIN)
            security.add_permission_to_role(security.find_role(role), permission)
        if security.find_user(username=name) is None:
            email = os.environ.get(EMAIL) or f"{name}@localhost"
            admin = security.find_role("Admin")
            if not security.add_user(name, name, "Administrator", email, admin, password):
                print(f"the administrator {name} was not created", file=sys.stderr)  # noqa: T201
                return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
