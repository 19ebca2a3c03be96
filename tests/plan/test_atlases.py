"""Atlases are read whole or refused with a sentence; the registry's are what it says."""

from __future__ import annotations

import hashlib
import threading
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import nibabel as nib
import numpy as np
import pytest

from tests.builders import DATA
from wmhflow.bids.naming import TEMPLATE
from wmhflow.core.regions.partition import IN_INFARCT, IN_NAWM, IN_WMH
from wmhflow.errors import InputError, UsageError
from wmhflow.files.atlases import _repaired, load_atlas
from wmhflow.files.fetching import fetch, fetch_template
from wmhflow.labels.schemes import scheme_names
from wmhflow.plan.atlases import PlannedAtlases
from wmhflow.products.rows import possible_images
from wmhflow.registries import atlases as registry
from wmhflow.registries.atlases import AtlasDefinition, AtlasFile, load_atlases, load_templates
from wmhflow.registries.bibliography import bibliography
from wmhflow.settings import NamedPath, Regions

TABLE = "1|AL|artery left\n2|AR|artery right\n3|M|midline\n"
AFFINE = np.array([[4.0, 0, 0, -18], [0, 4, 0, 0], [0, 0, 4, 0], [0, 0, 0, 1]])


def labels() -> np.ndarray:
    data = np.zeros((10, 4, 4), np.int16)
    data[:4], data[6:], data[4:6] = 1, 2, 3
    return data


def written(folder: Path, data: np.ndarray, table: str = TABLE, affine: np.ndarray = AFFINE) -> str:
    nib.save(nib.Nifti1Image(data, affine), folder / "made.nii.gz")
    (folder / "made.txt").write_text(table)
    return str(folder / "made.nii.gz")


def test_an_image_with_its_table_is_an_atlas(tmp_path: Path) -> None:
    atlas = load_atlas(f"mine={written(tmp_path, labels())}")
    assert (atlas.name, atlas.kind) == ("mine", "labels")
    assert {index: region.hemisphere for index, region in atlas.regions.items()} == {
        1: "L",
        2: "R",
        3: "B",
    }
    assert atlas.regions[1].homologue == "artery right"
    assert {region.seg for region in atlas.regions.values()} == {"mine"}


def test_a_swapped_atlas_is_refused_by_name_unless_it_was_checked(tmp_path: Path) -> None:
    path = written(tmp_path, labels(), affine=np.diag([-1.0, 1, 1, 1]) @ AFFINE)
    with pytest.raises(InputError, match=r"atlas mine .* other side of x = 0") as refused:
        load_atlas(f"mine={path}")
    assert "--atlas-sides-checked" in str(refused.value)
    assert load_atlas(f"mine={path}", sides_checked=True).regions[1].hemisphere == "L"


@pytest.mark.parametrize(
    ("data", "table", "affine", "sentence"),
    [
        (labels(), TABLE + "1|X|again", AFFINE, "index 1 is there twice"),
        (labels(), "1|AL|artery left\n2|AR|artery right\n", AFFINE, "does not name: 3"),
        (labels() * 0, TABLE, AFFINE, "holds no label"),
        (labels() * 0.5, TABLE, AFFINE, "other values than whole numbers"),
        (-labels(), TABLE, AFFINE, "other values than whole numbers"),
        (labels()[..., 0], TABLE, AFFINE, "2 dimensions"),
        (labels(), "nonsense", AFFINE, "no label table of a known format"),
        (np.stack([labels()] * 2, axis=3), TABLE, AFFINE, "2 volumes and its table 3"),
        (np.full((3, 3, 3, 3), 300.0), TABLE, AFFINE, "no probabilities"),
        (np.full((3, 3, 3, 3), -0.1), TABLE, AFFINE, "no probabilities"),
        (np.full((3, 3, 3, 3), 2.0), TABLE, AFFINE, r"neither a share .* nor percent"),
        (np.full((3, 3, 3), np.inf), TABLE, AFFINE, "other values than whole numbers"),
        (np.full((3, 3, 3), 2.0**31), TABLE, AFFINE, "other values than whole numbers"),
    ],
)
def test_what_cannot_be_is_refused_in_a_sentence(
    tmp_path: Path, data: np.ndarray, table: str, affine: np.ndarray, sentence: str
) -> None:
    path = written(tmp_path, data.astype(np.float32), table, affine)
    with pytest.raises(InputError, match=sentence):
        load_atlas(path, sides_checked=data.ndim == 4)


def test_an_image_that_does_not_say_where_it_lies_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, labels(), affine=np.eye(4))
    image = nib.load(path)
    image.set_sform(None, 0)
    image.set_qform(None, 0)
    nib.save(image, path)
    with pytest.raises(InputError, match="does not say where it lies"):
        load_atlas(path)


def test_volumes_on_the_wrong_side_are_refused_too(tmp_path: Path) -> None:
    shares = np.stack([labels() == number for number in (2, 1, 3)], axis=3).astype(np.float32)
    with pytest.raises(InputError, match="2 regions on the other side"):
        load_atlas(written(tmp_path, shares))
    assert load_atlas(written(tmp_path, shares), sides_checked=True).kind == "probabilities"


def test_a_hair_above_1_does_not_make_percent_of_shares(tmp_path: Path) -> None:
    shares = np.stack([labels() == number for number in (1, 2, 3)], axis=3).astype(np.float32)
    shares[0, 0, 0, 0] = 1.0001
    assert load_atlas(written(tmp_path, shares)).data.max() == 1


def test_colours_are_no_labels(tmp_path: Path) -> None:
    colours = np.zeros((3, 3, 3), [("R", "u1"), ("G", "u1"), ("B", "u1")])
    nib.save(nib.Nifti1Image(colours, AFFINE), tmp_path / "made.nii.gz")
    (tmp_path / "made.txt").write_text(TABLE)
    with pytest.raises(InputError, match="no plain numbers"):
        load_atlas(str(tmp_path / "made.nii.gz"))


def test_another_image_is_not_grouped_as_if_it_were_the_registry_s(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="not the image that arterialmajor is made from"):
        load_atlas(f"arterialmajor={written(tmp_path, labels())}")


def test_names_without_a_voxel_are_left_out_and_said(tmp_path: Path) -> None:
    atlas = load_atlas(written(tmp_path, labels(), TABLE + "9|G|ghost\n"))
    assert set(atlas.regions) == {1, 2, 3}
    assert atlas.notes == ("1 of 4 regions of the table have no voxel",)


@pytest.mark.parametrize("scale", [1.0, 100.0])
def test_percent_and_shares_are_the_same_probabilities(tmp_path: Path, scale: float) -> None:
    shares = np.random.default_rng(0).random((5, 5, 5, 3)).astype(np.float32)
    atlas = load_atlas(written(tmp_path, shares * scale), sides_checked=True)
    assert atlas.kind == "probabilities"
    np.testing.assert_allclose(atlas.data, shares, rtol=1e-5)


def test_two_tables_or_none_are_an_error(tmp_path: Path) -> None:
    path = written(tmp_path, labels())
    (tmp_path / "made.tsv").write_text("index\tname\n1\ta\n2\tb\n3\tc\n")
    with pytest.raises(InputError, match="both name the labels"):
        load_atlas(path)
    (tmp_path / "made.tsv").unlink()
    (tmp_path / "made.txt").unlink()
    with pytest.raises(InputError, match="no label table beside it"):
        load_atlas(path)


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(UsageError, match="known are arterial, arterialmajor, dkt31"):
        load_atlas("arteries")


def test_every_atlas_of_the_registry_is_described() -> None:
    for name, entry in load_atlases().items():
        assert name.isalnum()
        assert entry.kind in ("labels", "probabilities")
        assert entry.citation in bibliography()
        assert entry.licence
        assert all(part.sha256 for part in entry.files if part.address)
        assert entry.bridge in ("images", "labels")
        assert (entry.template in load_templates()) == (entry.bridge == "images")
    for template in load_templates().values():
        assert bool(template.image.address) == bool(template.image.digest)


def test_offline_it_says_what_to_fetch_and_where_to_put_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(registry.DIRECTORY_VARIABLE, str(tmp_path))
    with pytest.raises(InputError, match="wmhflow atlas fetch arterial") as absent:
        load_atlas("arterial")
    assert str(tmp_path / "arterial") in str(absent.value)
    with pytest.raises(InputError, match="cannot be fetched") as own:
        fetch(load_atlases()["xtract"])
    assert str(tmp_path / "xtract") in str(own.value)


@pytest.fixture
def served(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AtlasDefinition:
    """An atlas on a server of this machine, and an empty folder for what is fetched."""
    source = tmp_path / "server"
    source.mkdir()
    written(source, labels())
    handler = partial(SimpleHTTPRequestHandler, directory=str(source))
    handler.log_message = lambda *_: None  # type: ignore[attr-defined]
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    base = f"http://127.0.0.1:{server.server_port}"
    monkeypatch.setenv(registry.DIRECTORY_VARIABLE, str(tmp_path / "cache"))

    def entry(name: str) -> AtlasFile:
        content = (source / name).read_bytes()
        return AtlasFile(name, f"{base}/{name}", hashlib.sha256(content).hexdigest())

    known = load_atlases()["arterial"]
    yield replace(
        known, name="made", image=entry("made.nii.gz"), table=entry("made.txt"), repairs=None
    )
    server.shutdown()


def test_what_is_fetched_is_verified_and_kept(served: AtlasDefinition) -> None:
    paths = fetch(served)
    assert [path.name for path in paths] == ["made.nii.gz", "made.txt"]
    before = [path.stat().st_mtime_ns for path in paths]
    assert fetch(served) == paths
    assert [path.stat().st_mtime_ns for path in paths] == before


def test_another_file_than_the_registry_s_is_refused_and_not_kept(served: AtlasDefinition) -> None:
    wrong = replace(served, image=replace(served.image, sha256="0" * 64))
    with pytest.raises(InputError, match="not the file that the registry knows"):
        fetch(wrong)
    assert not registry.cached_path(wrong, wrong.image).exists()


def test_a_file_that_changed_in_the_cache_is_refused(served: AtlasDefinition) -> None:
    image = fetch(served)[0]
    image.write_bytes(image.read_bytes() + b"x")
    with pytest.raises(InputError, match="remove it and fetch it again"):
        fetch(served)


ARTERIAL = DATA / "atlases" / "arterial_jhu" / "ArterialAtlas136.nii.gz"


@pytest.mark.skipif(not ARTERIAL.is_file(), reason="the atlas is not on this machine")
def test_the_published_slips_of_the_arterial_atlas_are_repaired() -> None:
    atlas = load_atlas(f"arterial={ARTERIAL}")
    assert len(atlas.regions) == 32
    assert all(region.homologue for region in atlas.regions.values())
    assert len({region.abbreviation for region in atlas.regions.values()}) == 32
    for left, right in zip(range(1, 32, 2), range(2, 33, 2), strict=True):
        assert atlas.regions[left].homologue == atlas.regions[right].name
        assert (atlas.regions[left].hemisphere, atlas.regions[right].hemisphere) == ("L", "R")
    major = load_atlas(f"arterialmajor={ARTERIAL}")
    for region, members in load_atlases()["arterialmajor"].groups.items():
        assert np.array_equal(major.data == region, np.isin(atlas.data, members))


def planned(*atlases: str, **templates: Path | str) -> PlannedAtlases:
    given = tuple(NamedPath(name, Path(path)) for name, path in templates.items())
    return PlannedAtlases(Regions(atlas=atlases, atlas_template=given))


def test_an_atlas_of_one_s_own_needs_a_template(tmp_path: Path) -> None:
    path = written(tmp_path, labels())
    with pytest.raises(UsageError, match="--atlas-template mine=IMAGE"):
        planned(f"mine={path}")
    (own,) = planned(f"mine={path}", mine=TEMPLATE).asked
    assert (own.template, own.bridge) == (TEMPLATE, None)
    image = tmp_path / "tpl_T1w.nii.gz"
    nib.save(nib.Nifti1Image(labels(), AFFINE), image)
    (other,) = planned(f"mine={path}", mine=image).asked
    assert (other.template, other.bridge, other.by_labels) == ("tpl_T1w", image, False)
    assert other.files == {
        "image": Path(path),
        "table": Path(path).with_name("made.txt"),
        "bridge": image,
    }


@pytest.mark.parametrize("entity", ["tpl", "space"])
def test_the_name_of_a_file_may_say_the_template(tmp_path: Path, entity: str) -> None:
    path = Path(written(tmp_path, labels()))
    named = path.rename(tmp_path / f"{entity}-{TEMPLATE}_atlas-mine_dseg.nii.gz")
    (tmp_path / "made.txt").rename(tmp_path / f"{entity}-{TEMPLATE}_atlas-mine_dseg.txt")
    (atlas,) = planned(f"mine={named}").asked
    assert (atlas.template, atlas.bridge) == (TEMPLATE, None)


def test_a_template_that_is_not_there_is_named_with_where_to_get_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(registry.DIRECTORY_VARIABLE, str(tmp_path))
    path = Path(written(tmp_path, labels()))
    named = path.rename(tmp_path / "space-MNI152NLin6Asym_made.nii.gz")
    (tmp_path / "made.txt").rename(tmp_path / "space-MNI152NLin6Asym_made.txt")
    with pytest.raises(InputError, match="wmhflow atlas fetch MNI152NLin6Asym") as absent:
        planned(f"mine={named}")
    assert str(tmp_path / "templates") in str(absent.value)
    with pytest.raises(InputError, match="cannot be fetched"):
        fetch_template(load_templates()["JHUMNISS"])


def test_another_image_than_the_registry_s_template_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(registry.DIRECTORY_VARIABLE, str(tmp_path))
    template = load_templates()["MNI152NLin6Asym"]
    template.path.parent.mkdir()
    template.path.write_bytes(b"another image")
    with pytest.raises(InputError, match="MD5"):
        fetch_template(template)


OWN = {*possible_images(Regions(zones=scheme_names())), "lesions", IN_WMH, IN_NAWM, IN_INFARCT}


@pytest.mark.parametrize("name", sorted(OWN))
def test_an_atlas_has_no_name_of_the_program_s_own(tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError, match="give the atlas another one"):
        planned(f"{name}={written(tmp_path, labels())}")


def test_a_template_for_an_atlas_that_is_not_asked_for_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no --atlas is called other"):
        planned(f"mine={written(tmp_path, labels())}", mine=TEMPLATE, other=TEMPLATE)
    with pytest.raises(UsageError, match="there is no such image"):
        planned(f"mine={written(tmp_path, labels())}", mine=tmp_path / "none.nii.gz")


def test_without_the_atlas_there_are_no_lobes_from_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(registry.DIRECTORY_VARIABLE, str(tmp_path))
    assert planned().for_lobes is None


DKT = DATA / "atlases" / "mindboggle_dkt"


@pytest.mark.skipif(not DKT.is_dir(), reason="the DKT atlas is not on this machine")
def test_the_dkt_atlas_in_the_cache_gives_lobes_by_its_own_labels(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(registry.DIRECTORY_VARIABLE, str(tmp_path))
    (image,) = DKT.glob("*.nii.gz")
    asked = planned(f"dkt31={image}")
    assert asked.for_lobes == asked.asked[0]
    (tmp_path / "dkt31").symlink_to(DKT)
    found = planned().for_lobes
    assert found is not None
    assert (found.bridge, found.by_labels) == (tmp_path / "dkt31" / image.name, True)
    assert len(found.regions) == 96


ARTERIAL_LEVELS = [
    ("arterial", "ArterialAtlas_level1_space-MNI152_res-1.nii.gz", 32),
    ("arterialmajor", "ArterialAtlas_level2_space-MNI152_res-1.nii.gz", 10),
]


@pytest.mark.skipif(not ARTERIAL.is_file(), reason="the arterial atlas is not on this machine")
@pytest.mark.parametrize(("name", "file", "count"), ARTERIAL_LEVELS)
@pytest.mark.parametrize("shift", [0.0, 1.0, -1.0])
def test_the_published_header_of_the_arterial_atlas_is_put_right(
    tmp_path: Path, name: str, file: str, count: int, shift: float
) -> None:
    image = nib.load(ARTERIAL.with_name(file))
    wrong = image.affine.copy()
    wrong[:3, 3] += shift
    nib.save(nib.Nifti1Image(np.asanyarray(image.dataobj), wrong), tmp_path / "a.nii.gz")
    (tmp_path / "ArterialAtlas136.txt").symlink_to(ARTERIAL.with_name("ArterialAtlas136.txt"))
    atlas = load_atlas(f"{name}={tmp_path / 'a.nii.gz'}")
    assert np.array_equal(atlas.affine, image.affine)
    assert len(atlas.regions) == count
    assert [("put right" in note) for note in atlas.notes] == [True] * (shift != 0)


def test_a_header_is_put_right_for_that_grid_alone(tmp_path: Path) -> None:
    tatu = load_atlases()["tatu"]
    known = replace(tatu, header={"shape": [10, 4, 4], "affine": AFFINE.tolist()})
    off = AFFINE.copy()
    off[:3, 3] += (1, -1, 1)
    notes: list[str] = []
    for wrong, is_placed in ((off, True), (np.eye(4), True), (off + 99, False)):
        found, placed = _repaired(known, (10, 4, 4), wrong, is_placed, notes)
        assert np.array_equal(found, AFFINE)
        assert placed
    assert len(notes) == 3
    far = AFFINE.copy()
    far[0, 3] += 5
    for definition, shape, affine in (
        (known, (10, 4, 5), off),
        (None, (10, 4, 4), off),
        (known, (10, 4, 4), far),
        (known, (10, 4, 4), np.diag([1.0, -1, 1, 1]) @ AFFINE),
        (known, (10, 4, 4), AFFINE),
    ):
        found, placed = _repaired(definition, shape, affine, True, notes)
        assert np.array_equal(found, affine)
    assert len(notes) == 3


@pytest.mark.skipif(not ARTERIAL.is_file(), reason="the arterial atlas is not on this machine")
@pytest.mark.parametrize(
    "codes",
    [
        *(pytest.param(one, marks=pytest.mark.slow) for one in ("RAS", "LAI", "RPI", "IRP")),
        *("LPS", "PSR"),
    ],
)
def test_an_atlas_of_the_registry_in_another_orientation_lies_where_it_lay(
    tmp_path: Path, codes: str
) -> None:
    for name, file, _ in ARTERIAL_LEVELS:
        image = nib.load(ARTERIAL.with_name(file))
        axes = [nib.orientations.axcodes2ornt(c) for c in (nib.aff2axcodes(image.affine), codes)]
        turned = image.as_reoriented(nib.orientations.ornt_transform(*axes))
        nib.save(turned, tmp_path / "a.nii.gz")
        if not (tmp_path / "ArterialAtlas136.txt").exists():
            table = ARTERIAL.with_name("ArterialAtlas136.txt")
            (tmp_path / "ArterialAtlas136.txt").symlink_to(table)
        atlas = load_atlas(f"{name}={tmp_path / 'a.nii.gz'}")
        places = [
            np.argwhere(data == 1).mean(axis=0) @ affine[:3, :3].T + affine[:3, 3]
            for data, affine in (
                (atlas.data, atlas.affine),
                (np.asanyarray(image.dataobj), image.affine),
            )
        ]
        if name == "arterial":
            assert places[0] == pytest.approx(places[1], abs=1e-6)
        assert atlas.notes == ()


@pytest.mark.skipif(not ARTERIAL.is_file(), reason="the arterial atlas is not on this machine")
def test_level_2_is_not_taken_for_level_1(tmp_path: Path) -> None:
    image = ARTERIAL.with_name("ArterialAtlas_level2_space-MNI152_res-1.nii.gz")
    with pytest.raises(InputError, match="10 of the 32 regions"):
        load_atlas(f"arterial={image}")


def test_percent_that_are_none_and_another_template_s_name_are_refused(tmp_path: Path) -> None:
    shares = np.zeros((10, 4, 4, 1), np.float32)
    shares[:4] = 0.9
    nib.save(nib.Nifti1Image(shares, AFFINE), tmp_path / "x.nii.gz")
    (tmp_path / "XTRACT.xml").write_text(
        "<atlas><header><type>Probabalistic</type></header><data>"
        '<label index="0" x="0" y="0" z="0">Bundle L</label></data></atlas>'
    )
    with pytest.raises(InputError, match="has percent"):
        load_atlas(f"xtract={tmp_path / 'x.nii.gz'}")
    shares *= 100
    named = tmp_path / f"tpl-{TEMPLATE}_xtract.nii.gz"
    nib.save(nib.Nifti1Image(shares, AFFINE), named)
    with pytest.raises(UsageError, match="say which with --atlas-template"):
        planned(f"xtract={named}")
    assert planned(f"xtract={named}", xtract=TEMPLATE).asked[0].template == TEMPLATE


def test_a_broken_atlas_that_nobody_asked_for_is_an_error_of_lobes_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(registry.DIRECTORY_VARIABLE, str(tmp_path))
    definition = load_atlases()["dkt31"]
    path = registry.cached_path(definition, definition.image)
    path.parent.mkdir()
    path.write_bytes(b"cut")
    atlases = planned()
    assert atlases.asked == ()
    with pytest.raises(InputError, match="remove it and fetch it again"):
        _ = atlases.for_lobes


def test_a_relative_folder_of_atlases_means_the_same_everywhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv(registry.DIRECTORY_VARIABLE, "atlases")
    assert registry.atlas_directory() == tmp_path / "atlases"
