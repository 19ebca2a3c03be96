"""Fixtures that several tests share."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

import wmhflow
from wmhflow.files.caches import cache_folder

# Kernels are compiled once for all workers, for runs of the program in processes of their own, and
# for the demo, if it ran before; numba reads this when it is imported, which the next lines do.
os.environ.setdefault("NUMBA_CACHE_DIR", str(cache_folder(f"numba-{wmhflow.__version__}")))
# as runs of the program have it: ITK reads it when ANTs is imported, by whichever test comes first
os.environ.setdefault("ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS", "1")

from tests.builders import cube, describe, save_image
from tests.heads import early_stops
from wmhflow.registries.atlases import DIRECTORY_VARIABLE

# the same examples every time: a red run can be repeated (look for new ones with --hypothesis-seed)
settings.register_profile("repeatable", derandomize=True)
settings.load_profile("repeatable")


@pytest.fixture(scope="session", autouse=True)
def _no_atlases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Keep the atlases that a developer has fetched out of the tests: they would give lobes."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(DIRECTORY_VARIABLE, str(tmp_path_factory.mktemp("atlases")))
        yield


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """A raw dataset with one person (T1w, FLAIR) and no sessions."""
    root = describe(tmp_path / "raw")
    for suffix, data in (("T1w", cube(100)), ("FLAIR", cube(70))):
        save_image(root / "sub-01" / "anat" / f"sub-01_{suffix}.nii.gz", data)
    return root


@pytest.fixture
def derivatives(tmp_path: Path) -> Path:
    """A derivative dataset without files."""
    return describe(tmp_path / "masks", DatasetType="derivative", GeneratedBy=[{"Name": "by hand"}])


@pytest.fixture
def few_turns(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let alignments begin as the headers say alone, where turned heads are not the matter."""
    monkeypatch.setattr("wmhflow.core.align.search.ROTATIONS_TRIED_DEG", (0.0,))
    monkeypatch.setattr("wmhflow.core.align.head.TURNS_DEG", (0.0,))
    monkeypatch.setattr("wmhflow.core.align.head.FEW_TURNS_DEG", (0.0,))
    monkeypatch.setattr("wmhflow.core.align.head.CLIMBED", 6)
    monkeypatch.setattr("wmhflow.ants.rigid.every_turn", lambda: [(0.0, 0.0, 0.0)])


@pytest.fixture
def few_iterations() -> Iterator[None]:
    """Let ANTs stop early."""
    with early_stops():
        yield
