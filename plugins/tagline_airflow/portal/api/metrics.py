"""Figures for a monitoring system, to one who may read the DAG."""

from __future__ import annotations

from fastapi import APIRouter, Response

from tagline.metrics import CONTENT_TYPE, metrics_text
from tagline_airflow.portal.api.deployed import OpenedDep

router = APIRouter()


@router.get("/metrics")
def metrics(opened: OpenedDep) -> Response:
    """The live release and the newest run as OpenMetrics text."""
    text = metrics_text(opened.registry, opened.catalog.business, opened.now())
    return Response(text, headers={"Cache-Control": "no-store"}, media_type=CONTENT_TYPE)
