"""Lobes of white matter around the DKT atlas's own cortex, by brute force."""

from __future__ import annotations

import nibabel as nib
import numpy as np
import pytest
from scipy.spatial import cKDTree

from tests.builders import DATA
from wmhflow.core.regions.lobes import propagate_lobes
from wmhflow.core.tissue.parcellation import recode
from wmhflow.labels.freesurfer import load_freesurfer_codes

DKT = DATA / "atlases" / "mindboggle_dkt"
CORTEX, REACH_MM = 3, 30.0


@pytest.mark.slow
@pytest.mark.skipif(not DKT.is_dir(), reason="the DKT atlas is not on this machine")
def test_white_matter_of_the_dkt_atlas_has_the_lobe_of_the_nearest_cortex() -> None:
    """What the atlas leaves without a label beside cortex stands for white matter."""
    (path,) = DKT.glob("*.nii.gz")
    image = nib.load(path)
    codes = np.asanyarray(image.dataobj).astype(np.int64)
    known = load_freesurfer_codes()
    lobes = recode(codes, {code: entry.lobe for code, entry in known.items()})
    classes = recode(codes, {code: entry.tissue for code, entry in known.items()})
    cortex_right = recode(codes, {c: entry.hemisphere == "R" for c, entry in known.items()}) > 0
    x = image.affine[0, 0] * np.arange(codes.shape[0]) + image.affine[0, 3]
    right = np.broadcast_to((x >= 0)[:, None, None], codes.shape)
    sources = np.where(classes == CORTEX, lobes, 0)
    # a sample of a few thousand voxels; their answers do not depend on what else is asked for
    white = np.zeros(codes.shape, bool)
    white[::6, ::6, ::6] = codes[::6, ::6, ::6] == 0
    found = propagate_lobes(sources, cortex_right, white, right, np.ones(3))
    compared = 0
    for side in (False, True):
        voxels = np.argwhere(white & (right == side))
        away = np.stack(
            [
                cKDTree(np.argwhere((sources == lobe) & (cortex_right == side))).query(voxels)[0]
                for lobe in (1, 2, 3, 4)
            ],
            axis=1,
        )
        near = away.min(axis=1) < REACH_MM
        labels = found[tuple(voxels.T)].astype(int)
        assert set(np.unique(labels // 10)) == {2 if side else 1}
        mine = away[np.arange(len(voxels)), labels % 10 - 1]
        assert (mine[near] == away[near].min(axis=1)).all()
        compared += int(near.sum())
    assert compared > 10_000
