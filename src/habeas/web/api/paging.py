"""Pages of listings and lists of bulk changes, as every route spells them (control-plane §0.3)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Generic, Protocol, TypeVar

from fastapi import Body, Query
from fastapi.openapi.models import Example

Item = TypeVar("Item")
Listed = TypeVar("Listed", covariant=True)

PageNumber = Annotated[int, Query(ge=1, le=1_000_000)]
PageSize = Annotated[int, Query(ge=1, le=100)]

BULK_LIMIT = 50


class Pages(Protocol[Listed]):
    """What services return for a page."""

    @property
    def items(self) -> Sequence[Listed]: ...
    @property
    def total(self) -> int: ...
    @property
    def page(self) -> int: ...
    @property
    def size(self) -> int: ...


@dataclass(frozen=True, slots=True)
class PageBody(Generic[Item]):
    """One page; `pages` is how many there are."""

    items: Sequence[Item]
    total: int
    page: int
    size: int
    pages: int


def show_page(found: Pages[Item]) -> PageBody[Item]:
    """The body of a page."""
    return PageBody(found.items, found.total, found.page, found.size, -(-found.total // found.size))


def bulk(*examples: Any) -> Any:
    """The body of a bulk change: 1 to 50 items, with this example."""
    return Body(min_length=1, max_length=BULK_LIMIT, openapi_examples={"example": Example(value=list(examples))})
