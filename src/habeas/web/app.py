"""The web application: routers under /api/v1 around a wired context. Holds no logic and no SQL."""

from functools import partial

from fastapi import FastAPI

from habeas import __version__
from habeas.execution.context import Context
from habeas.services.configuration import find_origins
from habeas.web.api import (
    audit,
    clients,
    configuration,
    connections,
    datasets,
    encryption,
    health,
    logins,
    manual_collections,
    manual_webhooks,
    masking,
    messaging,
    metrics,
    notes,
    onetrust,
    policies,
    privacy_requests,
    regulations,
    status_webhooks,
    storages,
    users,
    verification,
    webhooks,
)
from habeas.web.bodies import BodyLimits
from habeas.web.cors import Cors
from habeas.web.edge import Edge
from habeas.web.errors import answer_error, install_error_handlers
from habeas.web.metrics import Metrics
from habeas.web.openapi import Api
from habeas.web.rates import RateLimits

_DESCRIPTION = "Carries privacy requests out: finds, packages and erases a person's data, and proves it."


def create_app(context: Context) -> FastAPI:
    """The application; starting and stopping what the context holds is `bootstrap`'s business."""
    app = Api(
        title="Habeas",
        version=__version__,
        description=_DESCRIPTION,
        docs_url=None,  # its pages load scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,
    )
    app.state.context = context
    app.state.metrics = Metrics(context)
    app.include_router(health.router)  # first: what is asked every few seconds is found without a look at the others
    app.include_router(metrics.router)
    rooms = (
        *(logins, users, clients, audit, configuration, connections, datasets, storages, policies, regulations),
        *(webhooks, messaging, privacy_requests, verification, manual_webhooks, manual_collections, notes),
        *(encryption, masking, status_webhooks, onetrust),
    )
    for room in rooms:
        app.include_router(room.router, prefix="/api/v1")
    app.include_router(messaging.config, prefix="/api/v1/messaging/config")
    app.include_router(messaging.config, prefix="/api/v1/email/config", include_in_schema=False)
    for room in (policies, webhooks):
        app.include_router(room.router, prefix="/api/v1/dsr", include_in_schema=False)
    install_error_handlers(app)
    app.add_middleware(BodyLimits)
    app.add_middleware(RateLimits, settings=context.settings.security, clock=context.clock, answer_error=answer_error)
    app.add_middleware(Cors, read_origins=partial(find_origins, context), clock=context.clock)
    app.add_middleware(Edge, answer_error=answer_error, observe=app.state.metrics.observe)
    return app
