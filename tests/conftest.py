"""Fixtures that several tests share."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.builders import describe, save_image


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    """A raw dataset with one person (T1w, FLAIR) and no sessions."""
    root = describe(tmp_path / "raw")
    for suffix in ("T1w", "FLAIR"):
        save_image(root / "sub-01" / "anat" / f"sub-01_{suffix}.nii.gz")
    return root


@pytest.fixture
def derivatives(tmp_path: Path) -> Path:
    """A derivative dataset without files."""
    return describe(tmp_path / "masks", DatasetType="derivative", GeneratedBy=[{"Name": "by hand"}])
