"""The example dataset holds what its truth file says, found here without the scripts' functions."""

import gzip
import json
import shutil
import subprocess
import sys
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from scipy import ndimage as ndi

EXAMPLES = Path(__file__).parents[1] / "bids_examples"
PHANTOM = EXAMPLES / "phantom"
DERIVATIVES = PHANTOM / "derivatives"
VISITS = ("sub-01_ses-1", "sub-01_ses-2", "sub-02")
GIVEN = VISITS[:2]
CONNECTED_26 = np.ones((3, 3, 3))
MAPS = {
    "FA": ("dwi", "dwi/{}_model-tensor_param-fa_dwimap.nii.gz"),
    "MD": ("dwi", "dwi/{}_model-tensor_param-md_dwimap.nii.gz"),
    "CBF": ("asl", "perf/{}_cbf.nii.gz"),
    "Chimap": ("megre", "anat/{}_Chimap.nii.gz"),
}
LEFT_RIGHT = [
    (2, 41), (4, 43), (5, 44), (31, 63), (7, 46), (8, 47), (10, 49), (11, 50), (12, 51), (13, 52),
    *((code, code + 1000) for code in (1011, 1023, 1026, 1028, 1029, 1030, 1035)),
]  # fmt: skip


def folder(visit):
    return visit.replace("_", "/")


def raw(visit, suffix):
    return nib.load(PHANTOM / folder(visit) / "anat" / f"{visit}_{suffix}.nii.gz")


def given_mask(visit, space):
    name = f"{visit}_space-{space}_label-WMH_mask.nii.gz"
    return nib.load(DERIVATIVES / "lesions" / folder(visit) / "anat" / name)


def parcellation(visit):
    name = f"{visit}_space-T1w_seg-aparcaseg_dseg.nii.gz"
    return nib.load(DERIVATIVES / "parcellation" / folder(visit) / "anat" / name)


def read_map(visit, name):
    return nib.load(DERIVATIVES / "maps" / folder(visit) / MAPS[name][1].format(visit))


def read_transform(visit, kind):
    """The RAS matrix of an ITK text file, which maps T1w points to points of the scan."""
    (path,) = (DERIVATIVES / "maps" / folder(visit)).glob(f"*/*_from-{kind}_to-T1w_*xfm.txt")
    lines = path.read_text().splitlines()
    assert lines[2] == "Transform: MatrixOffsetTransformBase_double_3_3"
    assert lines[4] == "FixedParameters: 0 0 0"
    numbers = np.array(lines[3].removeprefix("Parameters: ").split(), dtype=float)
    lps = np.eye(4)
    lps[:3, :3], lps[:3, 3] = numbers[:9].reshape(3, 3), numbers[9:]
    flip = np.diag([-1, -1, 1, 1])
    return flip @ lps @ flip


def centroid(image, inside):
    return nib.affines.apply_affine(image.affine, np.argwhere(inside).mean(axis=0))


@pytest.fixture(scope="module")
def truth():
    return json.loads((EXAMPLES / "phantom_truth.json").read_text())


@pytest.fixture(scope="module")
def scripts():
    """The scripts beside the dataset, imported as they import each other."""
    sys.path.insert(0, str(EXAMPLES))
    try:
        import make_phantom
        import phantom_plan
    finally:
        sys.path.remove(str(EXAMPLES))
    return make_phantom, phantom_plan


@pytest.mark.slow
def test_scripts_give_the_committed_dataset(scripts, tmp_path):
    make_phantom, plan = scripts
    second_visit, second_person = make_phantom.build_heads(plan.VISITS[1:])
    # Each kind of file once: everything would take twice as long.
    make_phantom.write_raw(tmp_path, [second_person])
    for name in ("lesions", "parcellation", "maps", "others"):
        getattr(make_phantom, f"write_{name}")(tmp_path / "derivatives" / name, [second_visit])
    made = sorted(path for path in tmp_path.rglob("*") if path.is_file())
    assert sum(path.suffix == ".gz" for path in made) == 10
    for path in made:
        committed = PHANTOM / path.relative_to(tmp_path)
        if path.suffix == ".gz":
            _assert_same_image(path, committed)
        else:
            assert path.read_text() == committed.read_text(), committed


def _assert_same_image(made, committed):
    # Another processor or zlib may round a number in a thousand otherwise; the header never.
    assert gzip.decompress(made.read_bytes())[:352] == gzip.decompress(committed.read_bytes())[:352]
    one, other = (np.asarray(nib.load(path).dataobj) for path in (made, committed))
    same = (one == other) | (np.isnan(one) & np.isnan(other))
    assert (~same).mean() < 1e-3, committed


def test_gzip_files_carry_no_date_and_no_name():
    for path in PHANTOM.rglob("*.gz"):
        head = path.read_bytes()[:10]
        assert head[3:8] == bytes(5), path


def test_phantom_is_small():
    assert sum(path.stat().st_size for path in PHANTOM.rglob("*")) < 12e6


@pytest.mark.parametrize("dataset", ["", "lesions", "parcellation", "maps"])
def test_official_validator_finds_no_error(dataset):
    validator = shutil.which("bids-validator-deno", path=str(Path(sys.executable).parent))
    if validator is None:
        pytest.skip("bids-validator-deno is not installed")
    place = DERIVATIVES / dataset if dataset else PHANTOM
    done = subprocess.run(
        [validator, "--format", "json", str(place)], capture_output=True, text=True, check=False
    )
    issues = json.loads(done.stdout)["issues"]["issues"]
    assert [issue for issue in issues if issue["severity"] == "error"] == []


def test_every_image_has_equal_sform_and_qform():
    for path in PHANTOM.rglob("*.nii.gz"):
        header = nib.load(path).header
        assert (header["sform_code"], header["qform_code"]) == (1, 1), path
        np.testing.assert_allclose(header.get_qform(), header.get_sform(), atol=1e-3)


def test_orientations_and_voxel_sizes():
    for visit in GIVEN:
        assert nib.aff2axcodes(raw(visit, "T1w").affine) == ("L", "A", "S")
        assert raw(visit, "T1w").header.get_zooms() == (2, 2, 2)
    axes = raw("sub-02", "T1w").affine[:3, :3] / 2
    assert np.abs(axes).max() < 0.99  # no axis of the grid lies along an axis of the world
    np.testing.assert_allclose(axes.T @ axes, np.eye(3), atol=1e-5)
    assert raw("sub-02", "FLAIR").header.get_zooms()[2] == 5


def test_truth_holds_the_grids_of_the_images(truth):
    for visit in VISITS:
        for suffix in ("T1w", "FLAIR"):
            grid = truth["visits"][visit]["grids"][suffix]
            assert raw(visit, suffix).shape == tuple(grid["shape"])
            np.testing.assert_allclose(raw(visit, suffix).affine, grid["affine"], atol=1e-4)


@pytest.mark.parametrize("visit", GIVEN)
def test_left_lies_at_smaller_x(visit):
    image = parcellation(visit)
    codes = np.asarray(image.dataobj)
    for left, right in LEFT_RIGHT:
        assert centroid(image, codes == left)[0] < centroid(image, codes == right)[0]


def test_left_lesions_lie_left_of_the_midline(truth):
    for visit in VISITS:
        found = truth["visits"][visit]
        to_person = np.linalg.inv(found["head_position_person_to_t1w_ras"])
        for lesion in found["lesions"]:
            x = nib.affines.apply_affine(to_person, lesion["centre_t1w_ras_mm"])[0]
            assert (x < -5) if lesion["side"] == "L" else (x > 5)


def test_sides_are_unequal_as_stated(truth):
    volumes = {visit: truth["visits"][visit]["wmh_volume_mm3"] for visit in VISITS}
    for visit in GIVEN:
        assert 1.6 < volumes[visit]["L"] / volumes[visit]["R"] < 2.2
    assert 1.6 < volumes["sub-02"]["R"] / volumes["sub-02"]["L"] < 2.2


def test_sides_of_the_mask_by_the_hemisphere_of_the_nearest_white_matter(truth):
    codes = np.asarray(parcellation("sub-01_ses-1").dataobj)
    mask = np.asarray(given_mask("sub-01_ses-1", "T1w").dataobj) > 0
    hemisphere = np.where(codes == 2, "L", np.where(codes == 41, "R", ""))
    nearest = ndi.distance_transform_edt(
        hemisphere == "", return_distances=False, return_indices=True
    )
    sides = hemisphere[tuple(nearest)][mask]
    stated = truth["visits"]["sub-01_ses-1"]["wmh_volume_mm3"]
    assert {side: 8 * int((sides == side).sum()) for side in "LR"} == {s: stated[s] for s in "LR"}


def test_lesions_of_the_mask_are_the_stated_ones(truth):
    image = given_mask("sub-01_ses-1", "T1w")
    pieces, n_pieces = ndi.label(np.asarray(image.dataobj), CONNECTED_26)
    lesions = truth["visits"]["sub-01_ses-1"]["lesions"]
    assert n_pieces == len(lesions)
    nearest = ndi.distance_transform_edt(pieces == 0, return_distances=False, return_indices=True)
    for lesion in lesions:
        index = nib.affines.apply_affine(np.linalg.inv(image.affine), lesion["centre_t1w_ras_mm"])
        piece = pieces[tuple(nearest[(slice(None), *np.rint(index).astype(int))])]
        assert (pieces == piece).sum() == lesion["n_voxels"], lesion["name"]
    assert sum(lesion["n_voxels"] == 1 for lesion in lesions) == 1
    assert {lesion["kind"] for lesion in lesions} == {
        "cap", "confluent", "deep", "juxtacortical", "single"
    }  # fmt: skip


def test_scaled_mask_in_the_grid_of_the_flair(truth):
    image = given_mask("sub-01_ses-2", "FLAIR")
    values, stored = np.asarray(image.dataobj), np.asarray(image.dataobj.get_unscaled())
    assert set(np.unique(stored)) == {0, 255}
    assert not (values == 1).any()
    np.testing.assert_allclose(image.affine, raw("sub-01_ses-2", "FLAIR").affine)
    assert image.shape == raw("sub-01_ses-2", "FLAIR").shape
    stated = truth["visits"]["sub-01_ses-2"]
    assert (values > 0).sum() == stated["given_mask"]["n_voxels"]
    _, n_pieces = ndi.label(values > 0, CONNECTED_26)
    assert n_pieces == len(stated["lesions"])


def test_scaled_mask_moved_to_the_t1w_is_the_stated_one(truth):
    image, stated = given_mask("sub-01_ses-2", "FLAIR"), truth["visits"]["sub-01_ses-2"]
    t1w = raw("sub-01_ses-2", "T1w")
    move = np.linalg.inv(image.affine) @ stated["t1w_to_scan_ras"]["FLAIR"] @ t1w.affine
    mask = np.asarray(image.dataobj) > 0
    moved = ndi.affine_transform(mask.astype(float), move, output_shape=t1w.shape, order=0)
    pieces, n_pieces = ndi.label(moved > 0, CONNECTED_26)
    sizes = sorted(np.bincount(pieces.ravel())[1:])
    assert n_pieces == len(stated["lesions"])
    assert sizes == sorted(lesion["n_voxels"] for lesion in stated["lesions"])


def test_lesions_grow_between_the_visits(truth):
    first, second = (
        {lesion["name"]: lesion for lesion in truth["visits"][visit]["lesions"]} for visit in GIVEN
    )
    for name, lesion in first.items():
        assert second[name]["volume_mm3"] >= lesion["volume_mm3"]
        assert not second[name]["new"]
    assert sum(lesion["new"] for lesion in second.values()) == len(second) - len(first) == 2


def test_lesions_are_bright_on_flair_and_dark_on_t1w(truth):
    for visit in VISITS:
        found = truth["visits"][visit]
        flair, t1w = raw(visit, "FLAIR"), raw(visit, "T1w")
        for lesion in found["lesions"]:
            if lesion["n_voxels"] < 80:
                continue
            centre = np.array(lesion["centre_t1w_ras_mm"])
            in_flair = nib.affines.apply_affine(found["t1w_to_scan_ras"]["FLAIR"], centre)
            assert _value_near(flair, in_flair) > 580, (visit, lesion["name"])
            assert _value_near(t1w, centre) < 820, (visit, lesion["name"])


def _value_near(image, world):
    index = nib.affines.apply_affine(np.linalg.inv(image.affine), world)
    data = np.asarray(image.dataobj, dtype=float)
    return ndi.map_coordinates(data, index[:, None], order=1)[0]


@pytest.mark.parametrize("visit", VISITS)
def test_transform_files_hold_the_stated_matrices(visit, truth):
    for kind in ("dwi", "asl", "megre"):
        stated = truth["visits"][visit]["t1w_to_scan_ras"][kind]
        np.testing.assert_allclose(read_transform(visit, kind), stated, atol=1e-8)


@pytest.mark.parametrize("name", MAPS)
def test_map_follows_its_profile_around_the_mask(name, truth):
    """Distances come from the given mask, places from the transform file, white from the dseg."""
    values, distance = _white_matter_of_map("sub-01_ses-1", name, invert=False)
    recipe = truth["maps"][name]
    planted = np.interp(distance, recipe["knots_mm"], recipe["knots_value"])
    for low in range(1, 15):
        inside = (distance > low) & (distance <= low + 1)
        error = recipe["noise_sd"] / np.sqrt(inside.sum())
        assert abs((values - planted)[inside].mean()) < 4 * error + recipe["quantum"]
    assert np.std(values - planted) == pytest.approx(recipe["noise_sd"], rel=0.05)


@pytest.mark.parametrize("name", MAPS)
def test_transform_files_are_not_the_inverse(name, truth):
    recipe = truth["maps"][name]
    values, distance = _white_matter_of_map("sub-01_ses-1", name, invert=True)
    planted = np.interp(distance, recipe["knots_mm"], recipe["knots_value"])
    assert np.std(values - planted) > 1.5 * recipe["noise_sd"]


def _white_matter_of_map(visit, name, *, invert):
    """Values and distances to WMH of the map's voxels whose centres lie in white matter."""
    image, mask = read_map(visit, name), np.asarray(given_mask(visit, "T1w").dataobj) > 0
    transform = read_transform(visit, MAPS[name][0])
    to_t1w = transform if invert else np.linalg.inv(transform)
    move = np.linalg.inv(raw(visit, "T1w").affine) @ to_t1w @ image.affine
    white = np.isin(np.asarray(parcellation(visit).dataobj), (2, 41)) & ~mask
    distance = ndi.distance_transform_edt(~mask, sampling=2)
    options = {"output_shape": image.shape, "mode": "constant"}
    inside = ndi.affine_transform(white.astype(float), move, order=0, **options) > 0
    # With the wrong direction some of these voxels lie outside the head, where FA is NaN.
    values = np.nan_to_num(np.asarray(image.dataobj)[inside])
    return values, ndi.affine_transform(distance, move, order=1, **options)[inside]


def test_profiles_have_the_promised_shapes(truth):
    rows = {
        name: [
            row["mean_sampled_in_map_grid"]
            for row in truth["visits"]["sub-02"]["expected_shells"]
            if row["map"] == name and row["lesion_class"] == "all" and row["shell"] != "lesion"
        ]
        for name in MAPS
    }
    assert 0 < np.argmax(rows["FA"]) < 3
    assert rows["MD"][0] > rows["MD"][1] > rows["MD"][2] > rows["MD"][3]
    assert np.ptp(rows["MD"][3:]) < 0.02 * rows["MD"][-1]
    assert all(np.diff(rows["CBF"][:6]) > 0)
    assert np.argmin(rows["Chimap"]) == 0


def test_stated_volumes_add_up(truth):
    for visit in VISITS:
        found = truth["visits"][visit]
        total = found["wmh_volume_mm3"]["B"]
        zones = found["zone_volume_mm3"].values()
        tissue = found["tissue_volume_mm3"]
        assert sum(lesion["volume_mm3"] for lesion in found["lesions"]) == total
        assert sum(zone["wmh"] for zone in zones) == total
        assert sum(zone["B"] for zone in zones) == total + tissue["white-matter"]["B"]
        assert total + sum(row["B"] for row in tissue.values()) == found["brain_volume_mm3"]


def test_parcellation_names_every_code():
    rows = (DERIVATIVES / "parcellation" / "seg-aparcaseg_dseg.tsv").read_text().splitlines()
    assert rows[0] == "index\tname"
    named = {int(row.split("\t")[0]) for row in rows[1:]}
    for visit in GIVEN:
        assert set(np.unique(np.asarray(parcellation(visit).dataobj)).tolist()) <= named


def test_warp_is_undone_by_its_inverse(scripts):
    _, plan = scripts
    points = np.random.default_rng(0).uniform(-100, 100, (3, 500))
    for warp in (plan.FIRST_WARP, plan.SECOND_WARP):
        moved = warp.to_person(points)
        np.testing.assert_allclose(warp.to_template(moved), points, atol=1e-10)
        assert 1 < np.abs(moved - points).mean() < 6
