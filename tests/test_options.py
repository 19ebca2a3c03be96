"""Every option acts: what it is for is seen in what a run writes, says or leaves out.

``@pytest.mark.acts("--option")`` says which option a test shows to act; the last test here looks
through all tests for one of every option.
"""

from __future__ import annotations

import ast
import json
import shlex
import shutil
import sys
import textwrap
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest
from nipype import Function, Node, Workflow
from scipy import ndimage

from tests.builders import ROOT, made_atlases
from tests.coarse import (
    BETWEEN_IMAGES,
    FLAIR_TRANSFORM,
    MOTIONS,
    VOXEL_MM,
    Coarse,
    coarse_dataset,
    head,
    planted,
    save,
)
from tests.inprocess import run, succeed
from tests.stubs import before_path, calls, make_runtime
from wmhflow import settings as st
from wmhflow.bids.writer import read_table
from wmhflow.files.itk import read_itk_affine
from wmhflow.settings import Execution, Resources, Settings
from wmhflow.workflows.execute import execute

NAWM_GUARD_MM = 6.5
MAPS = """
[[map]]
name = "Flow"
unit = "mL/100g/min"
valid_range = [0.0, 39.0]
query = { suffix = "cbf" }
transform_from = ["asl"]
description = "Flow that is no more than 39"

[[map]]
name = "Second"
unit = "1"
valid_range = [0.0, 1.0]
query = { suffix = "dwimap", model = "parts" }
family = "diffusion"
component = 2
"""


@pytest.fixture(scope="module")
def coarse(tmp_path_factory: pytest.TempPathFactory) -> Coarse:
    """The dataset, whose mask of lesions has a hole."""
    made = coarse_dataset(tmp_path_factory.mktemp("coarse"))
    save(made.find("WMH_mask.nii.gz"), with_hole().astype(np.uint8), head().affine)
    # the map of anisotropy in percent, between two others, in one file
    fa = made.find("param-fa_dwimap.nii.gz")
    parts = [np.full_like(planted("FA"), 7), 100 * planted("FA"), -planted("FA")]
    vector = fa.with_name("sub-01_model-parts_dwimap.nii.gz")
    save(vector, np.stack(parts, axis=-1), nib.load(fa).affine)
    vector.with_name("sub-01_model-parts_dwimap.json").write_text('{"Units": "percent"}')
    return made


def with_hole() -> np.ndarray:
    depth = ndimage.distance_transform_edt(head().lesions)
    holed = head().lesions.copy()
    holed[np.unravel_index(np.argmax(depth), depth.shape)] = False
    return holed


@pytest.fixture(scope="module")
def plain(coarse: Coarse) -> Path:
    out = coarse.folder / "plain" / "out"
    succeed(coarse.words(*made_atlases(coarse.folder / "atlases"), out=out))
    return out


@pytest.fixture(scope="module")
def divided(coarse: Coarse, plain: Path) -> Path:
    """The outputs of a run in which everything is divided otherwise."""
    out = coarse.folder / "divided" / "out"
    (coarse.folder / "maps.toml").write_text(MAPS, encoding="utf-8")
    words = made_atlases(coarse.folder / "atlases")
    words += ["--zones", "pv10", "--bullseye-layers", "3", "--cross", "zones:halves"]
    words += ["--shell-width", "3", "--shell-max", "9", "--atlas-threshold", "0.6"]
    words += ["--maps", str(coarse.folder / "maps.toml"), "--clean-workdir", "on-success"]
    words += ["--units", "FA=%", "CBF=mL/g/min"]
    succeed(coarse.words(*words, out=out))
    return out


@pytest.fixture(scope="module")
def kept(coarse: Coarse) -> Path:
    """The outputs of a run in which lesions and tissues are taken otherwise."""
    out = coarse.folder / "kept" / "out"
    guard = ["--tissue-guard", str(NAWM_GUARD_MM)]
    words = ["--fill-holes", *guard, "--lesion-rule", "majority", "--zeros", "data"]
    succeed(coarse.words(*words, out=out))
    return out


def image(coarse: Coarse, out: Path, ending: str) -> np.ndarray:
    return np.asanyarray(nib.load(coarse.anat(out) / f"sub-01_{ending}.nii.gz").dataobj)


def rows(coarse: Coarse, out: Path, ending: str) -> list[dict[str, str]]:
    return read_table(coarse.anat(out) / f"sub-01_{ending}.tsv")


def volumes(coarse: Coarse, out: Path) -> dict[tuple[str, str], float]:
    found = rows(coarse, out, "desc-volumes_regions")
    return {(row["seg"], row["index"]): float(row["volume_mm3"]) for row in found}


# ---- what is read --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Coarse:
    """Two persons, one of whom was there twice."""
    return coarse_dataset(
        tmp_path_factory.mktemp("study"), [("01", "a"), ("01", "b"), ("02", None)], every=2
    )


@pytest.mark.acts("--participant-label", "--session-label", "--bids-filter-file", "--work-dir")
def test_only_what_was_asked_for_is_processed(study: Coarse, tmp_path: Path) -> None:
    filters = tmp_path / "filters.json"
    filters.write_text(json.dumps({"map": {"suffix": "cbf"}}))
    chosen = ["--participant-label", "01", "--session-label", "b"]
    words = study.words(*chosen, "--bids-filter-file", str(filters), out=tmp_path / "out")
    succeed(words)
    written = {path.name for path in (tmp_path / "out").glob("sub-*/ses-*")}
    assert (written, (tmp_path / "out" / "sub-02").exists()) == ({"ses-b"}, False)
    (table,) = (tmp_path / "out").rglob("*_desc-maps_regions.tsv")
    assert {row["map"] for row in read_table(table)} == {"CBF"}
    assert list((tmp_path / "work").rglob("sub_01_wf"))


@pytest.mark.acts("--derivatives")
def test_without_a_derivative_its_masks_and_maps_are_unknown(study: Coarse) -> None:
    with_it = succeed(study.words("--dry-run")).out
    words = study.words("--dry-run")
    without = succeed([*words[: words.index("-d")], "--dry-run"]).out
    for name in ("space-T1w_label-WMH_mask.nii.gz", "_cbf.nii.gz", "aparcaseg_dseg.nii.gz"):
        assert name in with_it
        assert name not in without


@pytest.mark.acts("--transform")
def test_a_transform_that_is_named_goes_before_the_one_that_is_found(study: Coarse) -> None:
    given = study.find("01_ses-a_from-asl_to-T1w_mode-image_xfm.txt")
    within = given.relative_to(study.given).as_posix().replace("01", "{subject}")
    named = study.given / within.replace("ses-a", "ses-{session}")
    chosen = ["--participant-label", "01", "--transform", f"FA={named}"]
    said = succeed(study.words("--dry-run", *chosen)).out
    lines = [line.split() for line in said.splitlines() if "param-fa_dwimap" in line]
    assert len(lines) == 2
    assert all("from-asl_to-T1w_mode-image_xfm.txt" in line[-2] for line in lines)


@pytest.mark.acts("--bids-database-dir")
def test_the_index_of_a_dataset_is_kept_and_read_again(
    study: Coarse, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "raw"
    shutil.copytree(study.raw, folder)
    words = [str(folder), str(tmp_path / "out"), "participant", "--participant-label", "02"]
    words += ["--dry-run", "--bids-database-dir", str(tmp_path / "index")]
    said = run(words).out
    assert "sub-02_T1w.nii.gz" in said
    index = next((tmp_path / "index").rglob("*.sqlite"))
    made = index.stat().st_ino
    assert run(words).out == said
    assert index.stat().st_ino == made
    # one that lists other files than there are is made again
    second = folder / "sub-02" / "anat" / "sub-02_acq-two_T1w.nii.gz"
    shutil.copyfile(folder / "sub-02" / "anat" / "sub-02_T1w.nii.gz", second)
    assert not caplog.text
    assert "answer for one T1w" in run(words).out
    assert "lists 2 files of sub-02" in caplog.text
    assert index.stat().st_ino != made


@pytest.mark.acts("--skip-bids-validation")
def test_names_are_checked_unless_told_not_to(
    study: Coarse, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    folder = tmp_path / "raw"
    shutil.copytree(study.raw, folder)
    (folder / "sub-02" / "anat" / "sub-02_what_T3w.nii.gz").write_bytes(b"")
    words = [str(folder), str(tmp_path / "out"), "participant", "--participant-label", "02"]
    for more, warned in (([], True), (["--skip-bids-validation"], False)):
        caplog.clear()
        run([*words, "--dry-run", *more])
        assert ("a name that BIDS does not know" in caplog.text) == warned


@pytest.mark.acts("--maps")
def test_a_further_map_has_rows_of_its_own(coarse: Coarse, plain: Path, divided: Path) -> None:
    (before, after) = (
        {
            row["map"]: row
            for row in rows(coarse, out, "desc-maps_profiles")
            if row["shell"] == "rest"
        }
        for out in (plain, divided)
    )
    assert set(after) - set(before) == {"Flow", "Second"}
    # far from lesions the flow is 40 everywhere, which is above what is valid
    assert float(before["CBF"]["mean"]) == pytest.approx(40, abs=0.01)
    assert after["Flow"]["mean"] == "n/a" or float(after["Flow"]["mean"]) < 39


def test_a_component_of_a_series_is_sampled_as_a_map_of_its_own(
    coarse: Coarse, divided: Path
) -> None:
    alone, part = (
        {
            (row["seg"], row["index"], row["tissue"]): row
            for row in rows(coarse, divided, "desc-maps_regions")
            if row["map"] == name
        }
        for name in ("FA", "Second")
    )
    assert alone.keys() == part.keys()
    for key, row in alone.items():
        assert row["n"] == part[key]["n"]
        if row["mean"] != "n/a":
            # the tables have FA in percent here
            assert float(part[key]["mean"]) == pytest.approx(float(row["mean"]) / 100, rel=1e-5)
    written = json.loads(
        next(divided.rglob("sub-01_*desc-Second*.json")).read_text(encoding="utf-8")
    )
    assert (written["Units"], written["Parameters"]["Component"]) == ("1", 2)


@pytest.mark.acts("--units")
def test_maps_are_shown_in_the_units_that_were_asked_for(
    coarse: Coarse, plain: Path, divided: Path
) -> None:
    before, after = (
        {
            (row["map"], row["index"], row["tissue"]): row
            for row in rows(coarse, out, "desc-maps_regions")
            if row["seg"] == "tissue" and row["map"] in ("FA", "CBF")
        }
        for out in (plain, divided)
    )
    assert list(before) == list(after)
    for key, row in before.items():
        factor, unit = {"FA": (100, "%"), "CBF": (0.01, "mL/g/min")}[key[0]]
        assert after[key]["unit"] == unit
        for column in ("mean", "sd", "median", "q05", "q95", "mad"):
            if row[column] != "n/a":
                shown, own = float(after[key][column]), float(row[column])
                assert shown == pytest.approx(factor * own, rel=1e-5, abs=1e-9)
    done = run(coarse.words("--units", "FA=s", out=coarse.folder / "never"))
    assert done.code == 2
    assert "--units FA=s: FA is measured in 1, of which s is none" in done.err


# ---- anatomy -------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.acts("--reference")
def test_with_the_flair_as_reference_every_voxel_keeps_its_label(
    coarse: Coarse, plain: Path
) -> None:
    out = coarse.folder / "flair" / "out"
    succeed(coarse.words("--reference", "FLAIR", out=out))
    compared = 0
    for path in coarse.anat(out).glob("*space-FLAIR*.nii.gz"):
        if not path.name.endswith(("dseg.nii.gz", "mask.nii.gz")):
            continue
        mine, twin = nib.load(path), path.name.replace("space-FLAIR", "space-T1w")
        # both images hold the same voxels, and what was given on the one's lies on the other's
        assert np.array_equal(mine.dataobj, nib.load(coarse.anat(plain) / twin).dataobj), path.name
        assert np.allclose(mine.affine, MOTIONS["FLAIR"] @ head().affine, atol=1e-4)
        compared += 1
    assert compared >= 11
    for ending in ("desc-maps_profiles", "desc-maps_penumbra"):
        for row, other in zip(rows(coarse, out, ending), rows(coarse, plain, ending), strict=True):
            for column, text in row.items():
                if text != other[column]:
                    assert float(text) == pytest.approx(float(other[column]), rel=1e-3, abs=1e-3)


@pytest.mark.slow
@pytest.mark.acts("--wmh-source")
@pytest.mark.usefixtures("few_iterations")
def test_lesions_are_computed_although_given_or_demanded_to_be_given(
    coarse: Coarse, tmp_path: Path
) -> None:
    out = tmp_path / "computed" / "out"
    succeed(coarse.words("--wmh-source", "compute", out=out))
    found, planted = image(coarse, out, "space-T1w_label-WMH_mask") > 0, head().lesions
    shared = (found & planted).sum()
    assert 2 * shared / (found.sum() + planted.sum()) > 0.7
    assert (coarse.anat(out) / "sub-01_space-T1w_label-WMH_probseg.nii.gz").is_file()
    words = coarse.words("--wmh-source", "given", out=tmp_path / "given" / "out")
    done = run([*words[: words.index("-d")], "--wmh-source", "given"])
    assert done.code == 1
    assert "which --wmh-source given demands" in done.err


# a block in the right front of the FLAIR, on the FLAIR's own grid
SEGMENT = """
import sys, nibabel, numpy
image = nibabel.load(sys.argv[1])
places = numpy.moveaxis(numpy.indices(image.shape), 0, -1) + 0.0
x, y, z = (places @ image.affine[:3, :3].T + image.affine[:3, 3])[..., :3].transpose(3, 0, 1, 2)
centre = image.affine[:3, :3] @ (numpy.array(image.shape) / 2) + image.affine[:3, 3]
mask = (abs(x - centre[0] - 25) < 8) & (abs(y - centre[1]) < 15) & (abs(z - centre[2] - 10) < 12)
nibabel.save(nibabel.Nifti1Image(mask.astype("uint8"), image.affine), sys.argv[2])
"""


@pytest.mark.slow
@pytest.mark.acts("--wmh-command")
def test_a_program_of_the_users_own_finds_the_lesions(coarse: Coarse, tmp_path: Path) -> None:
    out = tmp_path / "out"
    command = shlex.join([sys.executable, "-c", SEGMENT, "{flair}", "{out}"])
    succeed(coarse.words("--wmh-command", command, "--wmh-source", "compute", out=out))
    found = volumes(coarse, out)
    assert found["tissue", "6"] == pytest.approx(16 * 30 * 24, rel=0.2)
    assert (found["tissue", "26"], found["tissue", "16"]) == (found["tissue", "6"], 0)
    mask = coarse.anat(out) / "sub-01_space-T1w_label-WMH_mask.json"
    assert "numpy" in mask.read_text(encoding="utf-8")
    assert not list(coarse.anat(out).glob("*probseg*"))
    text = (out / "logs" / "CITATION.md").read_text(encoding="utf-8")
    assert "computed with the command" in text


@pytest.mark.slow
@pytest.mark.acts("--segmenter-image")
def test_a_segmenter_in_an_image_finds_the_lesions(
    coarse: Coarse, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record = make_runtime(tmp_path / "bin", "docker")
    monkeypatch.setenv("PATH", before_path(tmp_path / "bin"))
    out = tmp_path / "run" / "out"
    words = coarse.words("--wmh-command", "synthseg-wmh", "--wmh-source", "compute", out=out)
    succeed([*words, "--segmenter-image", "maker/tool:1.0"])
    found, planted = image(coarse, out, "space-T1w_label-WMH_mask") > 0, head().lesions
    assert np.array_equal(found, planted)
    sidecar = coarse.anat(out) / "sub-01_space-T1w_label-WMH_mask.json"
    assert "synthseg-wmh" in sidecar.read_text(encoding="utf-8")
    text = (out / "logs" / "CITATION.md").read_text(encoding="utf-8")
    assert "by WMH-SynthSeg [" in text
    assert "10.48550/arXiv.2312.05119" in text
    # nothing is left to do with the same image, and everything with another one
    succeed([*words, "--segmenter-image", "maker/tool:1.0"])
    assert len(calls(record)) == 1
    succeed([*words, "--segmenter-image", "maker/tool:2.0"])
    assert [call[call.index("bash") + 1] for call in calls(record)] == [
        "maker/tool:1.0", "maker/tool:2.0",
    ]  # fmt: skip


@pytest.fixture(scope="module")
def unregistered(tmp_path_factory: pytest.TempPathFactory) -> Coarse:
    """A FLAIR that has to be registered, and no maps; of 6 mm voxels, or it would take a minute."""
    left_out = [*BETWEEN_IMAGES, "cbf.nii.gz", "dwimap.nii.gz"]
    return coarse_dataset(tmp_path_factory.mktemp("unregistered"), without=left_out, every=2)


@pytest.mark.slow
@pytest.mark.acts("--random-seed")
@pytest.mark.usefixtures("few_turns", "few_iterations")
def test_another_seed_samples_other_points_and_finds_the_same(unregistered: Coarse) -> None:
    found, said = [], []
    for seed in (1, 2):
        out = unregistered.folder / f"seed{seed}" / "out"
        succeed(unregistered.words("--random-seed", str(seed), out=out))
        found.append(read_itk_affine(unregistered.anat(out) / f"sub-01_{FLAIR_TRANSFORM}"))
        sidecar = unregistered.anat(out) / "sub-01_space-T1w_label-WMH_mask.json"
        said.append(json.loads(sidecar.read_text(encoding="utf-8"))["RandomSeed"])
    assert said == [1, 2]
    assert not np.array_equal(*found)
    voxels = np.argwhere(head().codes > 0)[::200]
    points = np.c_[nib.affines.apply_affine(head().affine, voxels), np.ones(len(voxels))]
    for matrix in found:
        errors = np.linalg.norm((points @ (matrix - MOTIONS["FLAIR"]).T)[:, :3], axis=1)
        assert errors.max() < 1.5


@pytest.mark.slow
@pytest.mark.acts("--registration-qc")
@pytest.mark.usefixtures("few_turns")
def test_what_cannot_be_aligned_is_flagged_or_refused_or_not_judged(
    unregistered: Coarse, tmp_path: Path
) -> None:
    dataset = shutil.copytree(unregistered.folder, tmp_path / "data", ignore=_outputs_of_runs)
    other = Coarse(dataset)
    rng = np.random.default_rng(0)
    flair = nib.load(other.find("FLAIR.nii.gz"))
    cloud = ndimage.gaussian_filter(rng.standard_normal(flair.shape), 2)
    save(other.find("FLAIR.nii.gz"), (500 + 1000 * cloud).astype(np.float32), flair.affine)
    told = {}
    for mode in ("flag", "fail", "off"):
        out = tmp_path / mode / "out"
        done = run(other.words("--registration-qc", mode, out=out))
        told[mode] = (done.code, "could not be aligned to" in done.err, _verdicts(other, out))
    assert told["flag"][:2] == (0, False)
    assert "check" in told["flag"][2].values()
    assert told["fail"][:2] == (1, True)
    assert told["off"][:2] == (0, False)
    prefix = "other_anatomical_registration_"
    assert f"{prefix}retries" in told["flag"][2]
    assert f"{prefix}retries" not in told["off"][2]


def _outputs_of_runs(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if name.startswith("seed")]


def _verdicts(coarse: Coarse, out: Path) -> dict[str, str]:
    if not coarse.anat(out).is_dir():
        return {}
    found = rows(coarse, out, "desc-wmhflow_qc")
    return {row["metric"]: row["verdict"] for row in found
            if row["metric"].startswith("other_anatomical_registration_")}  # fmt: skip


@pytest.mark.acts("--fill-holes")
def test_a_hole_in_a_given_mask_is_filled_if_asked_for(
    coarse: Coarse, plain: Path, kept: Path
) -> None:
    masks = [image(coarse, out, "space-T1w_label-WMH_mask") > 0 for out in (plain, kept)]
    assert np.array_equal(masks[0], with_hole())
    assert np.array_equal(masks[1], head().lesions)


@pytest.mark.acts("--wmh-labels")
def test_other_lesions_of_a_mask_are_told_from_wmh(tmp_path: Path) -> None:
    made = coarse_dataset(tmp_path)
    both = head().lesions.astype(np.uint8)
    both[np.roll(head().lesions, 3, 2) & ~head().lesions] = 2
    save(made.find("WMH_mask.nii.gz"), both, head().affine)
    plan = ("--dry-run", "--check-values", "--skip-bids-validation")
    assert "holds several labels, 1 (" in run(made.words(*plan)).out
    told = run(made.words(*plan, "--wmh-labels", "challenge"))
    assert told.code == 0
    assert "label 2 of sub-01_space-T1w_label-WMH_mask.nii.gz" in told.out
    assert f"1 ({np.count_nonzero(both == 1):,} voxels) counts" in told.out
    assert "several labels" not in told.out


@pytest.mark.acts("--tissue-guard")
def test_nawm_keeps_the_distance_asked_for(coarse: Coarse, plain: Path, kept: Path) -> None:
    nearest = []
    for out in (plain, kept):
        others = np.isin(image(coarse, out, "space-T1w_seg-tissue_dseg") % 10, (1, 2, 3, 4))
        distance = ndimage.distance_transform_edt(~others, sampling=[3.0] * 3)
        nearest.append(distance[image(coarse, out, "space-T1w_label-NAWM_mask") > 0].min())
    # by default the edge of a voxel, 3 mm, and the next larger distance on this grid
    assert nearest[0] == pytest.approx(3 * np.sqrt(2))
    assert nearest[1] > NAWM_GUARD_MM


@pytest.mark.acts("--zeros")
def test_zeros_outside_a_map_count_if_asked_for(coarse: Coarse, plain: Path, kept: Path) -> None:
    found = []
    for out in (plain, kept):
        quality = {row["metric"]: row["value"] for row in rows(coarse, out, "desc-wmhflow_qc")}
        assert int(quality["map_FA_zero_voxels"]) == np.count_nonzero(planted("FA") == 0)
        found.append(int(quality["map_FA_no_data_voxels"]))
    assert found == [np.count_nonzero(head().codes == 0), 0]


@pytest.mark.slow
@pytest.mark.acts("--min-purity", "--max-csf")
def test_mixed_voxels_of_a_coarse_map_do_not_count_if_asked_for(tmp_path: Path) -> None:
    made = coarse_dataset(tmp_path / "made")
    # flow in voxels of 6 mm, of which each lies over eight of the labels'
    path = made.find("cbf.nii.gz")
    fine = nib.load(path)
    shape = [2 * (size // 2) for size in fine.shape]
    blocks = np.asanyarray(fine.dataobj)[: shape[0], : shape[1], : shape[2]]
    mean = blocks.reshape(shape[0] // 2, 2, shape[1] // 2, 2, shape[2] // 2, 2).mean((1, 3, 5))
    centre = np.array([[2, 0, 0, 0.5], [0, 2, 0, 0.5], [0, 0, 2, 0.5], [0, 0, 0, 1]])
    save(path, mean.astype(np.float32), fine.affine @ centre)
    found = {}
    for name, words in (
        ("all", []),
        ("pure", ["--min-purity", "0.7"]),
        ("dry", ["--max-csf", "0.1"]),
    ):
        out = tmp_path / name / "out"
        succeed(made.words(*words, out=out))
        table = rows(made, out, "desc-maps_regions")
        quality = {row["metric"]: row["value"] for row in rows(made, out, "desc-wmhflow_qc")}
        found[name] = (
            {
                (row["index"], row["tissue"]): float(row["coverage"])
                for row in table
                if (row["map"], row["seg"]) == ("CBF", "tissue") and row["coverage"] != "n/a"
            },
            float(quality["map_CBF_nawm_impure"]),
            [row["mean"] for row in rows(made, out, "desc-maps_curves") if row["map"] == "CBF"],
        )
    nawm, fluid, white = ("5", "NAWM"), ("2", "all"), ("5", "all")
    for name in ("pure", "dry"):
        lost = found["all"][0][nawm] - found[name][0][nawm]
        assert lost > 0.005
        assert found[name][1] == pytest.approx(lost, abs=0.01)
    assert found["all"][1] == 0
    # the curves around lesions follow
    assert len({tuple(one[2]) for one in found.values()}) == 3
    # ventricles are mixed with tissue, but are no tissue that CSF could be mixed with
    assert found["pure"][0][fluid] < found["all"][0][fluid] == found["dry"][0][fluid]
    assert found["dry"][0][white] < found["all"][0][white]


# ---- regions -------------------------------------------------------------------------------------


@pytest.mark.acts("--lesion-rule")
def test_the_rule_decides_which_lesions_shells_are_periventricular(
    coarse: Coarse, plain: Path, kept: Path
) -> None:
    lesions = rows(coarse, plain, "lesions")
    assert {row["index"] for row in lesions if row["continuity"] == "PV"} == {"1"}
    by_majority = [int(row["index"]) for row in lesions if row["majority"] in ("JV", "PV")]
    assert by_majority != [1]
    numbers = image(coarse, plain, "space-T1w_seg-lesions_dseg")
    for out, periventricular in ((plain, [1]), (kept, by_majority)):
        # inner shells of periventricular lesions, both sides together
        inside = sum(volumes(coarse, out).get(("shells", str(n)), 0) for n in range(151, 191))
        inside /= VOXEL_MM**3
        # of the hole in the one mask lies nothing in the other
        assert inside == pytest.approx(np.isin(numbers, periventricular).sum(), abs=1.1)


@pytest.mark.acts("--zones")
def test_zones_are_divided_by_the_scheme(coarse: Coarse, divided: Path) -> None:
    zones = image(coarse, divided, "space-T1w_seg-zones_dseg") % 10
    distance = image(coarse, divided, "space-T1w_desc-ventricles_distance")
    assert set(np.unique(zones)) == {0, 2, 3}
    assert np.array_equal(zones[zones > 0] == 2, distance[zones > 0] <= 10)


@pytest.mark.acts("--bullseye-layers")
def test_the_bullseye_has_as_many_layers(coarse: Coarse, plain: Path, divided: Path) -> None:
    depth = image(coarse, divided, "space-T1w_desc-depth_distance")
    for out, layers in ((plain, 4), (divided, 3)):
        cells = image(coarse, out, "space-T1w_seg-bullseye_dseg")
        found = cells // 10 % 10 if cells.max() < 1000 else cells // 100 % 10
        digits = {tuple(np.unique(place)) for place in (cells[cells > 0] % 10, found[cells > 0])}
        assert tuple(range(1, layers + 1)) in digits
        assert depth[cells > 0].max() <= 1


@pytest.mark.acts("--cross")
def test_crossed_regions_add_up_to_what_they_divide(
    coarse: Coarse, plain: Path, divided: Path
) -> None:
    found = volumes(coarse, divided)
    assert {seg for seg, _ in found} - {seg for seg, _ in volumes(coarse, plain)} == {
        "zones:halves"
    }
    for zone in (2, 3):
        parts = sum(found["zones:halves", str(100_000 * zone + half)] for half in (3, 7))
        assert parts == pytest.approx(found["zones", str(zone)], rel=1e-5)


@pytest.mark.acts("--shell-width", "--shell-max")
def test_shells_are_as_thick_and_reach_as_far_as_asked(coarse: Coarse, divided: Path) -> None:
    distance = image(coarse, divided, "space-T1w_desc-WMH_distance")
    shells = image(coarse, divided, "space-T1w_seg-shells_dseg") % 100
    for shell in (1, 2, 3):
        inside = distance[shells == shell]
        assert 3 * shell - 3 < inside.min()
        assert inside.max() <= 3 * shell + 1e-4
    found = [row for row in rows(coarse, divided, "desc-maps_profiles")
             if (row["map"], row["lesion_class"]) == ("FA", "all")]  # fmt: skip
    assert [row["distance_hi"] for row in found if row["distance_lo"] in ("0", "3", "6")] == [
        "3",
        "6",
        "9",
    ]
    assert [row["distance_lo"] for row in found if row["shell"] == "rest"] == ["9"]


@pytest.mark.acts("--atlas", "--atlas-threshold")
def test_an_atlas_is_laid_over_and_its_probabilities_cut_where_asked(
    coarse: Coarse, plain: Path, divided: Path
) -> None:
    found, cut = volumes(coarse, plain), volumes(coarse, divided)
    white = found["tissue", "5"] + found["tissue", "6"]
    assert found["halves", "3"] + found["halves", "7"] > white
    # one region of the tracts is 0.5 everywhere, the other 1 on the left
    assert found["tracts", "2"] > 1.9 * found["tracts", "1"] > 0
    assert (cut["tracts", "2"], cut["tracts", "1"]) == (0, found["tracts", "1"])


@pytest.mark.acts("--atlas-template", "--atlas-sides-checked")
def test_an_atlas_is_refused_until_its_place_and_sides_are_told(
    coarse: Coarse, tmp_path: Path
) -> None:
    words = made_atlases(tmp_path)
    given = words[words.index("--atlas-template") :]
    unknown = run(coarse.words(*words[: words.index("--atlas-template")], "--dry-run"))
    assert unknown.code != 0
    assert "--atlas-template" in unknown.err
    flipped = nib.load(tmp_path / "h.nii.gz")
    nib.save(
        nib.Nifti1Image(np.asanyarray(flipped.dataobj)[::-1], flipped.affine), tmp_path / "h.nii.gz"
    )
    words = ["--atlas", f"halves={tmp_path}/h.nii.gz", *given[:2], "--dry-run"]
    assert "--atlas-sides-checked" in run(coarse.words(*words)).err
    assert run(coarse.words(*words, "--atlas-sides-checked")).code == 0


# ---- how the work is done ------------------------------------------------------------------------


@pytest.mark.acts("--clean-workdir")
def test_the_work_folder_of_finished_persons_is_removed_if_asked_for(
    plain: Path, divided: Path
) -> None:
    assert list((plain.parent / "work").rglob("sub_01_wf"))
    assert not list((divided.parent / "work").rglob("sub_01_wf"))


def fail() -> None:
    raise ValueError("this step was asked to fail")


def wait(number: int = 0) -> int:
    import time

    time.sleep(1)
    return number + 1


@pytest.mark.slow
@pytest.mark.acts("--stop-on-first-crash")
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
@pytest.mark.parametrize("stop", [False, True])
def test_the_first_failure_stops_the_others_if_asked_for(stop: bool, tmp_path: Path) -> None:
    workflow = Workflow(name="two_wf", base_dir=str(tmp_path))
    workflow.config["execution"]["crashdump_dir"] = str(tmp_path)
    bad, good = Workflow(name="bad"), Workflow(name="good")
    workflow.add_nodes([bad, good])
    bad.add_nodes([Node(Function([], [], fail), name="fails")])
    steps = [Node(Function(["number"], ["number"], wait), name=f"step{i}") for i in range(3)]
    good.connect([(steps[0], steps[1], [("number", "number")]),
                  (steps[1], steps[2], [("number", "number")])])  # fmt: skip
    execution = Execution(work_dir=tmp_path, stop_on_first_crash=stop)
    settings = Settings(tmp_path, tmp_path, "participant", execution=execution)
    resources = Resources(2, 1, 4.0)
    failures = execute(workflow, settings, resources, lambda *_: None, tmp_path / "log" / "x.log")
    assert [failure.step.split(".")[-1] for failure in failures] == ["fails"]
    finished = list(tmp_path.rglob("result_step2.pklz"))
    assert bool(finished) == (not stop)


# ---- what is said --------------------------------------------------------------------------------


@pytest.mark.acts("--dry-run")
def test_a_dry_run_says_what_would_be_done_and_writes_nothing(
    coarse: Coarse, tmp_path: Path
) -> None:
    said = succeed(coarse.words("--dry-run", out=tmp_path / "out")).out
    for name in ("T1w.nii.gz", "label-WMH_mask.nii.gz", "aparcaseg_dseg.nii.gz", "cbf.nii.gz"):
        assert name in said
    assert not list(tmp_path.iterdir())


@pytest.mark.acts("--trust")
def test_two_sizes_of_a_voxel_are_refused_until_one_is_trusted(
    study: Coarse, tmp_path: Path
) -> None:
    raw = tmp_path / "raw"
    shutil.copytree(study.raw, raw)
    path = raw / "sub-02" / "anat" / "sub-02_FLAIR.nii.gz"
    flair = nib.load(path)
    made = nib.Nifti1Image(np.asarray(flair.dataobj), flair.affine, flair.header)
    made.set_qform(flair.affine @ np.diag([1, 1, 0.9, 1]), code=1)
    nib.save(made, path)
    words = [str(raw), str(tmp_path / "out"), "participant", "--participant-label", "02"]
    told = {trust: run([*words, "--dry-run", *trust]).out
            for trust in ((), ("--trust", "sform"), ("--trust", "qform"))}  # fmt: skip
    assert ["--trust sform or --trust qform" in said for said in told.values()] == [
        True, False, False,
    ]  # fmt: skip


@pytest.mark.acts("--check-values")
def test_what_only_voxels_tell_is_said_before_anything_runs(study: Coarse, tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    shutil.copytree(study.raw, raw)
    flair = nib.load(raw / "sub-02" / "anat" / "sub-02_FLAIR.nii.gz")
    save(Path(flair.get_filename()), np.zeros(flair.shape, np.float32), flair.affine)
    words = [str(raw), str(tmp_path / "out"), "participant", "--participant-label", "02"]
    finding = "sub-02_FLAIR.nii.gz holds no value other than 0"
    assert finding not in run([*words, "--dry-run"]).out
    assert finding in run([*words, "--dry-run", "--check-values"]).out


@pytest.mark.acts("--boilerplate-only")
def test_the_methods_text_alone_is_written(coarse: Coarse, tmp_path: Path) -> None:
    out = tmp_path / "out"
    succeed(coarse.words("--boilerplate-only", "--shell-width", "1", out=out))
    assert "1 mm thick up to 14 mm" in (out / "logs" / "CITATION.md").read_text(encoding="utf-8")
    assert not list(out.glob("sub-*"))


@pytest.mark.slow
@pytest.mark.acts("--reports-only")
def test_a_report_is_made_anew_from_what_is_finished(coarse: Coarse, plain: Path) -> None:
    page, tables = plain / "sub-01.html", coarse.anat(plain).glob("*.tsv")
    before = {path: path.stat().st_mtime_ns for path in tables}
    assert page.read_text(encoding="utf-8") == ""
    words = coarse.words(*made_atlases(coarse.folder / "atlases"), "--reports-only", out=plain)
    succeed(words, pages=True)
    text = page.read_text(encoding="utf-8")
    assert "sub-01" in text
    assert len(list((plain / "sub-01" / "figures").iterdir())) > 5
    assert {path: path.stat().st_mtime_ns for path in before} == before
    # what is not finished has no report
    done = run([*words[:1], str(plain.parent / "none"), *words[2:]])
    assert done.code == 1
    assert "run without --reports-only first" in done.err


@pytest.mark.acts("--config-file")
def test_a_file_of_options_acts_as_the_words_do(coarse: Coarse, tmp_path: Path) -> None:
    path = tmp_path / "options.toml"
    path.write_text("[regions]\nshell-width = 1\n[reporting]\nboilerplate-only = true\n")
    succeed(coarse.words("--config-file", str(path), out=tmp_path / "out"))
    text = (tmp_path / "out" / "logs" / "CITATION.md").read_text(encoding="utf-8")
    assert "1 mm thick up to 14 mm" in text


# ---- every option has a test ---------------------------------------------------------------------


@cache
def shown() -> dict[str, list[str]]:
    """List the tests that show an option to act, by option."""
    found: dict[str, list[str]] = {}
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for flag, name in marked(path.read_text(encoding="utf-8")):
            found.setdefault(flag, []).append(f"{path.relative_to(ROOT)}::{name}")
    return found


def marked(source: str) -> Iterator[tuple[str, str]]:
    """Find what ``@pytest.mark.acts(...)`` says of tests."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.FunctionDef) or not node.name.startswith("test_"):
            continue
        for call in node.decorator_list:
            if isinstance(call, ast.Call) and ast.unparse(call.func) == "pytest.mark.acts":
                yield from ((ast.literal_eval(flag), node.name) for flag in call.args)


def test_every_option_has_a_test_that_shows_that_it_acts() -> None:
    groups = {**st.GROUPS, **st.SUBMIT_GROUPS}
    options = {opt.flags[-1] for _, _, opt in st.iter_options(groups)}
    assert options - set(shown()) == set()
    # an option that is no more has no test
    assert set(shown()) - options == {"--config-file"}


def test_only_marks_of_tests_count() -> None:
    source = textwrap.dedent("""
        import pytest
        @pytest.mark.acts("--one", "--two")
        def test_it(): ...
        @pytest.mark.acts("--three")
        def helper(): ...
        # pytest.mark.acts("--four")
    """)
    assert list(marked(source)) == [("--one", "test_it"), ("--two", "test_it")]
