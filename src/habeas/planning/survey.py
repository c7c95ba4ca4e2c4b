"""The survey: which collections take part, which are reached, and why each other one is not (data-plane §2.5).

Decides nothing about failing or skipping; the planner does.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from habeas.domain.dataset import Address
from habeas.domain.errors import InputError
from habeas.planning.checks import check_names
from habeas.planning.graph import Graph, Place, build_graph, lay_out, restrict
from habeas.planning.plan import Skipped, SkipReason
from habeas.planning.plan_input import PlacedDataset
from habeas.planning.reach import find_gate, find_reached, find_roots


@dataclass(frozen=True, slots=True)
class Survey:
    """`graph` holds the collections that take part; `roots` and `reached` are parts of it, as is `unreached`.

    `skipped`: those left out on purpose and those cut off by that, sorted by address.
    """

    graph: Graph
    roots: tuple[Address, ...]
    reached: frozenset[Address]
    unreached: tuple[Address, ...]
    skipped: tuple[Skipped, ...]
    warnings: tuple[str, ...]


def survey_graph(
    datasets: Sequence[PlacedDataset], kinds: Iterable[str], dataset_keys: frozenset[str] | None = None
) -> Survey:
    """Look at all collections with these identity kinds.

    Raises DatasetError for names declared twice and for references that lead nowhere, InputError for an
    unknown dataset key.
    """
    check_names(placed.dataset for placed in datasets)
    _check_chosen(datasets, dataset_keys)
    places = lay_out(datasets)
    left_out = {
        address: reason
        for address, place in places.items()
        if (reason := _reason_to_leave_out(place, dataset_keys)) is not None
    }
    whole = build_graph(places, tolerate=left_out)
    graph = restrict(whole, left_out) if left_out else whole
    kinds = frozenset(kinds)
    roots = find_roots(graph, kinds)
    reached = find_reached(graph, roots)
    missing = [address for address in graph.places if address not in reached]
    came_from = find_reached(whole, find_roots(whole, kinds)) if missing and left_out else {}
    skipped = [Skipped(address, reason) for address, reason in left_out.items()]
    skipped += [
        Skipped(address, SkipReason.CUT_OFF, f"through {find_gate(address, came_from, left_out)}")
        for address in missing
        if address in came_from
    ]
    return Survey(
        graph,
        roots,
        frozenset(reached),
        tuple(address for address in missing if address not in came_from),
        tuple(sorted(skipped, key=lambda item: item.address)),
        (*_warn_of_absent_links(whole, left_out), *_warn_of_after(graph, places)),
    )


def _check_chosen(datasets: Sequence[PlacedDataset], dataset_keys: frozenset[str] | None) -> None:
    if dataset_keys is None:
        return
    if not dataset_keys:
        raise InputError("dataset_keys chooses no dataset", hint="leave it out for all of them")
    if unknown := sorted(dataset_keys - {placed.dataset.key for placed in datasets}):
        names = ", ".join(repr(key) for key in unknown)
        raise InputError(f"dataset_keys names unknown datasets: {names}", hint="use keys of saved datasets")


def _reason_to_leave_out(place: Place, dataset_keys: frozenset[str] | None) -> SkipReason | None:
    if place.connection.disabled:
        return SkipReason.DISABLED
    if dataset_keys is not None and place.dataset.key not in dataset_keys:
        return SkipReason.NOT_CHOSEN
    return SkipReason.SKIP_PROCESSING if place.collection.skip_processing else None


def _warn_of_absent_links(whole: Graph, left_out: Mapping[Address, SkipReason]) -> list[str]:
    warnings = []
    for edge in (*whole.directed, *whole.undirected):
        ends = [end.address for end in (edge.source, edge.target) if end.address in left_out]
        if len(ends) == 1:
            gone = ends[0]
            warnings.append(
                f"the link between {edge.source} and {edge.target} is not used: {gone} is not visited "
                f"({left_out[gone].value})"
            )
    return warnings


def _warn_of_after(graph: Graph, places: Mapping[Address, Place]) -> list[str]:
    datasets = {address.dataset for address in places}
    warnings = []
    for address, place in graph.places.items():
        names = [str(other) for other in place.collection.after if other not in places]
        names += [f"dataset {key}" for key in place.dataset.after if key not in datasets]
        warnings += [f"{address} is to be visited after {name}, which does not exist" for name in names]
        names = [str(other) for other in place.collection.erase_after if other not in places]
        warnings += [f"{address} is to be erased after {name}, which does not exist" for name in names]
    return warnings
