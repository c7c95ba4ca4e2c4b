"""Edges as the graph keeps them, before the walk gives them directions."""

from habeas.domain.dataset import Address, Collection, Dataset, Field, Reference
from habeas.planning.graph import Edge, End, build_graph, lay_out
from habeas.planning.plan_input import ConnectionState, PlacedDataset

A, B = Address("shop", "a"), Address("shop", "b")


def test_an_undirected_link_declared_from_both_sides_is_kept_once() -> None:
    """Case G04."""
    a = Collection("a", (Field("x", references=(Reference(B, "y"),)),))
    b = Collection("b", (Field("y", references=(Reference(A, "x"),)),))
    placed = PlacedDataset(Dataset("shop", "Shop", (a, b)), ConnectionState("shop", "sqlite"))
    graph = build_graph(lay_out([placed]))
    assert graph.undirected == (Edge(End(A, "x"), End(B, "y")),)
    assert graph.onward == {A: [B], B: [A]}
