"""A whole visit with a diffusion series: what was planted is found in the maps and tables."""

from __future__ import annotations

import json
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.coarse import PROFILES, Coarse, head, planted
from tests.inprocess import Done, run, succeed
from tests.planted_diffusion import MD, diffusion_dataset, write_mask
from wmhflow.bids.writer import read_table

# the steps and the plan have tests of their own, which are quick
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Coarse, Done]:
    coarse = diffusion_dataset(tmp_path_factory.mktemp("diffusion"))
    return coarse, succeed(words(coarse))


def words(coarse: Coarse, *more: str) -> list[str]:
    given = coarse.words(*more)
    place = given.index("-d") + 1
    return [*given[:place], f"prep={coarse.folder / 'prep'}", *given[place:]]


def test_maps_of_a_tensor_hold_what_was_planted(made) -> None:
    coarse, _ = made
    inside = head().codes > 0
    fluid = np.isin(head().codes, (4, 43, 24)) & ~head().lesions
    for name, expected in (("FA", planted("FA")), ("MD", np.full(inside.shape, MD))):
        found = nib.load(coarse.anat() / f"sub-01_desc-{name}_dwimap.nii.gz").get_fdata()
        assert np.isnan(found[~inside]).all()
        tissue = inside & ~fluid
        assert np.allclose(found[tissue], expected[tissue], rtol=2e-3)


def test_what_it_was_computed_from_is_told(made) -> None:
    coarse, _ = made
    sidecar = json.loads((coarse.anat() / "sub-01_desc-FA_dwimap.json").read_text())
    assert sidecar["Units"] == "1"
    assert [uri.rsplit(".", 1)[1] for uri in sidecar["Sources"]] == ["nii", "bval", "bvec"]
    told = sidecar["Parameters"]
    assert (told["shells"], told["n_volumes"], told["n_directions"]) == ([1000], [1, 12], [12])
    assert told["gradient_convention"] == "FSL"
    assert told["n_without_fit"] == 0
    assert 1 < told["condition_number"] < 20
    metrics = {row["metric"]: row for row in read_table(
        coarse.anat() / "sub-01_desc-wmhflow_qc.tsv")}  # fmt: skip
    assert float(metrics["tensor_redundancy"]["value"]) == 6
    assert metrics["tensor_redundancy"]["verdict"] == "ok"


def test_the_plan_says_which_maps_are_computed_from_what(made) -> None:
    told = " ".join(run([*words(made[0]), "--dry-run"]).out.split())
    for name in ("FA", "MD", "AD", "RD"):
        assert f"{name} computed" in told
    assert "1 without weighting, 12 with b = 1000" in told


def test_they_are_sampled_and_the_penumbra_reaches_as_far_as_planted(made) -> None:
    coarse, _ = made
    (row,) = [row for row in read_table(coarse.anat() / "sub-01_desc-maps_penumbra.tsv")
              if (row["map"], row["lesion_class"]) == ("FA", "all")]  # fmt: skip
    assert float(row["width_mm"]) == pytest.approx(6, abs=0.3)
    assert float(row["plateau"]) == pytest.approx(PROFILES["FA"][-1], rel=0.01)
    maps = {row["map"] for row in read_table(coarse.anat() / "sub-01_desc-maps_regions.tsv")}
    assert maps >= {"FA", "MD", "AD", "RD", "CBF"}


def test_where_straight_fibres_do_not_tell_the_table_there_is_no_alps_and_it_is_said(made) -> None:
    coarse, _ = made
    found = read_table(coarse.anat() / "sub-01_desc-alps_regions.tsv")
    assert [row["hemisphere"] for row in found] == ["L", "R", "B"]
    assert {row["alps"] for row in found} == {"n/a"}
    assert all("nobody can tell" in row["reason"] for row in found)


@pytest.mark.parametrize(
    ("spoil", "why"),
    [
        ("counts", "13 volumes, 12 b-values and 13 directions"),
        ("no directions", "neither a .bvec nor a .b file"),
        ("text", "no table of numbers"),
    ],
)
def test_a_table_that_does_not_fit_costs_the_maps_and_is_said(
    made, tmp_path: Path, spoil: str, why: str
) -> None:
    coarse, _ = made
    path = next((coarse.folder / "prep").rglob("*.bval"))
    kept = {one: one.read_text() for one in (path, path.with_suffix(".bvec"))}
    try:
        if spoil == "counts":
            path.write_text(" ".join(kept[path].split()[:-1]))
        elif spoil == "text":
            path.write_text("zero 1000")
        else:
            path.with_suffix(".bvec").unlink()
        done = run([*words(coarse), "--dry-run"])
    finally:
        for one, text in kept.items():
            one.write_text(text)
    assert done.code == 0
    assert "not computed by tensor" in done.out
    assert why in " ".join(done.out.split())


def test_two_shells_give_kurtosis_free_water_and_fractions(tmp_path: Path) -> None:
    coarse = diffusion_dataset(tmp_path, ((1000, 16), (2000, 16)))
    write_mask(coarse.folder / "prep", slice(30, 34))
    succeed(words(coarse))
    white = np.isin(head().codes, (2, 41)) & ~head().lesions
    white[:, :, :30] = white[:, :, 34:] = False

    def map_of(name: str) -> np.ndarray:
        found = nib.load(coarse.anat() / f"sub-01_desc-{name}_dwimap.nii.gz").get_fdata()
        assert np.isnan(found[:, :, :30]).all()
        return found[white]

    # tensors were planted, and neither free water nor kurtosis; fits leave 0.01
    assert np.nanmax(map_of("FW")) < 0.03
    assert np.allclose(map_of("FAt"), planted("FA")[white], atol=0.03)
    assert np.allclose(map_of("MDt"), MD, rtol=0.06)
    assert np.nanmax(np.abs(map_of("MK"))) < 0.01
    for name, step in (("KFA", "kurtosis"), ("MKT", "kurtosis"), ("WMlike", "fractions")):
        sidecar = json.loads((coarse.anat() / f"sub-01_desc-{name}_dwimap.json").read_text())
        assert sidecar["Parameters"]["step"] == step
        assert sidecar["Parameters"]["shells"] == [1000, 2000]
        assert sidecar["Parameters"]["n_voxels"] > 0
    maps = {row["map"] for row in read_table(coarse.anat() / "sub-01_desc-maps_regions.tsv")}
    assert maps >= {"FA", "MK", "AK", "RK", "KFA", "MKT", "FW", "FAt", "MDt", "WMlike", "GMlike"}
