"""Nested containers: there and back, with a name for every leaf."""

from __future__ import annotations

import dataclasses
from collections import OrderedDict, defaultdict, deque, namedtuple
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xcheck.pytree import descend, flatten, is_leaf, leaf_names, named_paths

Pair = namedtuple("Pair", "left right")


@dataclasses.dataclass
class Layer:
    weight: Any
    bias: Any = None


@dataclasses.dataclass(frozen=True)
class Frozen:
    inner: Any
    rate: Any


@dataclasses.dataclass(frozen=True, slots=True)
class Slotted:
    only: Any


class Marker:
    """A leaf that is equal to itself alone."""


def containers(children: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    keys = st.sampled_from(["a", "b", "w", "x y", 3])
    return st.one_of(
        st.lists(children, max_size=3),
        st.lists(children, max_size=3).map(tuple),
        st.lists(children, max_size=3).map(deque),
        st.dictionaries(keys, children, max_size=3),
        st.dictionaries(keys, children, max_size=3).map(OrderedDict),
        st.builds(Pair, children, children),
        st.builds(Layer, children, children),
        st.builds(Frozen, children, children),
        st.builds(Slotted, children),
    )


trees = st.recursive(st.none() | st.builds(Marker) | st.integers(0, 9).map(float), containers, max_leaves=12)


@settings(deadline=None)
@given(trees)
def test_unflatten_undoes_flatten(tree: Any) -> None:
    leaves, structure = flatten(tree)

    again = structure.unflatten(leaves)

    assert again == tree
    assert type(again) is type(tree)
    assert len(structure) == len(leaves)


@settings(deadline=None)
@given(trees)
def test_names_are_unique_and_paths_lead_to_the_leaves_in_order(tree: Any) -> None:
    named = named_paths(tree, "p")

    assert len({name for name, _ in named}) == len(named)
    assert [descend(tree, path) for _, path in named] == flatten(tree)[0]


@settings(deadline=None)
@given(trees)
def test_names_are_python_that_leads_to_the_leaves(tree: Any) -> None:
    assert [eval(name, {"p": tree}) for name in leaf_names(tree, "p")] == flatten(tree)[0]


@settings(deadline=None)
@given(trees, trees)
def test_trees_of_the_same_structure_have_the_same_names(one: Any, other: Any) -> None:
    leaves, structure = flatten(one)

    assert structure.same_as(flatten(structure.unflatten([Marker() for _ in leaves]))[1])
    if structure.same_as(flatten(other)[1]):
        assert leaf_names(one, "x") == leaf_names(other, "x")


def test_names_are_what_users_write() -> None:
    tree = {"w": [np.ones(2), {"b": 1.0}], "layer": Layer(Pair(1.0, (2.0,)), None), "q": deque([3.0, None, 4.0])}

    assert leaf_names(tree, "params") == [
        "params['layer'].weight.left",
        "params['layer'].weight.right[0]",
        "params['q'][0]",
        "params['q'][2]",
        "params['w'][0]",
        "params['w'][1]['b']",
    ]


def test_dictionaries_keep_the_order_of_their_keys() -> None:
    tree = {"z": 1.0, "a": 2.0}
    leaves, structure = flatten(tree)

    assert leaves == [2.0, 1.0]
    assert list(structure.unflatten(leaves)) == ["z", "a"]


def test_a_default_dictionary_comes_back_with_its_default() -> None:
    leaves, structure = flatten(defaultdict(list, a=1.0))

    assert structure.unflatten(leaves)["missing"] == []


def test_lists_of_numbers_stand_for_arrays() -> None:
    assert flatten([1.0, 2.0])[0] == [[1.0, 2.0]]
    assert flatten([[1, 2], [3, 4]])[0] == [[[1, 2], [3, 4]]]
    assert len(flatten([1.0, np.ones(2)])[0]) == 2
    assert flatten((1.0, 2.0))[0] == [1.0, 2.0]
    assert flatten([])[0] == []


def test_dataclass_objects_are_rebuilt_and_never_changed() -> None:
    record = Frozen({"w": 1.0}, 2.0)
    leaves, structure = flatten(record)

    other = structure.unflatten([10.0, 20.0])

    assert other == Frozen({"w": 10.0}, 20.0)
    assert structure.unflatten([3.0, 4.0]) == Frozen({"w": 3.0}, 4.0)
    assert other == Frozen({"w": 10.0}, 20.0)
    assert record == Frozen({"w": 1.0}, 2.0)
    assert leaves == [1.0, 2.0]


def test_a_dataclass_field_that_was_never_set_is_left_out() -> None:
    record = Layer(1.0)
    del record.__dict__["weight"]

    assert leaf_names(record, "x") == []
    assert flatten(record)[0] == []


def test_a_dataclass_type_is_a_leaf() -> None:
    assert flatten([Layer])[0] == [Layer]


@pytest.mark.parametrize(
    ("tree", "text"),
    [
        (1.0, "*"),
        ((1.0, None), "(*, None)"),
        ({"loss": 1.0, "state": [np.ones(2)]}, "{'loss': *, 'state': [*]}"),
        (Layer(1.0, (2.0, 3.0)), "Layer(weight=*, bias=(*, *))"),
        (Slotted([1.0, 2.0]), "Slotted(only=*)"),
        (Pair(1.0, Slotted(2.0)), "Pair(left=*, right=Slotted(only=*))"),
    ],
)
def test_a_structure_is_written_with_stars(tree: Any, text: str) -> None:
    assert str(flatten(tree)[1]) == text


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ({"a": 1.0}, {"b": 1.0}),
        ((1.0,), Slotted(1.0)),
        ([np.ones(1)], (np.ones(1),)),
        ((1.0, None), (1.0, 2.0)),
        (Layer(1.0), Layer(None, 1.0)),
        (Layer(1.0, 2.0), Frozen(1.0, 2.0)),
        (Pair(1.0, 2.0), (1.0, 2.0)),
    ],
)
def test_different_structures_are_told_apart(one: Any, other: Any) -> None:
    assert not flatten(one)[1].same_as(flatten(other)[1])


def test_descending_reads_lists_dataclasses_and_mappings_alike() -> None:
    assert descend({"a": [1.0, 2.0]}, ("a", 1)) == 2.0
    assert descend(Layer(Pair(1.0, 2.0)), ("weight", 1)) == 2.0
    assert descend({"a": None}, ("a", 1, "b")) is None
    with pytest.raises(LookupError):
        descend({"a": 1.0}, ("b",))
    with pytest.raises(LookupError):
        descend({"a": "text"}, ("a", 0))


@pytest.mark.parametrize("leaf", [1.0, "s", np.ones(2), [1.0, 2.0], Marker], ids=str)
def test_leaves(leaf: Any) -> None:
    assert is_leaf(leaf)


@pytest.mark.parametrize("node", [None, (), [np.ones(1)], {}, Layer(1.0), Pair(1.0, 2.0)], ids=str)
def test_containers(node: Any) -> None:
    assert not is_leaf(node)
