"""The tree file: one Parquet table, a row per node; a million leaves load in seconds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, overload

import numpy as np

from mindgpt_data.tree.checks import check_shape
from mindgpt_data.tree.model import Columns, Tree, TreeError
from mindgpt_plugins.core.files import replace_file

VERSION = "1"
COLUMNS = ("id", "parent", "level", "name", "definition", "exclusions", "exemplars", "density")


def write_parquet(tree: Tree, path: Path) -> None:
    """Write a tree; the file is replaced in one move."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = tree.columns
    ids = pa.array(columns.ids, pa.string())
    parents = pa.array(columns.parents, mask=columns.parents < 0)
    table = pa.table(
        {
            "id": ids,
            "parent": ids.take(parents),
            "level": pa.array(columns.levels),
            "name": _arrow(columns.names, pa.string()),
            "definition": _arrow(columns.definitions, pa.string()),
            "exclusions": _arrow(columns.exclusions, pa.string()),
            "exemplars": _arrow(columns.exemplars, pa.list_(pa.field("element", pa.string()))),
            "density": _arrow(columns.densities, pa.string()),
        }
    ).replace_schema_metadata({"label_tree": VERSION, "dimension": tree.dimension})
    with replace_file(path) as aside:
        pq.write_table(table, aside, compression="zstd")


def read_parquet(path: Path, whole: bool = True) -> Tree:
    """Read a tree that :func:`write_parquet` wrote; its shape is checked, its texts stay in Arrow.

    Raises:
        TreeError: missing, no label tree, or malformed.
    """
    import pyarrow as pa
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    where = f"label tree {path}"
    try:
        table = pq.read_table(path)
    except (OSError, pa.ArrowInvalid) as error:
        raise TreeError(f"{where} cannot be read: {error}") from None
    about = {key.decode(): value.decode() for key, value in (table.schema.metadata or {}).items()}
    if missing := [name for name in COLUMNS if name not in table.column_names]:
        raise TreeError(f"{where} has no column {missing[0]!r}; write it with `mindgpt data tree build`")
    if about.get("label_tree") != VERSION:
        raise TreeError(f"{where} has version {about.get('label_tree')}; this release reads version {VERSION}")
    by_name = {name: table[name].combine_chunks() for name in COLUMNS}
    ids, parent = by_name["id"], by_name["parent"]
    listed: list[str] = ids.to_pylist()
    if len(set(listed)) < len(listed):
        twice = next(node for node, number in Counter(listed).items() if number > 1)
        raise TreeError(f"{where}: id {twice!r} occurs twice; ids are unique in a dimension")
    rows = pc.index_in(parent, value_set=ids)
    orphans = pc.and_(pc.is_valid(parent), pc.is_null(rows))
    if pc.any(orphans).as_py():
        row = pc.index(orphans, True).as_py()
        raise TreeError(f"{where}: {ids[row].as_py()!r} has parent {parent[row].as_py()!r}, which does not exist")
    columns = Columns(
        ids=listed,
        parents=np.where(pc.is_null(parent).to_numpy(zero_copy_only=False), -1, rows.fill_null(-1).to_numpy()).astype(
            np.int32
        ),
        levels=by_name["level"].to_numpy().astype(np.int8),
        names=_Lazy(by_name["name"]),
        definitions=_Lazy(by_name["definition"]),
        exclusions=_Lazy(by_name["exclusions"]),
        exemplars=_Lazy(by_name["exemplars"]),
        densities=_Lazy(by_name["density"]),
    )
    check_shape(columns, lambda row: where, whole)
    return Tree(about["dimension"], columns)


def _arrow(values: Sequence[Any], kind: Any) -> Any:
    import pyarrow as pa

    return values.array if isinstance(values, _Lazy) else pa.array(list(values), kind)


class _Lazy(Sequence[Any]):
    """An Arrow array whose values become Python objects one at a time."""

    def __init__(self, array: Any) -> None:
        self.array = array

    @overload
    def __getitem__(self, at: int) -> Any: ...
    @overload
    def __getitem__(self, at: slice) -> Sequence[Any]: ...
    def __getitem__(self, at: int | slice) -> Any:
        return _Lazy(self.array[at]) if isinstance(at, slice) else self.array[at].as_py()

    def __len__(self) -> int:
        return len(self.array)
