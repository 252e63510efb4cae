"""Who may see and change what, and how a change is kept safe from other sites.

**Seeing.** Every route asks Airflow who the user is (its session cookie, or a bearer token: none
is 401) and whether the user may read the DAG `customer_tags` (403). What Airflow's auth manager
says holds; the portal has no users and no rights of its own.

**Changing.** Rolling back and releasing need the right to edit (`PUT`) that DAG. The same right
shows the values of tags marked `sensitivity: restricted`.

**Other sites.** The session is a cookie, which a browser also sends with requests that another
site makes it send. Airflow sets it SameSite=Lax, so that a cross-site POST goes without it; the
portal does not rely on that alone (another application on the same registrable domain is "same
site"). A change is refused unless all of this holds:

- its content type is JSON, and it carries the header `X-Tagline-Portal`. Neither can come from a
  form, and a script on another origin can send them only after a CORS preflight, which the portal
  never grants;
- `Origin`, which browsers send with each POST, names this host (or Airflow's `[api] base_url`);
- `Sec-Fetch-Site`, where the browser sends it, is `same-origin`.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.models.resource_details import DagDetails
from airflow.api_fastapi.core_api.security import GetUserDep, requires_access_dag
from airflow.configuration import conf
from airflow.models.dag import DagModel
from fastapi import Depends, HTTPException, Request

DAG = "customer_tags"
HEADER = "X-Tagline-Portal"

reads: Any = Depends(requires_access_dag("GET", param_dag_id=DAG))
changes: Any = Depends(requires_access_dag("PUT", param_dag_id=DAG))

User = GetUserDep


def may_change(user: User) -> bool:
    """Whether the user may decide on releases, and see restricted tags."""
    details = DagDetails(id=DAG, team_name=DagModel.get_team_name(DAG))
    return get_auth_manager().is_authorized_dag(method="PUT", details=details, user=user)


def from_this_site(request: Request) -> None:
    """Refuse a change that a page of another site may have sent; see this module's docstring."""
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise HTTPException(415, "a change is sent as application/json")
    if HEADER not in request.headers:
        raise HTTPException(403, f"a change carries the header {HEADER}: 1")
    if request.headers.get("sec-fetch-site", "same-origin") != "same-origin":
        raise HTTPException(403, "a change comes from the portal itself, not from another site")
    origin = request.headers.get("origin")
    if origin is not None and urlsplit(origin).netloc not in _hosts(request):
        raise HTTPException(403, f"a change comes from the portal itself, not from {origin}")


same_site: Any = Depends(from_this_site)


def _hosts(request: Request) -> set[str]:
    own = urlsplit(conf.get("api", "base_url", fallback="")).netloc
    return {request.headers.get("host", ""), own} - {""}
