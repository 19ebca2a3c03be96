"""The visits that the benchmark makes are visits that the group level takes, none like another."""

from __future__ import annotations

from pathlib import Path

import pytest
from pyarrow import parquet

from benchmarks.scale import group
from wmhflow.group.run import run_group
from wmhflow.products.tables import TABLES
from wmhflow.settings import Settings


def test_made_visits_are_gathered_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group, "N_VARIANTS", 2)
    raw, out = tmp_path / "raw", tmp_path / "out"
    group.make_study(raw, out, 3)
    assert run_group(Settings(raw, out, "group")) == 0
    for kind in TABLES:
        rows = parquet.read_metadata(out / "group" / f"{TABLES[kind].ending}.parquet").num_rows
        assert rows == 3 * len(list(group.keys_of(kind)))
    maps = [path.read_bytes() for path in out.glob("sub-*/anat/*_desc-maps_regions.tsv")]
    assert len(set(maps)) == 3
    assert maps[0].count(b"\n") == 3001
