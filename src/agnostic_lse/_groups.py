"""Which columns each group of a transformer pools, by their names or places."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from numbers import Integral, Real
from typing import Any

import numpy as np

from ._wording import counted, kind_of


def columns_of_groups(groups: Any, n_columns: int, names: Any) -> dict[str, list[int]]:
    """Return for each output name the indices of its columns."""
    if not isinstance(groups, Mapping):
        groups = _by_label(groups, n_columns, names)
    if not groups:
        raise ValueError(
            "groups is empty, but at least one group was expected: "
            "name one, or pass None to pool all columns."
        )
    outputs = Counter(map(_output_name, groups))
    twice = [name for name, times in outputs.items() if times > 1]
    if twice:
        raise ValueError(
            f"groups gives the output name {twice[0]!r} to more than one group: "
            "give each group a name of its own."
        )
    where: dict[str, list[int]] = {}
    for index, name in enumerate([] if names is None else names):
        where.setdefault(name, []).append(index)
    return {
        name: _indices(f"groups[{key!r}]", members, n_columns, where)
        for name, (key, members) in zip(outputs, groups.items(), strict=True)
    }


def _by_label(groups: Any, n_columns: int, names: Any) -> dict[Any, list[int]]:
    """Return for each label the indices of the columns that have it."""
    labels = np.asarray(groups, dtype=object)
    if labels.ndim != 1:
        raise ValueError(
            f"groups has type {type(groups).__name__}, but a mapping from output names to columns, "
            "or a list with one label for each column, was expected: pass one of them, or None to "
            "pool all columns."
        )
    if len(labels) != n_columns:
        raise ValueError(
            # scikit-learn's estimator checks look for "feature(s)".
            f"groups has {counted(len(labels), 'label')}, but X has {n_columns} feature(s): pass "
            "one label for each column, and None for a column in no group."
        )
    columns: dict[Any, list[int]] = {}
    for index, label in enumerate(labels[_order(groups, n_columns, names)]):
        if not _is_missing(label):
            # Beside missing ones NumPy and pandas hold integers as floats.
            whole = isinstance(label, float | np.floating) and label.is_integer()
            label = int(label) if whole else label
            _output_name(label)  # refuses what cannot be a key, too
            columns.setdefault(label, []).append(index)
    return columns


def _order(labels: Any, n_columns: int, names: Any) -> list[int]:
    """Return the place of each column's label: by name where labels are indexed by names."""
    is_series = hasattr(labels, "index") and hasattr(labels, "ndim")  # a list has no ndim
    index = list(labels.index) if is_series else []
    if is_series and names is not None and sorted(map(str, index)) == sorted(names):
        return [index.index(name) for name in names]
    if is_series and index != list(range(n_columns)):
        some = ", ".join(map(repr, index[:5])) + ", ..." * (len(index) > 5)
        has = "no column names" if names is None else "other column names"
        raise ValueError(
            f"groups is {kind_of(labels)} indexed by {some}, but X has {has}: index it by "
            "the names of the columns, or pass its values alone, in the order of the columns."
        )
    return list(range(n_columns))


def _is_missing(label: Any) -> bool:
    """Return whether a label is None, nan, or pandas' NA or NaT."""
    is_nan = isinstance(label, Real) and label != label
    return is_nan or type(label).__name__ in ("NoneType", "NAType", "NaTType")


def _is_index(value: Any) -> bool:
    return isinstance(value, Integral) and not isinstance(value, bool)


def _output_name(label: Any) -> str:
    if not isinstance(label, str) and not _is_index(label):
        raise ValueError(
            f"groups names an output {label!r}, but strings or integers were expected: "
            "name it by one of these."
        )
    return str(label)


def _indices(group: str, members: Any, n_columns: int, where: dict[str, list[int]]) -> list[int]:
    """Return the indices of the columns of a group, given by name or by index."""
    if isinstance(members, str) or _is_index(members):
        members = [members]
    columns = np.asarray(members, dtype=object)
    if columns.ndim != 1:
        raise ValueError(
            f"{group} has type {type(members).__name__}, but a list of column names or of integer "
            "indices was expected: pass one, or a single name or index."
        )
    if not len(columns):
        raise ValueError(
            f"{group} is empty, but at least one column was expected: name one, or leave the group "
            "out."
        )
    indices = [_index(group, column, n_columns, where) for column in columns]
    twice = [index for index, times in Counter(indices).items() if times > 1]
    if twice:
        raise ValueError(
            f"{group} has column {twice[0]} more than once, which would count it as often: "
            "give each column once."
        )
    return indices


def _index(group: str, column: Any, n_columns: int, where: dict[str, list[int]]) -> int:
    if _is_index(column):
        if not -n_columns <= column < n_columns:
            raise ValueError(
                f"{group} has index {column}, but X has {n_columns} feature(s): "
                f"pass indices from {-n_columns} to {n_columns - 1}."
            )
        return int(column) % n_columns
    if not isinstance(column, str):
        raise ValueError(
            f"{group} has {column!r}, but column names or integer indices were expected: "
            "pass one of these for each column."
        )
    if not where:
        raise ValueError(
            f"{group} has the column name {column!r}, but X has no column names: "
            "pass a DataFrame, which set_output makes earlier steps return, or integer indices."
        )
    found = where.get(column, [])
    if len(found) != 1:
        some = ", ".join(map(repr, list(where)[:10])) + ", ..." * (len(where) > 10)
        raise ValueError(
            f"{group} has the column name {column!r}, which {len(found)} columns of X have: "
            f"pass the name of one column ({some}), or integer indices."
        )
    return found[0]
