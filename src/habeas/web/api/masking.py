"""Routes of masking strategies, and of trying them out (control-plane §1.17)."""

from typing import Annotated, TypeAlias

from fastapi import APIRouter, Body
from fastapi.openapi.models import Example
from pydantic import Field
from typing_extensions import TypedDict

from habeas.execution.context import Context
from habeas.services import strategies
from habeas.services.policies import MaskingDraft
from habeas.services.strategies import Masked, StrategyView
from habeas.web.bodies import StrictRoute
from habeas.web.security import needs

router = APIRouter(prefix="/masking", tags=["masking"], route_class=StrictRoute)

_Reader: TypeAlias = Annotated[Context, needs("masking:read")]
_Executor: TypeAlias = Annotated[Context, needs("masking:exec")]


_Value: TypeAlias = Annotated[str, Field(max_length=10_000)] | int | float | bool | None


class Trial(TypedDict):
    """Values, and one strategy or several, which mask one after the other."""

    values: Annotated[list[_Value], Field(max_length=100)]
    masking_strategy: MaskingDraft | Annotated[list[MaskingDraft], Field(max_length=10)]


_REWRITE = {"strategy": "string_rewrite", "configuration": {"rewrite_value": "MASKED"}}
_EXAMPLES = {
    "one strategy": Example(value={"values": ["ann@example.com", None], "masking_strategy": _REWRITE}),
    "several": Example(value={"values": ["ann@example.com"], "masking_strategy": [{"strategy": "hash"}, _REWRITE]}),
}


@router.put("/mask", summary="Show what masking strategies make of values; nothing is kept")
def mask(context: _Executor, trial: Annotated[Trial, Body(openapi_examples=_EXAMPLES)]) -> Masked:
    wanted = trial["masking_strategy"]
    return strategies.mask_values(trial["values"], [wanted] if isinstance(wanted, MaskingDraft) else wanted)


@router.get("/strategy", summary="List masking strategies and what they take")
def list_strategies(context: _Reader) -> list[StrategyView]:
    return strategies.list_strategies(context)
