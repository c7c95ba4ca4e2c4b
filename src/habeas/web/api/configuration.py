"""Routes of the settings (control-plane §1.17, §6.3)."""

from typing import Annotated, TypeAlias

from fastapi import APIRouter, Body
from fastapi.openapi.models import Example
from pydantic import BaseModel, create_model

from habeas.execution.context import Context
from habeas.services import configuration
from habeas.services.configuration import SHOWN, Sections
from habeas.settings import OVERRIDABLE, Settings
from habeas.web.bodies import StrictRoute
from habeas.web.security import needs

router = APIRouter(prefix="/config", tags=["settings"], route_class=StrictRoute)

_Reader: TypeAlias = Annotated[Context, needs("config:read")]
_Changer: TypeAlias = Annotated[Context, needs("config:update")]

_NAMES = "; ".join(f"`{section}`: {', '.join(f'`{name}`' for name in names)}" for section, names in OVERRIDABLE.items())
_CHANGES = Body(
    description=f"What can be changed is, in section {_NAMES}.",
    openapi_examples={
        "review": Example(value={"execution": {"require_manual_request_approval": True}}),
        "messages": Example(value={"notifications": {"organization_name": "Shop Ltd."}}),
    },
)


def _describe() -> type[BaseModel]:
    """A model of the settings that are shown; an answer may have a part of them."""
    sections = {}
    for section, names in SHOWN.items():
        kept = Settings.model_fields[section].annotation
        assert kept is not None  # for the type checker: every section has its class
        fields = {name: (field.annotation, field.default) for name, field in kept.model_fields.items() if name in names}
        model = create_model(f"{section.title()}Section", **fields)  # type: ignore[call-overload]
        sections[section] = (model, model())
    described: type[BaseModel] = create_model("ShownSettings", **sections)  # type: ignore[call-overload]
    return described


_SHOWN = _describe()


@router.get(
    "",
    summary="Show settings; `api_set=true`: only what was changed here",
    response_model=_SHOWN,
    response_model_exclude_unset=True,
)
def show(context: _Reader, api_set: bool = False) -> Sections:
    return configuration.show_overrides(context) if api_set else configuration.show(context)


@router.patch(
    "",
    summary="Change settings, at once and in every process",
    response_model=_SHOWN,
    response_model_exclude_unset=True,
)
def change(context: _Changer, sections: Annotated[dict[str, dict[str, object]], _CHANGES]) -> Sections:
    return configuration.change(context, sections)


@router.put(
    "",
    summary="Change these settings, and give up all other changes",
    response_model=_SHOWN,
    response_model_exclude_unset=True,
)
def replace_all(context: _Changer, sections: Annotated[dict[str, dict[str, object]], _CHANGES]) -> Sections:
    return configuration.replace_all(context, sections)


@router.delete(
    "",
    summary="Give up all changes: file and environment hold again",
    response_model=_SHOWN,
    response_model_exclude_unset=True,
)
def reset(context: _Changer) -> Sections:
    return configuration.reset(context)
