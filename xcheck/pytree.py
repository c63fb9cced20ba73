"""Nested containers to flat, named leaves and back.

Everything goes through optree, once: the frameworks' own flatteners disagree on the order of dictionaries, on None
and on deques. Dataclasses, which optree takes for leaves, are opened field by field.
"""

from __future__ import annotations

import copy
import dataclasses
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from itertools import islice
from typing import Any, TypeAlias

import numpy as np
import optree

Tree: TypeAlias = Any

Path: TypeAlias = tuple[Any, ...]
"""The keys, indices and field names that lead from the root of a tree to a leaf."""


@dataclasses.dataclass(frozen=True)
class _Record:
    """A dataclass instance whose fields are opened: a copy of it, the fields' names, and what is inside them."""

    template: Any
    names: tuple[str, ...]
    inside: Structure

    def rebuild(self, leaves: Iterator[Any]) -> Any:
        record = copy.copy(self.template)
        for name, value in zip(self.names, self.inside.rebuild(leaves), strict=True):
            object.__setattr__(record, name, value)  # frozen dataclasses refuse setattr
        return record


@dataclasses.dataclass(frozen=True, eq=False)
class Structure:
    """The shape of a pytree without its leaves."""

    spec: Any
    records: tuple[_Record | None, ...]

    def unflatten(self, leaves: Sequence[Any]) -> Tree:
        """Rebuild the tree around `leaves`, given in the order that `flatten` returned them."""
        return self.rebuild(iter(leaves))

    def rebuild(self, leaves: Iterator[Any]) -> Tree:
        """Rebuild the tree around the next leaves of an iterator."""
        if self.plain:
            return self.spec.unflatten(islice(leaves, len(self.records)))
        return self.spec.unflatten([next(leaves) if r is None else r.rebuild(leaves) for r in self.records])

    @cached_property
    def plain(self) -> bool:
        """Whether no dataclass was opened."""
        return not any(self.records)

    def __len__(self) -> int:
        """Count the leaves."""
        return sum(1 if r is None else len(r.inside) for r in self.records)

    def same_as(self, other: Structure) -> bool:
        """Tell whether both have the same containers, keys and fields in the same places."""
        if self.spec != other.spec or len(self.records) != len(other.records):
            return False
        if self.plain and other.plain:
            return True
        return all(_same_record(a, b) for a, b in zip(self.records, other.records, strict=True))

    def __str__(self) -> str:
        """Write the tree with `*` for every leaf, such as `{'loss': *, 'state': (*, None)}`."""
        return repr(self.spec.unflatten([_Mark(r) for r in self.records]))


def flatten(tree: Tree) -> tuple[list[Any], Structure]:
    """Flatten `tree` into its leaves and its structure.

    Containers are dict, list, tuple, namedtuple, deque, dataclass instances and whatever is registered with optree;
    None is an empty container. A list of plain numbers, nested or not, is one leaf: it stands for an array.
    """
    leaves, spec = optree.tree_flatten(tree, is_leaf=is_number_list)
    if not any(_is_record(leaf) for leaf in leaves):
        return leaves, Structure(spec, (None,) * len(leaves))
    flat: list[Any] = []
    records: list[_Record | None] = []
    for leaf in leaves:
        if _is_record(leaf):
            fields = _fields(leaf)
            inner, inside = flatten(tuple(fields.values()))  # a tuple: a list of numbers would be one leaf
            flat += inner
            records.append(_Record(copy.copy(leaf), tuple(fields), inside))
        else:
            flat.append(leaf)
            records.append(None)
    return flat, Structure(spec, tuple(records))


def named_paths(tree: Tree, root: str) -> list[tuple[str, Path]]:
    """Name every leaf as the user would write it, such as `params['w'][0].scale`, with the path that leads there."""
    if optree.tree_is_leaf(tree) and not _is_record(tree):
        return [(root, ())]
    found: list[tuple[str, Path]] = []
    for accessor in optree.tree_accessors(tree, is_leaf=is_number_list):
        leaf = accessor(tree)
        name, path = accessor.codify(root), tuple(accessor.path)
        if _is_record(leaf):
            for field, value in _fields(leaf).items():
                inside = named_paths(value, f"{name}.{field}")
                found += [(inner, (*path, field, *rest)) for inner, rest in inside]
        else:
            found.append((name, path))
    return found


def leaf_names(tree: Tree, root: str) -> list[str]:
    """Name every leaf as the user would write it, such as `params['w'][0].scale`."""
    return [name for name, _ in named_paths(tree, root)]


def descend(tree: Tree, path: Path) -> Tree:
    """Follow a path through a tree; None on the way ends it with None.

    Raises:
        LookupError: there is no such place.
    """
    for key in path:
        if tree is None:
            return None
        children = _children(tree)
        if key not in children:
            raise LookupError(f"no {key!r} in {type(tree).__name__}")
        tree = children[key]
    return tree


def is_leaf(node: Any) -> bool:
    """Tell whether `flatten` would stop at `node`; None counts as a container."""
    return is_number_list(node) or not (node is None or _is_record(node) or _is_container(node))


def is_number_list(node: Any) -> bool:
    """Tell whether `node` is a list of plain numbers, nested to any depth, that stands for an array."""
    if not isinstance(node, list) or not node:
        return False
    return all(isinstance(item, (float, complex, int, np.number)) or is_number_list(item) for item in node)


def _is_container(node: Any) -> bool:
    return not optree.tree_is_leaf(node)


def _is_record(leaf: Any) -> bool:
    return dataclasses.is_dataclass(leaf) and not isinstance(leaf, type) and not hasattr(leaf, "dtype")


def _fields(record: Any) -> dict[str, Any]:
    names = [field.name for field in dataclasses.fields(record)]
    return {name: getattr(record, name) for name in names if hasattr(record, name)}


def _children(node: Any) -> Mapping[Any, Any]:
    if isinstance(node, Mapping):
        return node
    if isinstance(node, Sequence) and not isinstance(node, (str, bytes)):
        return dict(enumerate(node))
    if _is_record(node):
        return _fields(node)
    if not _is_container(node):
        return {}
    children, _, entries, *_ = optree.tree_flatten_one_level(node)
    return dict(zip(entries, children, strict=True))


def _same_record(a: _Record | None, b: _Record | None) -> bool:
    if a is None or b is None:
        return a is b
    return type(a.template) is type(b.template) and a.names == b.names and a.inside.same_as(b.inside)


@dataclasses.dataclass(frozen=True, repr=False)
class _Mark:
    """Stands for a leaf where a structure is written down."""

    record: _Record | None

    def __repr__(self) -> str:
        if self.record is None:
            return "*"
        inside = self.record.inside
        values = inside.spec.unflatten([_Mark(r) for r in inside.records])
        fields = ", ".join(f"{name}={value!r}" for name, value in zip(self.record.names, values, strict=True))
        return f"{type(self.record.template).__name__}({fields})"
