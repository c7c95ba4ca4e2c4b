"""What a package shows of one collection: the paths that its rule selects, picked from the rows found.

What people have answered is one row of a section that is named after their connection (data-plane §7.6).
Source: data-plane §7.2. Knows no format.
"""

from collections.abc import Sequence

from habeas.domain.dataset import Address
from habeas.domain.documents import Path, select

_NESTED = frozenset({dict, list})


class Section:
    """The selected `fields` (dotted paths) of a collection whose rows have `columns`, or the labels of a form.

    A path below another selected one is part of it; `paths` and `fields` are the outermost, in the order given.
    """

    def __init__(self, address: Address | str, fields: Sequence[str], columns: Sequence[str]) -> None:
        paths = [(field,) if field in columns else tuple(field.split(".")) for field in fields]
        self.name = str(address)
        self.paths: tuple[Path, ...] = tuple(_outermost(paths))
        self.fields = tuple(map(".".join, self.paths))
        self._places = {path[0]: columns.index(path[0]) for path in self.paths}
        self.is_flat = all(len(path) == 1 for path in self.paths)

    def pick(self, values: Sequence[object]) -> dict[str, object]:
        """The selected part of a row, nesting kept, without objects and lists that are empty; {} when nothing is left.

        null, 0, False and "" stay.
        """
        row = {name: values[place] for name, place in self._places.items()}
        if self.is_flat and _NESTED.isdisjoint(map(type, row.values())):
            return row
        return select(row, self.paths)


def _outermost(paths: Sequence[Path]) -> list[Path]:
    chosen = set(paths)
    return [path for path in paths if not any(path[:length] in chosen for length in range(1, len(path)))]
