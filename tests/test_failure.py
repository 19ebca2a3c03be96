"""One person's failure is the person's own: the others finish, and the last lines say why."""

from __future__ import annotations

import gzip
import shutil
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.coarse import coarse_dataset, save
from tests.inprocess import Cut, run, succeed
from tests.runs import outputs

SINGULAR = (
    "#Insight Transform File V1.0\n#Transform 0\n"
    "Transform: MatrixOffsetTransformBase_double_3_3\n"
    "Parameters: 0 0 0 0 0 0 0 0 0 0 0 0\nFixedParameters: 0 0 0\n"
)


def test_a_truncated_image_and_a_step_that_fails_are_each_persons_own(tmp_path: Path) -> None:
    people = [("01", None), ("02", None), ("03", None), ("04", None)]
    coarse = coarse_dataset(tmp_path, people, every=2)
    broken = coarse.find("sub-02_FLAIR.nii.gz")
    broken.write_bytes(broken.read_bytes()[:5000])
    noise = coarse.find("sub-03_FLAIR.nii.gz")
    image = nib.load(noise)
    cloud = np.random.default_rng(0).random(image.shape, dtype=np.float32)
    save(noise, cloud, image.affine)
    singular = coarse.find("sub-04_from-asl_to-T1w_mode-image_xfm.txt")
    singular.write_text(SINGULAR)
    done = run(coarse.words())
    assert done.code == 1
    # a map's transform that cannot be used costs the map alone, and is said
    for person, finished in (("01", True), ("02", False), ("03", False), ("04", True)):
        assert (coarse.out / f"sub-{person}.html").is_file() == finished
        assert (
            bool(list(coarse.out.glob(f"sub-{person}/**/*_desc-volumes_regions.tsv"))) == finished
        )
    last = done.err.strip().splitlines()
    said = {line.partition(" FAILED: ")[0].split()[-1]: line for line in last[-4:-1]}
    assert set(said) == {"sub-02", "sub-03", "sub-04"}
    assert "sub-02_FLAIR.nii.gz cannot be read to its end" in said["sub-02"]
    assert "FAILED: sub-03 other anatomical" in said["sub-03"].replace("_", " ")
    assert f"CBF: {singular} scales the image by 0" in said["sub-04"]
    assert last[-1] == "3 of 4 persons failed."
    assert not list(coarse.out.rglob("*.part"))


@pytest.mark.slow
def test_a_run_that_was_cut_is_not_finished_and_the_next_one_finishes_it(tmp_path: Path) -> None:
    coarse = coarse_dataset(tmp_path, every=2)
    whole = tmp_path / "whole" / "out"
    succeed(coarse.words(out=whole))
    with pytest.raises(Cut):
        run(coarse.words(), cut_after="image_sink")
    assert list(coarse.anat().glob("*dseg.nii.gz"))
    assert not list(coarse.anat().glob("*desc-volumes_regions.tsv"))
    done = run(coarse.words("--reports-only"))
    assert "sub-01 is not finished" in done.err
    succeed(coarse.words())
    assert outputs(coarse.out).keys() == outputs(whole).keys()
    for path in coarse.out.rglob("*.nii.gz"):
        gzip.decompress(path.read_bytes())
    assert not list(coarse.out.rglob("*.part"))


def test_outputs_follow_what_is_asked_and_are_repaired(tmp_path: Path) -> None:
    coarse = coarse_dataset(tmp_path, every=2)
    words = coarse.words()
    succeed(words)
    whole = outputs(coarse.out)

    damaged = coarse.anat() / "sub-01_space-T1w_desc-cortex_distance.nii.gz"
    damaged.write_bytes(damaged.read_bytes()[:5000])
    (coarse.anat() / "sub-01_desc-volumes_regions.tsv").unlink()
    succeed(words)
    assert outputs(coarse.out) == whole

    without_maps = tmp_path / "without_maps"
    shutil.copytree(coarse.given, without_maps, ignore=shutil.ignore_patterns("dwi", "perf"))
    succeed([word.replace(str(coarse.given), str(without_maps)) for word in words])
    assert not list(coarse.anat().glob("*desc-maps*"))
    succeed(words)
    assert outputs(coarse.out) == whole
