"""Nested containers to flat, named leaves and back.

Everything goes through optree, once: the frameworks' own flatteners disagree on the order of dictionaries, on None
and on deques. Dataclasses, which optree takes for leaves, are opened field by field.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import optree

Tree = Any


@dataclasses.dataclass(frozen=True)
class Structure:
    """The shape of a pytree without its leaves."""

    spec: Any
    fields: tuple[tuple[Any, tuple[str, ...], Structure] | None, ...]

    def unflatten(self, leaves: Sequence[Any]) -> Tree:
        """Rebuild the tree around `leaves`, given in the order that `flatten` returned them."""
        iterator = iter(leaves)
        tree = self._rebuild(iterator)
        return tree

    def _rebuild(self, leaves: Iterator[Any]) -> Tree:
        return self.spec.unflatten([_rebuild_leaf(field, leaves) for field in self.fields])


def flatten(tree: Tree) -> tuple[list[Any], Structure]:
    """Flatten `tree` into its leaves and its structure.

    Containers are dict, list, tuple, namedtuple, deque, dataclass instances and whatever is registered with optree;
    None is an empty container. A list of plain numbers, nested or not, is one leaf: it stands for an array.
    """
    leaves, spec = optree.tree_flatten(tree, is_leaf=is_number_list)
    if not any(_is_record(leaf) for leaf in leaves):
        return leaves, Structure(spec, (None,) * len(leaves))
    flat: list[Any] = []
    fields: list[tuple[Any, tuple[str, ...], Structure] | None] = []
    for leaf in leaves:
        if _is_record(leaf):
            names = tuple(field.name for field in dataclasses.fields(leaf))
            inner, structure = flatten([getattr(leaf, name) for name in names])
            flat += inner
            fields.append((copy.copy(leaf), names, structure))
        else:
            flat.append(leaf)
            fields.append(None)
    return flat, Structure(spec, tuple(fields))


def leaf_names(tree: Tree, root: str) -> list[str]:
    """Name every leaf as the user would write it, such as `params['w'][0].scale`."""
    names: list[str] = []
    accessors = optree.tree_accessors(tree, is_leaf=is_number_list)
    for accessor in accessors:
        leaf = accessor(tree)
        name = accessor.codify(root)
        if _is_record(leaf):
            for field in dataclasses.fields(leaf):
                names += leaf_names(getattr(leaf, field.name), f"{name}.{field.name}")
        else:
            names.append(name)
    return names


def is_number_list(node: Any) -> bool:
    """Tell whether `node` is a list of plain numbers, nested to any depth, that stands for an array."""
    if not isinstance(node, list) or not node:
        return False
    return all(isinstance(item, (float, complex, int, np.number)) or is_number_list(item) for item in node)


def _is_record(leaf: Any) -> bool:
    return dataclasses.is_dataclass(leaf) and not isinstance(leaf, type) and not hasattr(leaf, "dtype")


def _rebuild_leaf(field: tuple[Any, tuple[str, ...], Structure] | None, leaves: Iterator[Any]) -> Any:
    if field is None:
        return next(leaves)
    template, names, structure = field
    record = copy.copy(template)
    for name, value in zip(names, structure._rebuild(leaves), strict=True):
        object.__setattr__(record, name, value)  # frozen dataclasses refuse setattr
    return record
