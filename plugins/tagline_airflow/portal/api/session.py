"""Who is signed in, and may do what."""

from __future__ import annotations

from fastapi import APIRouter

from tagline_airflow.portal.answers import Answer
from tagline_airflow.portal.api.deployed import OpenedDep, Steward
from tagline_airflow.portal.security import User

router = APIRouter()


@router.get("/session")
def session(opened: OpenedDep, user: User, steward: Steward) -> Answer:
    """`{user, may_change, business}`."""
    catalog = opened.catalog
    return Answer(
        {
            "user": user.get_name(),
            "may_change": steward,
            "business": {
                "slug": catalog.business,
                "name": catalog.definition.name.model_dump(),
                "currency": catalog.definition.currency,
                "timezone": catalog.definition.timezone,
            },
        }
    )
