"""Acute lesions and voxels of spectroscopy are drawn where they lie, on their side of the head."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tests.reports.conftest import AFFINE, found
from tests.reports.pixels import coloured, letter_in, panel_of, pixels
from tests.test_spectra import save_voxel
from wmhflow.files.itk import write_itk_affine
from wmhflow.plan.visit import Given, SpectrumPlan
from wmhflow.reports import person
from wmhflow.reports.drawing.boxes import box_mask, middle_of, with_masks
from wmhflow.reports.drawing.layout import arrange
from wmhflow.reports.drawing.volumes import Volume
from wmhflow.reports.pictures import PICTURES
from wmhflow.reports.pictures.acute import DRAWN, acute
from wmhflow.reports.pictures.spectra import COLOURS, spectra
from wmhflow.reports.pictures.views import lesion_rows

EDGE = 24.0
RED = DRAWN["acute"][0]
# voxels of the made-up grid, by side
LEFT, RIGHT = (11, 24, 15), (28, 24, 15)


def world_of(index: tuple[int, int, int]) -> np.ndarray:
    return AFFINE[:3, :3] @ index + AFFINE[:3, 3]


def box(middle: np.ndarray, turn_deg: float = 0.0) -> np.ndarray:
    affine = np.diag([EDGE, EDGE, EDGE, 1.0])
    angle = np.deg2rad(turn_deg)
    cos, sin = np.cos(angle), np.sin(angle)
    affine[:2, :2] = EDGE * np.array([[cos, -sin], [sin, cos]])
    affine[:3, 3] = middle
    return affine


@pytest.fixture
def own_pictures(monkeypatch: pytest.MonkeyPatch) -> None:
    """Draw no other pictures, which take longer than all else."""
    own = tuple(maker for maker in PICTURES if maker.key in ("acute", "spectra"))
    monkeypatch.setattr(person, "PICTURES", own)


def with_voxels(world, **placed: np.ndarray):
    """A visit with a voxel of each name, by its header."""
    plans = []
    for name, affine in placed.items():
        path = save_voxel(Path(world.folder) / "in" / f"sub-01_voi-{name}_svs.nii.gz", affine)
        plans.append(SpectrumPlan(f"voi-{name}", found(path)))
    world.visit = replace(world.visit, spectra=tuple(plans))
    return world


def with_acute(world, index: tuple[int, int, int]):
    mask = np.zeros_like(world.arrays["mask_WMH"])
    x, y, z = index
    mask[x - 1 : x + 2, y - 1 : y + 2, z - 1 : z + 2] = True
    world.arrays["mask_acute"] = mask
    world.visit = replace(world.visit, others={"acute": Given(world.visit.t1w, "T1w")})
    return world


# ---- acute lesions -------------------------------------------------------------------------------


@pytest.mark.parametrize(("index", "is_left"), [(LEFT, True), (RIGHT, False)])
@pytest.mark.parametrize("to_the_left", [False, True])
def test_an_acute_lesion_is_drawn_on_its_side(world, index, is_left: bool, to_the_left) -> None:
    world = with_acute(replace(world, to_the_left=to_the_left), index)
    context = world.saved()
    picture = acute(context)
    image = pixels(picture.png)
    scene = context.scene
    rows = lesion_rows(scene, 8, 4, apart=True, lesions=context.mask("mask_acute"))
    axial = [row for row in rows if row[1][0][0] == "axial"]
    paired = [row for _, items in axial for row in ((1, items), (0, items))]
    canvas = arrange(paired + rows[len(axial) :], scene.reference.spacing, scene.box)
    seen = 0
    for panel in canvas.panels:
        part = panel_of(image, canvas, panel)
        red = coloured(part, RED)
        assert not (panel.underlay == 1 and red.size)
        if red.size and panel.plane != "sagittal":
            seen += 1
            assert ((red[:, 1] < part.shape[1] / 2) == is_left).all()
            assert letter_in(part[:20, :20]) == "L"
    assert seen > 1
    assert "Left is left." in picture.caption


@pytest.mark.usefixtures("own_pictures")
def test_without_an_acute_lesion_there_is_no_picture_and_it_is_said(world) -> None:
    with_acute(world, LEFT).arrays["mask_acute"][:] = False
    world.save()
    source = person.write_report(world.settings, world.plan).read_text("utf-8")
    assert "No acute lesion." in source
    assert "desc-acute" not in source


@pytest.mark.usefixtures("own_pictures")
def test_the_page_has_sections_of_what_the_visit_has(world) -> None:
    world.save()
    plain = person.write_report(world.settings, world.plan).read_text("utf-8")
    assert "visit-acute" not in plain
    assert "visit-spectra" not in plain
    with_voxels(with_acute(world, LEFT), a=box(world_of(LEFT)), b=box(world_of(RIGHT)))
    lesion = {"index": 1, "volume_mm3": 2160.0, "x": -34.0, "y": 2.0, "z": 5.0, "hemisphere": "L"}
    tissue = {"voxel": "voi-a", "seg": "tissue", "hemisphere": "B", "reason": None}
    world.more_tables = {
        "acute": [lesion | {"zone": "PV", "wmh_distance": 4.26}],
        "mrs": [
            tissue | {"name": "WMH", "share": 0.25, "wmh_share": 0.25, "nawm_share": 0.0},
            tissue | {"name": "white matter", "share": 0.75, "wmh_share": 0.0, "nawm_share": 0.5},
        ],
    }
    world.save()
    source = person.write_report(world.settings, world.plan).read_text("utf-8")
    acute_part = source[source.index('id="visit-acute"') : source.index('id="visit-maps"')]
    for text in (">2.16<", ">−34.0<", ">PV<", ">4.3<", "as given", "sub-01_desc-acute_T1w.png"):
        assert text in acute_part
    part = source[source.index('id="visit-spectra"') : source.index('id="visit-quality"')]
    for text in ("white matter 75 %, WMH 25 %", ">25 %<", ">50 %<", ">13.82<", "desc-spectra_T1w"):
        assert text in part


def test_acute_lesions_that_could_not_be_looked_for_are_not_none(world) -> None:
    with_acute(world, LEFT).arrays["mask_acute"][:] = False
    context = world.saved()
    context.table("qc").append({"metric": "acute_refused", "value": "1", "verdict": "check"})
    from wmhflow.reports.beside import acute_values

    assert acute_values(context)["is_refused"]
    assert acute_values(context)["n_lesions"] == 0


# ---- voxels of spectroscopy ----------------------------------------------------------------------


def test_each_voxel_is_drawn_on_its_side_in_its_colour(world) -> None:
    context = with_voxels(world, a=box(world_of(LEFT)), b=box(world_of(RIGHT), 30.0)).saved()
    (picture,) = spectra(context)
    image, scene = pixels(picture.png), context.scene
    masks = [box_mask(one.box, scene.reference) for one in context.voxels()]
    rows = [
        (n, (("axial", index[2]), ("coronal", index[1]), ("sagittal", index[0])))
        for n, index in enumerate((LEFT, RIGHT))
    ]
    canvas = arrange(rows, scene.reference.spacing, with_masks(scene.box, masks), 8.0)
    for panel in canvas.panels:
        part = panel_of(image, canvas, panel)
        own = coloured(part, COLOURS[panel.underlay])
        assert own.size
        if panel.plane != "sagittal":
            is_left = panel.underlay == 0
            assert ((own[:, 1] < part.shape[1] / 2) == is_left).all()
            assert letter_in(part[:20, :20]) == "L"
    assert "Left is left." in picture.caption


def test_a_voxel_follows_its_transforms(world) -> None:
    """Planned 40 mm to the right of its place, and brought back by a transform or its inverse."""
    away = np.eye(4)
    away[0, 3] = 40.0
    for number, (matrix, inverted) in enumerate(((away, False), (np.linalg.inv(away), True))):
        with_voxels(world, a=away @ box(world_of(LEFT)))
        leg = found(Path(write_itk_affine(matrix, world.folder / f"leg{number}.txt")))
        (voxel,) = world.visit.spectra
        moved = replace(voxel, legs=(Given(leg, inverted=inverted),), through_other=True)
        world.visit = replace(world.visit, spectra=(moved,))
        (placed,) = world.saved().voxels()
        assert placed.box == pytest.approx(box(world_of(LEFT)), abs=1e-5)


def test_a_voxel_outside_of_the_image_is_named(world) -> None:
    far = box(world_of(LEFT) + 900)
    (picture,) = spectra(with_voxels(world, a=box(world_of(LEFT)), far=far).saved())
    assert "Outside of the image, and not drawn: voi-far." in picture.caption
    (picture,) = spectra(with_voxels(world, far=far).saved())
    assert "not drawn: voi-far." in picture.caption


def test_many_voxels_are_several_pictures(world) -> None:
    placed = {f"v{n}": box(world_of(LEFT) + n) for n in range(len(COLOURS) + 1)}
    names = [one.desc for one in spectra(with_voxels(world, **placed).saved())]
    assert names == ["spectra", "spectra2"]


@pytest.mark.parametrize("turn", [0.0, 45.0])
def test_the_mask_of_a_box_has_its_volume_whatever_its_angle(turn: float) -> None:
    grid = Volume(np.zeros((80, 80, 80)), np.diag([1.0, 1, 1, 1]))
    mask = box_mask(box(np.full(3, 39.6), turn), grid)
    assert mask.sum() == pytest.approx(EDGE**3, rel=0.05)
    assert middle_of(box(np.full(3, 39.6)), grid).tolist() == [40, 40, 40]
    assert not box_mask(box(np.full(3, 900.0), turn), grid).any()


def test_a_small_box_between_thick_slices_is_one_voxel() -> None:
    grid = Volume(np.zeros((9, 9, 9)), np.diag([1.0, 1, 10, 1]))
    assert box_mask(np.diag([0.5, 0.5, 0.5, 1]) + np.eye(4, k=3) * 4.4, grid).sum() == 1
