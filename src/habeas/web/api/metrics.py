"""Numbers for those who watch: open, since they say nothing of anybody."""

from typing import Any

from fastapi import APIRouter, Request, Response
from prometheus_client import CONTENT_TYPE_LATEST

from habeas.web.metrics import Metrics

router = APIRouter(tags=["health"])

_ANSWER: dict[int | str, dict[str, Any]] = {
    200: {"content": {"text/plain": {"schema": {"type": "string"}}}, "description": "Prometheus' text format"}
}


@router.get(
    "/metrics",
    summary="Counts and times in Prometheus' text format (open; numbers only)",
    response_class=Response,
    responses=_ANSWER,
)
def read_metrics(request: Request) -> Response:
    metrics: Metrics = request.app.state.metrics
    return Response(metrics.render(), headers={"Content-Type": CONTENT_TYPE_LATEST})
