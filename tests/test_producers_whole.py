"""A whole visit on what a producer wrote as it is: the numbers are those of the same in BIDS."""

from __future__ import annotations

from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.coarse import coarse_dataset
from tests.inprocess import succeed
from wmhflow.bids.writer import read_table


@pytest.mark.slow
def test_freesurfers_folder_and_lst_ais_give_what_bids_names_give(tmp_path: Path) -> None:
    study = coarse_dataset(tmp_path, [("01", None)])
    succeed(study.words())
    tables = [path.name for path in study.anat().glob("*_regions.tsv")]
    expected = {name: read_table(study.anat() / name) for name in tables}
    parcels, mask = (study.find(end) for end in ("aparcaseg_dseg.nii.gz", "label-WMH_mask.nii.gz"))
    image = nib.load(parcels)
    folder = tmp_path / "freesurfer" / "sub-01" / "mri"
    folder.mkdir(parents=True)
    codes = np.asarray(image.dataobj).astype(np.int32)
    nib.save(nib.MGHImage(codes, image.affine), folder / "aparc+aseg.mgz")
    parcels.unlink()
    lesions = tmp_path / "lesions" / mask.name.replace("space-T1w_label-WMH_mask", "T1w_wmh")
    lesions.parent.mkdir()
    mask.rename(lesions)
    more = [f"freesurfer={tmp_path / 'freesurfer'}", f"lesions={tmp_path / 'lesions'}"]
    out = tmp_path / "again" / "out"
    succeed([*study.words(out=out), "-d", *more])
    assert tables
    for name in tables:
        assert read_table(study.anat(out) / name) == expected[name]
