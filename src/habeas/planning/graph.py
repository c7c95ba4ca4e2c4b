"""The graph: one node per collection, one edge per reference between two fields (data-plane §2.1).

Knows nothing of identities given or of the walk: undirected links have no direction yet.
"""

from collections.abc import Collection as Container
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from habeas.domain.dataset import Address, Collection, Dataset, Direction, Field, Reference
from habeas.domain.errors import DatasetError
from habeas.planning.plan_input import ConnectionState, PlacedDataset


@dataclass(frozen=True, slots=True)
class Place:
    """A collection with what surrounds it; `fields` at every depth by path."""

    address: Address
    dataset: Dataset
    collection: Collection
    connection: ConnectionState
    fields: Mapping[str, Field]


@dataclass(frozen=True, slots=True, order=True)
class End:
    """One end of an edge: a field of a collection, by its path."""

    address: Address
    field: str

    def __str__(self) -> str:
        return f"{self.address}.{self.field}"


@dataclass(frozen=True, slots=True, order=True)
class Edge:
    """Values of `source` find rows by `target`. While undirected, the smaller end stands first."""

    source: End
    target: End


@dataclass(frozen=True, slots=True)
class Graph:
    """Collections, sorted by address, and what joins them.

    `onward`: where values may travel from a collection, undirected links both ways, sorted.
    `after`: collections of the graph that must be finished before.
    """

    places: Mapping[Address, Place]
    directed: tuple[Edge, ...]
    undirected: tuple[Edge, ...]
    onward: Mapping[Address, Sequence[Address]]
    after: Mapping[Address, Container[Address]]


def lay_out(datasets: Iterable[PlacedDataset]) -> dict[Address, Place]:
    """Every collection with its surroundings, sorted by address. Names must be unique (`check_datasets`)."""
    found = {}
    for placed in sorted(datasets, key=lambda placed: placed.dataset.key):
        for collection in sorted(placed.dataset.collections, key=lambda collection: collection.name):
            address = Address(placed.dataset.key, collection.name)
            found[address] = Place(address, placed.dataset, collection, placed.connection, collection.paths())
    return found


def build_graph(places: Mapping[Address, Place], tolerate: Container[Address] = ()) -> Graph:
    """Join the places. Raises DatasetError for a reference that leads nowhere, unless `tolerate` declares it."""
    fields = {address: place.fields for address, place in places.items()}
    datasets = {address.dataset for address in places}
    directed, undirected = dict[Edge, None](), dict[Edge, None]()
    for address, place in places.items():
        for path, reference in references_of(place.fields):
            problem = find_problem(address, reference, fields, datasets)
            if problem is None:
                edge = _edge(End(address, path), reference)
                (undirected if reference.direction is None else directed)[edge] = None
            elif address not in tolerate:
                raise DatasetError(problem.message, path=f"{_path(address)}.{path}", hint=problem.hint)
    return _assemble(places, tuple(directed), tuple(undirected))


def restrict(graph: Graph, left_out: Container[Address]) -> Graph:
    """The graph without some collections and all that joins them."""

    def stays(edge: Edge) -> bool:
        return edge.source.address not in left_out and edge.target.address not in left_out

    return _assemble(
        {address: place for address, place in graph.places.items() if address not in left_out},
        tuple(filter(stays, graph.directed)),
        tuple(filter(stays, graph.undirected)),
    )


@dataclass(frozen=True, slots=True)
class Problem:
    """What is wrong with a reference, and the mend."""

    message: str
    hint: str


def find_problem(
    address: Address,
    reference: Reference,
    fields: Mapping[Address, Mapping[str, Field]],
    datasets: Container[str],
) -> Problem | None:
    """Why a reference declared in `address` leads nowhere; None when it is sound. `fields` by path."""
    target = reference.target
    if target.dataset not in datasets:
        return Problem(
            f"refers to {target}.{reference.field}, but there is no dataset {target.dataset!r}",
            "correct the reference or save that dataset first",
        )
    if target not in fields:
        return Problem(
            f"refers to {target}.{reference.field}, but dataset {target.dataset!r} has no collection "
            f"{target.collection!r}",
            "correct the reference or declare the collection",
        )
    if reference.field not in fields[target]:
        return Problem(
            f"refers to {target}.{reference.field}, but collection {target.collection!r} of dataset "
            f"{target.dataset!r} declares no field {reference.field!r}",
            "correct the reference or declare the field",
        )
    if fields[target][reference.field].is_object:
        return Problem(
            f"refers to {target}.{reference.field}, which is an object and no value",
            "name the field inside that holds the value",
        )
    if target == address and reference.direction is None:
        return Problem("refers to its own collection without a direction", "add direction: from or direction: to")
    return None


def references_of(fields: Mapping[str, Field]) -> Iterator[tuple[str, Reference]]:
    """Every reference with the path of the field that declares it, in the order of `fields`."""
    for path, item in fields.items():
        for reference in item.references:
            yield path, reference


def _edge(here: End, reference: Reference) -> Edge:
    there = End(reference.target, reference.field)
    match reference.direction:
        case Direction.FROM:
            return Edge(there, here)
        case Direction.TO:
            return Edge(here, there)
        case None:
            return Edge(min(here, there), max(here, there))


def _assemble(places: Mapping[Address, Place], directed: tuple[Edge, ...], undirected: tuple[Edge, ...]) -> Graph:
    rank = {address: number for number, address in enumerate(places)}
    onward: dict[Address, dict[Address, None]] = {address: {} for address in places}
    for edge in (*directed, *undirected):
        onward[edge.source.address][edge.target.address] = None
    for edge in undirected:
        onward[edge.target.address][edge.source.address] = None
    ordered = {address: sorted(targets, key=rank.__getitem__) for address, targets in onward.items()}
    return Graph(places, directed, undirected, ordered, _after(places))


def _after(places: Mapping[Address, Place]) -> dict[Address, frozenset[Address]]:
    members: dict[str, set[Address]] = {}
    for address in places:
        members.setdefault(address.dataset, set()).add(address)
    nothing: set[Address] = set()
    return {
        address: frozenset(item for item in place.collection.after if item in places).union(
            *(members.get(key, nothing) for key in place.dataset.after)
        )
        for address, place in places.items()
    }


def _path(address: Address) -> str:
    return f"{address.dataset}.{address.collection}"
