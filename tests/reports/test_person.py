"""The page as a whole, made from a small made-up visit."""

from __future__ import annotations

import re
from dataclasses import replace
from html.parser import HTMLParser
from urllib.parse import unquote

import numpy as np
import pytest

from wmhflow.bids.writer import table_text
from wmhflow.plan.visit import Decision, ParticipantPlan, VisitPlan
from wmhflow.products.tables import all_tables
from wmhflow.reports import person
from wmhflow.reports.context import VisitContext
from wmhflow.reports.page import SectionPart, Shown, VisitPart, render
from wmhflow.reports.person import write_report
from wmhflow.reports.sections import WITH_REASONS, MapPart


class _Page(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data):
        self.text += f"{data} "

    def values(self, tag: str, name: str) -> list[str]:
        return [attrs[name] or "" for found, attrs in self.tags if found == tag and name in attrs]


def all_bytes(folder) -> dict[str, bytes]:
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def test_the_page_links_what_exists_and_loads_nothing_from_a_network(world):
    world.save()
    path = write_report(world.settings, world.plan)
    page = _Page(path.read_text(encoding="utf-8"))
    images = page.values("img", "src")
    assert len(images) == len(set(images)) == 9
    assert all(alt for alt in page.values("img", "alt"))
    local = [link for link in page.values("a", "href") if not link.startswith(("#", "https://doi"))]
    for link in {*images, *local}:
        assert (world.settings.output_dir / unquote(link)).is_file()
    anchors = {attrs["id"] for _, attrs in page.tags if "id" in attrs}
    inner = [link[1:] for link in page.values("a", "href") if link.startswith("#")]
    assert inner
    assert set(inner) <= anchors
    assert not {"script", "link", "iframe"} & {tag for tag, _ in page.tags}
    assert str(world.folder) not in path.read_text(encoding="utf-8")


def test_key_numbers_checks_and_tables_are_there(world, monkeypatch):
    monkeypatch.setattr(person, "PICTURES", ())
    world.save()
    text = _Page(write_report(world.settings, world.plan).read_text(encoding="utf-8")).text
    words = re.sub(r"\s+", " ", text)
    assert "WMH volume 6.00 mL" in words
    assert "Brain mask, fluid in it included 1000.00 mL" in words
    said = "(left - right) / (left + right) of the volume of WMH; judged from 5 mL on, and below"
    assert said in words
    assert "all lie on one side: 0.9, expected -0.6 to 0.6" in words
    # names of the file stand in the table of quality alone
    assert "wmh_asymmetry" not in words[: words.index("What was found")]
    assert "juxtaventricular white matter 11.00 21.00 1.00" in words
    assert "0.160 L −30.0" in words
    assert "4.2" in words
    assert "The WMH mask is empty" not in words


def test_columns_that_nothing_fills_are_left_out(world, monkeypatch):
    monkeypatch.setattr(person, "PICTURES", ())
    context = world.saved()
    path = world.settings.output_dir / context.unit.path("table_lesions")

    def headings() -> list[str]:
        source = person.write_report(world.settings, world.plan).read_text("utf-8")
        part = source[source.index('id="visit-lesions"') : source.index('id="visit-maps"')]
        cells = re.findall(r"<td", part)
        found = re.findall(r"<th[^>]*>([^<]+)<", part)
        assert len(cells) == len(found)
        return found

    assert not {"Lobe", "Territory"} & set(headings())
    (row,) = context.table("lesions")
    row |= {"lobe": "frontal"}
    path.write_text(table_text(list(row), [row]), encoding="utf-8")
    assert "Lobe" in headings()
    assert "Territory" not in headings()


def test_what_is_to_be_checked_comes_first_and_is_explained(world, monkeypatch):
    monkeypatch.setattr(person, "PICTURES", ())
    world.save()
    source = write_report(world.settings, world.plan).read_text(encoding="utf-8")
    table = source[source.index('id="visit-quality"') :]
    assert table.index("wmh_asymmetry") < table.index("brain_volume_mm3")
    assert table.index("brain_volume_mm3") < table.index("<details>") < table.index("n_lesions")
    assert "(left - right) / (left + right)" in table
    assert source.index(": 0.9, expected -0.6 to 0.6") < source.index('id="visit-masks"')


def test_that_nothing_is_marked_is_said(world, monkeypatch):
    """A page without a remark could be read as a page whose checks did not run."""
    monkeypatch.setattr(person, "PICTURES", ())
    world.save()
    said = "No measure of quality is outside its usual range"
    text = _Page(write_report(world.settings, world.plan).read_text(encoding="utf-8")).text
    assert said not in re.sub(r"\s+", " ", text)
    for table in world.settings.output_dir.rglob("*_qc.tsv"):
        table.write_text(table.read_text(encoding="utf-8").replace("\tcheck", "\tok"))
    text = _Page(write_report(world.settings, world.plan).read_text(encoding="utf-8")).text
    assert said in re.sub(r"\s+", " ", text)
    assert "Please check" not in text


def test_hostile_names_stay_text(world):
    world.save()
    source = write_report(world.settings, world.plan).read_text(encoding="utf-8")
    assert "<script" not in source
    page = _Page(source)
    assert "<script>alert(1)" in page.text
    assert not any("onerror" in attrs for _, attrs in page.tags)


@pytest.mark.slow
def test_two_runs_give_the_same_bytes_and_the_second_writes_nothing(world):
    world.save()
    path = write_report(world.settings, world.plan)
    first = all_bytes(world.settings.output_dir)
    stamps = {p: p.stat().st_mtime_ns for p in path.parent.rglob("*.*") if p.is_file()}
    write_report(world.settings, world.plan)
    assert all_bytes(world.settings.output_dir) == first
    assert {p: p.stat().st_mtime_ns for p in path.parent.rglob("*.*") if p.is_file()} == stamps
    moved = replace(world.settings, output_dir=world.folder / "elsewhere")
    world.settings = moved
    world.save()
    write_report(moved, world.plan)
    assert all_bytes(moved.output_dir) == first


def test_an_empty_mask_is_said_aloud_and_breaks_nothing(world):
    world.arrays["mask_WMH"] = np.zeros_like(world.arrays["mask_WMH"])
    world.arrays["seg_shells"] = np.zeros_like(world.arrays["seg_shells"])
    world.save()
    page = _Page(write_report(world.settings, world.plan).read_text(encoding="utf-8"))
    assert "The WMH mask is empty: no lesion." in page.text
    assert "No lesion." in page.text
    assert not any("shells" in source for source in page.values("img", "src"))


def test_without_flair_maps_and_lesions_there_is_still_a_page(world):
    world.visit = replace(world.visit, flair=None, maps=())
    world.save()
    page = _Page(write_report(world.settings, world.plan).read_text(encoding="utf-8"))
    sources = page.values("img", "src")
    assert any("desc-masks_T1w" in source for source in sources)
    assert not any("FLAIR" in source for source in sources)
    assert "visit-maps" not in {attrs.get("id") for _, attrs in page.tags}


def test_unfinished_visits_are_named_with_the_reason(world):
    broken = VisitPlan("01", "b", problem="sub-01 ses-b has <no> T1w.")
    plan = ParticipantPlan("01", (replace(world.visit, session="a"), broken))
    page = _Page(write_report(world.settings, plan).read_text(encoding="utf-8"))
    assert "The visit is not finished" in page.text
    assert "sub-01 ses-b has <no> T1w." in page.text
    assert {"ses-a", "ses-b"} <= {attrs.get("id") for _, attrs in page.tags}


def test_no_picture_is_lost_and_those_of_a_map_stand_beside_it():
    map_part = MapPart("FA", "", "", True, [])
    links = dict.fromkeys(("profiles", "maps", "penumbra", "curves"), "x")
    names = ("FA", "unknown", None)
    shown = tuple(Shown(f"{name}.png", "alt", "caption", name) for name in names)
    values = {"maps": [map_part], "links": links}
    maps = SectionPart("Maps", "v-maps", "maps.html.j2", values, shown)
    masks = SectionPart("Masks", "v-masks", "regions.html.j2", {"orientation": ""}, shown)
    for section in (maps, masks):
        images = _Page(render("01", [VisitPart("v", "Visit", (section,))], "")).values("img", "src")
        assert images == [f"{name}.png" for name in names]
    page = render("01", [VisitPart("v", "Visit", (maps,))], "")
    assert page.index("<h4>FA") < page.index("FA.png") < page.index("unknown.png")


def test_the_template_escapes_everything_but_the_methods():
    evil = '"><img src=x onerror=alert(1)>'
    decisions = (Decision(evil, evil, evil),)
    broken = VisitPart("v", evil, decisions=decisions, problem=evil)
    values = {"orientation": evil}
    shown = Shown("a.png", evil, evil)
    section = SectionPart(evil, "v-masks", "regions.html.j2", values, (shown,))
    page = render("01", [broken, VisitPart("w", evil, (section,))], "<p>methods</p>")
    assert page.count("<img") == page.count('<img src="a.png"') == 1
    assert page.count("<p>&#34;&gt;&lt;img src=x") == 1
    assert "<p>methods</p>" in page


def test_why_an_index_or_a_voxel_is_missing_stands_in_the_summary(world, monkeypatch):
    monkeypatch.setattr(person, "PICTURES", ())
    world.save()
    context = VisitContext(world.settings, world.visit)
    assert "Missing" not in _Page(write_report(world.settings, world.plan).read_text("utf-8")).text
    why = "nobody can tell <whether> it fits"
    rows = {
        "alps": [{"hemisphere": side, "alps": "n/a", "reason": f"{why}"} for side in "LRB"],
        "mrs": [{"voxel": "svs", "reason": "12 % of the voxel lie in the brain"}] * 3,
    }
    taken = VisitContext.table
    monkeypatch.setattr(VisitContext, "table", lambda self, key: rows.get(key) or taken(self, key))
    page = _Page(write_report(world.settings, world.plan).read_text(encoding="utf-8"))
    assert f"DTI-ALPS, L: {why}" in page.text
    assert f"DTI-ALPS, R: {why}" in page.text
    assert "DTI-ALPS, B" not in page.text
    assert page.text.count("spectroscopy, svs: 12 % of the voxel lie in the brain") == 1
    # tables of this name exist
    named = {table.key for table in all_tables(("pv10",))}
    assert {f"table_{key}" for key in WITH_REASONS} <= named
    assert context.table("alps") == rows["alps"]
