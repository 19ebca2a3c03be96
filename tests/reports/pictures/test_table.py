"""The tables of pictures and sections fit each other, and a new one is one function and one row."""

from __future__ import annotations

import shutil

import pytest

from tests.reports.pixels import pixels
from wmhflow.reports import page, person
from wmhflow.reports.drawing.slices import Underlay, slice_png
from wmhflow.reports.pictures import PICTURES, Picture, PictureMaker
from wmhflow.reports.sections import SECTIONS, Section


def brightest(context) -> Picture:
    scene = context.scene
    png = slice_png(
        scene.reference, scene.box, [(0, (("axial", 14),))], [Underlay(scene.reference)]
    )
    return Picture("brightest", "T1w", png, "A bare slice", "The <brightest> slice.")


def counted(context) -> dict[str, int]:
    return {"count": len(context.table("volumes"))}


def test_keys_are_unique_and_every_picture_has_a_section():
    assert len({maker.key for maker in PICTURES}) == len(PICTURES)
    assert len({section.key for section in SECTIONS}) == len(SECTIONS)
    assert {maker.section for maker in PICTURES} <= {section.key for section in SECTIONS}


def test_every_template_is_used_and_every_used_one_exists():
    there = {path.name for path in page.TEMPLATES.iterdir()}
    frames = {"page.html.j2", "macros.html.j2", "style.css.j2"}
    assert there == frames | {section.template for section in SECTIONS}


def test_pictures_stand_in_the_order_of_the_tables(world, monkeypatch):
    def stub(key: str):
        return lambda context: Picture(key, "x", b"", key, key)

    rows = [PictureMaker(maker.key, maker.section, stub(maker.key)) for maker in PICTURES]
    monkeypatch.setattr(person, "PICTURES", tuple(rows))
    world.save()
    source = person.write_report(world.settings, world.plan).read_text("utf-8")
    places = {maker.key: source.index(f'alt="{maker.key}"') for maker in PICTURES}
    wanted = [m.key for section in SECTIONS for m in PICTURES if m.section == section.key]
    assert sorted(places, key=places.get) == wanted
    anchors = [source.index(f'id="visit-{section.key}"') for section in SECTIONS[1:]]
    assert anchors == sorted(anchors)


def test_a_new_figure_is_one_function_and_one_row(world, monkeypatch):
    row = PictureMaker("brightest", "lesions", brightest)
    monkeypatch.setattr(person, "PICTURES", (*PICTURES, row))
    world.save()
    source = person.write_report(world.settings, world.plan).read_text("utf-8")
    lesions = source[source.index('id="visit-lesions"') : source.index('id="visit-maps"')]
    assert "The &lt;brightest&gt; slice." in lesions
    address = "sub-01/figures/sub-01_desc-brightest_T1w.png"
    assert f'<img src="{address}" alt="A bare slice"' in lesions
    assert pixels((world.settings.output_dir / address).read_bytes()).max() > 200


def test_a_new_section_is_one_function_one_row_and_one_template(world, monkeypatch, tmp_path):
    templates = tmp_path / "templates"
    shutil.copytree(page.TEMPLATES, templates)
    (templates / "counted.html.j2").write_text("<p>{{ count }} regions.</p>\n")
    row = Section("counted", "Counted", "counted.html.j2", counted)
    monkeypatch.setattr(page, "TEMPLATES", templates)
    monkeypatch.setattr(person, "SECTIONS", (*SECTIONS, row))
    monkeypatch.setattr(person, "PICTURES", (PictureMaker("brightest", "counted", brightest),))
    context = world.saved()
    source = person.write_report(world.settings, world.plan).read_text("utf-8")
    assert '<a href="#visit-counted">Counted</a>' in source
    section = source[source.index('id="visit-counted"') : source.index('id="methods"')]
    assert f"<p>{len(context.table('volumes'))} regions.</p>" in section
    assert section.index("regions.</p>") < section.index("desc-brightest_T1w.png")


def test_a_picture_whose_section_does_not_exist_is_an_error(world, monkeypatch):
    monkeypatch.setattr(person, "PICTURES", (PictureMaker("lost", "nowhere", brightest),))
    world.save()
    with pytest.raises(KeyError, match="nowhere"):
        person.write_report(world.settings, world.plan)


def test_two_pictures_of_one_name_are_an_error(world, monkeypatch):
    twice = tuple(PictureMaker(key, "masks", brightest) for key in ("one", "two"))
    monkeypatch.setattr(person, "PICTURES", twice)
    world.save()
    with pytest.raises(ValueError, match=r"desc-brightest_T1w\.png"):
        person.write_report(world.settings, world.plan)


@pytest.mark.parametrize("made", [None, (), iter(())])
def test_a_maker_may_have_nothing_to_show(made):
    assert PictureMaker("none", "masks", lambda context: made).pictures(None) == ()


def test_what_does_not_exist_is_not_drawn():
    def fails(context):
        raise AssertionError

    maker = PictureMaker("none", "masks", fails, lambda context: False)
    assert maker.pictures(None) == ()
