"""The whole program with a segmenter of the user's own in the place of the built-in one."""

from __future__ import annotations

import json
import shlex
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.runs import phantom_words, wmhflow
from wmhflow.bids.writer import read_table

pytestmark = pytest.mark.slow

# A block in the right front of the FLAIR, on the FLAIR's own grid of 5 mm slices.
SEGMENT = """
import sys, nibabel, numpy
image = nibabel.load(sys.argv[1])
places = numpy.moveaxis(numpy.indices(image.shape), 0, -1) + 0.0
x, y, z = (places @ image.affine[:3, :3].T + image.affine[:3, 3])[..., :3].transpose(3, 0, 1, 2)
centre = image.affine[:3, :3] @ (numpy.array(image.shape) / 2) + image.affine[:3, 3]
mask = (abs(x - centre[0] - 25) < 8) & (abs(y - centre[1]) < 15) & (abs(z - centre[2] - 10) < 12)
nibabel.save(nibabel.Nifti1Image(mask.astype("uint8"), image.affine), sys.argv[2])
"""


def test_an_external_mask_goes_all_the_way(tmp_path: Path) -> None:
    command = shlex.join([sys.executable, "-c", SEGMENT, "{flair}", "{out}"])
    words = phantom_words(tmp_path / "out", tmp_path / "work")
    done = wmhflow([*words, "--participant-label", "02", "--wmh-command", command])
    assert done.returncode == 0, done.stdout + done.stderr
    anat = tmp_path / "out" / "sub-02" / "anat"
    mask = nib.load(anat / "sub-02_space-T1w_label-WMH_mask.nii.gz")
    volume = np.count_nonzero(mask.dataobj) * abs(np.linalg.det(mask.affine[:3, :3]))
    assert volume == pytest.approx(16 * 30 * 24, rel=0.2)
    rows = read_table(anat / "sub-02_desc-volumes_regions.tsv")
    sides = {
        row["hemisphere"]: float(row["volume_mm3"])
        for row in rows
        if row["seg"] == "tissue" and row["name"].endswith("white matter hyperintensity")
    }
    assert sides["R"] == pytest.approx(volume, rel=1e-5)
    assert sides["L"] == 0
    sidecar = json.loads(
        (anat / "sub-02_space-T1w_label-WMH_mask.json").read_text(encoding="utf-8")
    )
    assert "numpy" in json.dumps(sidecar)
    assert not list(anat.glob("*probseg*"))
    text = (tmp_path / "out" / "logs" / "CITATION.md").read_text(encoding="utf-8")
    assert "computed with the command" in text
