"""Atlases laid over a person: labels to the voxel, probabilities, lobes, the bridge's cache."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import h5py
import nibabel as nib
import numpy as np
import pytest

from wmhflow.ants.bridge import DRAWN_PRIORS
from wmhflow.core.regions.lookup import as_volumes
from wmhflow.core.regions.probabilities import STEPS
from wmhflow.errors import InputError
from wmhflow.files.itk import write_itk_affine
from wmhflow.interfaces import bridge
from wmhflow.interfaces._files import load_columns, save
from wmhflow.interfaces.atlases import (
    LayAtlas,
    LobesFromAtlas,
    PointsInTemplate,
    WeightedVolumes,
)
from wmhflow.interfaces.bridge import BridgeTemplates
from wmhflow.interfaces.regions import Lesions
from wmhflow.registries import atlases as registry

AFFINE = np.array([[1.0, 0, 0, -9.5], [0, 1, 0, -8], [0, 0, 1, -5], [0, 0, 0, 1]])
SHAPE = (20, 17, 11)
MOVED_MM = np.array([2.0, -1.0, 3.0])


@pytest.fixture
def halves(tmp_path: Path) -> str:
    """An atlas of a left and a right half, on a coarser grid that is stored the other way round."""
    affine = np.array([[-2.0, 0, 0, 9], [0, 1, 0, -8], [0, 0, 1, -5], [0, 0, 0, 1]])
    data = np.ones((10, 17, 11), np.int16)
    data[:5] = 2
    nib.save(nib.Nifti1Image(data, affine), tmp_path / "halves.nii.gz")
    (tmp_path / "halves.txt").write_text("1|L|half left\n2|R|half right\n")
    return f"halves={tmp_path / 'halves.nii.gz'}"


def laid(atlas: str, folder: Path, matrix: np.ndarray, threshold: float = 0.5) -> SimpleNamespace:
    transform = write_itk_affine(matrix, folder / "way.txt")
    brain = np.ones(SHAPE, bool)
    brain[:, 0] = False
    mask = save(folder, "brain", brain, AFFINE)
    found = PointsInTemplate(masks=[mask], transforms=[transform]).run(cwd=str(folder))
    return (
        LayAtlas(
            atlas=atlas,
            image=atlas.partition("=")[2],
            points=found.outputs.points,
            threshold=threshold,
        )
        .run(cwd=str(folder))
        .outputs
    )


def test_labels_keep_their_side_through_a_mirrored_grid(halves: str, tmp_path: Path) -> None:
    found = np.asarray(nib.load(laid(halves, tmp_path, np.eye(4)).labels).dataobj)
    assert (found[:10, 1:] == 1).all()
    assert (found[10:, 1:] == 2).all()
    assert (found[:, 0] == 0).all()


def test_wmh_outside_the_brain_mask_have_a_region(halves: str, tmp_path: Path) -> None:
    brain, wmh = np.zeros(SHAPE, bool), np.zeros(SHAPE, bool)
    brain[5:9, 5:9, 5:9] = True
    wmh[12, 3, 3] = True
    masks = [save(tmp_path, "brain", brain, AFFINE), save(tmp_path, "wmh", wmh, AFFINE)]
    transform = write_itk_affine(np.eye(4), tmp_path / "way.txt")
    places = PointsInTemplate(masks=masks, transforms=[transform]).run(cwd=str(tmp_path))
    columns = load_columns(places.outputs.points)
    assert (columns.mask == brain | wmh).all()
    lay = LayAtlas(atlas=halves, image=halves.partition("=")[2], threshold=0.5)
    found = lay.run(cwd=str(tmp_path), points=places.outputs.points).outputs.labels
    labels = np.asarray(nib.load(found).dataobj)
    assert labels[12, 3, 3] == 2
    assert (labels[brain] == 1).all()
    assert np.count_nonzero(labels) == 4**3 + 1


def test_a_point_is_looked_up_where_the_transform_says(halves: str, tmp_path: Path) -> None:
    matrix = np.eye(4)
    matrix[:3, 3] = MOVED_MM
    found = np.asarray(nib.load(laid(halves, tmp_path, matrix).labels).dataobj)
    # what lies at x in the person lies at x + 2 in the atlas: its middle is at x = -2 here
    assert set(np.unique(found[:8])) <= {0, 1}
    assert set(np.unique(found[8:])) <= {0, 2}
    assert (found[:, :, 8:] == 0).all()


def test_an_atlas_that_does_not_reach_the_person_is_refused(halves: str, tmp_path: Path) -> None:
    far = np.eye(4)
    far[:3, 3] = 500
    nib.save(nib.Nifti1Image(np.ones((*SHAPE, 1), np.float32), AFFINE), tmp_path / "one.nii.gz")
    (tmp_path / "one.txt").write_text("1|A|all of it\n")
    for atlas in (halves, f"one={tmp_path / 'one.nii.gz'}"):
        with pytest.raises(InputError, match="--atlas-template"):
            laid(atlas, tmp_path, far)


def test_probabilities_overlap_and_end_at_the_brain(tmp_path: Path) -> None:
    volumes = np.zeros((*SHAPE, 2), np.float32)
    volumes[:10, ..., 0] = 1.0
    volumes[..., 1] = 0.5
    nib.save(nib.Nifti1Image(volumes, AFFINE), tmp_path / "tracts.nii.gz")
    (tmp_path / "tracts.txt").write_text("1|A|bundle left\n2|B|both\n")
    found = laid(f"tracts={tmp_path / 'tracts.nii.gz'}", tmp_path, np.eye(4))
    columns = load_columns(found.steps)
    steps = as_volumes(columns.values, columns.mask)
    labels = np.asarray(nib.load(found.labels).dataobj)
    members = json.loads(Path(found.members).read_text())
    assert (steps[:, 0] == 0).all()
    assert set(np.unique(steps[:, 1:, :, 1])) == {STEPS // 2}
    assert (np.isin(labels, members["1"]) == (steps[..., 0] > 0)).all()
    assert (np.isin(labels, members["2"]) == (steps[..., 1] > 0)).all()
    wmh = np.zeros(SHAPE, bool)
    wmh[8:12, 1:] = True
    region = {"seg": "tracts", "index": 1, "name": "bundle left", "hemisphere": "L"}
    rows = (
        WeightedVolumes(
            steps=[found.steps],
            regions=[[region, region | {"index": 2}]],
            wmh=save(tmp_path, "wmh", wmh, AFFINE),
        )
        .run(cwd=str(tmp_path))
        .outputs.rows
    )
    first, second = json.loads(Path(rows).read_text())
    assert first["wmh_volume_mm3"] == 2 * 16 * 11
    assert second["wmh_volume_mm3"] == 0.5 * 4 * 16 * 11
    assert second["volume_mm3"] == 0.5 * 20 * 16 * 11


def test_lobes_of_an_atlas_go_to_the_person_s_own_cortex(tmp_path: Path) -> None:
    codes = np.zeros(SHAPE, np.int32)
    codes[:10, 0], codes[10:, 0], codes[:10, -1], codes[10:, -1] = 1028, 2028, 1011, 2011
    tissue = np.zeros(SHAPE, np.uint8)
    tissue[:10, 1:16], tissue[10:, 1:16] = 13, 23
    lobes = np.asarray(
        nib.load(
            LobesFromAtlas(
                codes=save(tmp_path, "codes", codes, AFFINE, np.int32),
                tissue=save(tmp_path, "tissue", tissue, AFFINE),
            )
            .run(cwd=str(tmp_path))
            .outputs.cortex_lobes
        ).dataobj
    )
    assert (lobes[:, 1:8] == 1).all()
    assert (lobes[:, 9:16] == 4).all()
    assert (lobes[:, [0, 16]] == 0).all()


def test_a_bridge_is_registered_once_and_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(registry.DIRECTORY_VARIABLE, str(tmp_path / "cache"))
    made = []

    def register(inputs: object, out: Path) -> None:
        made.append(inputs)
        with h5py.File(out, "w") as stored:
            stored["TransformGroup/0"] = len(made)

    monkeypatch.setattr(bridge, "register_bridge", register)
    image = save(tmp_path, "image", np.ones(SHAPE), AFFINE, np.float32)
    for number, name in enumerate(("image", "image", "other"), start=1):
        if name == "other":
            image = save(tmp_path, "other", np.zeros(SHAPE), AFFINE, np.float32)
        folder = tmp_path / str(number)
        folder.mkdir()
        priors = dict.fromkeys(("template_mask", *DRAWN_PRIORS), image)
        found = BridgeTemplates(image=image, template_t1w=image, **priors).run(cwd=str(folder))
        assert Path(found.outputs.forward).is_file()
    assert len(made) == 2
    kept = sorted((tmp_path / "cache" / "bridges").iterdir(), key=lambda path: path.stat().st_mtime)
    assert len(kept) == 2
    assert {path.stat().st_mode & 0o044 for path in kept} == {0o044}
    # what was cut short in the cache is made again
    kept[-1].write_bytes(kept[-1].read_bytes()[:100])
    bridge.BridgeTemplates(image=image, template_t1w=image, **priors).run(cwd=str(folder))
    assert len(made) == 3


def test_a_lesion_s_territory_is_that_of_the_atlas_and_not_of_another_number(
    tmp_path: Path,
) -> None:
    wmh, territories = np.zeros(SHAPE, bool), np.zeros(SHAPE, np.int32)
    wmh[2:5, 3, 3] = wmh[12:15, 3, 3] = True
    territories[:10], territories[10:13], territories[13:] = 28, 8, 18
    tissue = np.where(wmh, 16, 15)
    distance = save(tmp_path, "distance", np.ones(SHAPE), AFFINE, np.float32)
    found = Lesions(
        wmh=save(tmp_path, "wmh", wmh, AFFINE),
        tissue=save(tmp_path, "tissue", tissue, AFFINE, np.uint8),
        ventricle_distance=distance,
        cortex_distance=distance,
        zones=[save(tmp_path, "zones", np.full(SHAPE, 11), AFFINE, np.uint8)],
        schemes=["jv3-pv13-jc4"],
        territories=save(tmp_path, "territories", territories, AFFINE, np.int32),
        territory_names={8: "frontal", 18: "temporal", 28: "cerebellar"},
        rule="continuity",
    ).run(cwd=str(tmp_path))
    rows = json.loads(Path(found.outputs.table).read_text())
    assert [row["territory"] for row in rows] == ["cerebellar", "temporal"]
