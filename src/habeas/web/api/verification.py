"""Routes by which people prove who they are (control-plane §1.5); open to all, like the one that creates requests."""

from typing import Annotated

from fastapi import APIRouter, Body
from fastapi.openapi.models import Example
from pydantic import BaseModel, StringConstraints

from habeas.services import verification
from habeas.services.request_views import RequestView
from habeas.services.verification import CodeSent, VerificationConfig
from habeas.web.bodies import StrictRoute
from habeas.web.security import Wired

router = APIRouter(tags=["privacy requests"], route_class=StrictRoute)


class Proof(BaseModel):
    """The code that the person was sent."""

    code: Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[0-9]{6}$")]


_PROOF = Body(openapi_examples={"code": Example(value={"code": "042317"})})


@router.post(
    "/privacy-request/{request_id}/verify",
    summary="Prove who sent a request, by the code that was sent",
    responses={403: {}},
)
def verify(context: Wired, request_id: str, proof: Annotated[Proof, _PROOF]) -> RequestView:
    return verification.verify(context, request_id, proof.code)


@router.post(
    "/privacy-request/{request_id}/resend-code",
    summary="Send another code instead of the one before",
    responses={403: {}},
)
def resend_code(context: Wired, request_id: str) -> CodeSent:
    return verification.resend(context, request_id)


@router.get("/id-verification/config", summary="Whether people must prove who they are")
def config(context: Wired) -> VerificationConfig:
    return verification.show_config(context)
