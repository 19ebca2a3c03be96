"""Label tables of every kind give the same regions; what is wrong is said in one sentence."""

from __future__ import annotations

import re
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import DATA
from wmhflow.errors import InputError
from wmhflow.labels.foreign import check_mutual, read_label_table, side_of_name, swapped_name
from wmhflow.labels.regions import Region, load_regions

PUBLISHED = DATA / "atlases" / "arterial_jhu" / "ArterialAtlas136.txt"

# The same three regions and the background, in each format.
COLOUR_TABLE = """\
#No. Label Name:        R   G   B   A
0    Unknown            0   0   0   0

4    Left-Thalamus      18  52  86  0
9    Right-Thalamus     18  52  87  0
16   Brain-Stem         119 159 176 0  # not sided
"""
DSEG = """\
index\tname\tcolor\tmapping
0\tUnknown\t#000000\t0
4\tLeft-Thalamus\t#123456\t1
9\tRight-Thalamus\t#123457\t1
16\tBrain-Stem\t#779fb0\tn/a
"""
FSL_LABEL = """\
<?xml version="1.0" encoding="ISO-8859-1"?>
<atlas version="1.0"><header><name>Test</name><type>Label</type></header>
<data>
<label index="0" x="0" y="0" z="0">Unclassified</label>
<label index="4" x="1" y="2" z="3">Left-Thalamus</label>
<label index="9" x="1" y="2" z="3">Right-Thalamus  </label>
<label index="16" x="1" y="2" z="3">Brain-Stem</label>
</data></atlas>
"""
ITK_SNAP = """\
################################################
# ITK-SnAP Label Description File
# IDX   -R-  -G-  -B-  -A--  VIS MSH  LABEL
    0     0    0    0        0  0  0    "Clear Label"
    4    18   52   86        1  1  1    "Left-Thalamus"
    9    18   52   87     0.50  1  0    "Right-Thalamus"
   16   119  159  176        1  1  1    "Brain-Stem"
"""
BARS = "0|BG|Unknown|0\n4|THL|Left-Thalamus|1\n9|THR|Right-Thalamus|2\n16|BS|Brain-Stem|\n"
TWO_BARS = "0|Unknown\n4|Left-Thalamus\n9|Right-Thalamus\n16|Brain-Stem\n"

TABLES = {
    "colour_table.txt": COLOUR_TABLE,
    "atlas_dseg.tsv": DSEG,
    "label.xml": FSL_LABEL,
    "itk_snap.label": ITK_SNAP,
    "bars.txt": BARS,
    "two_bars.txt": TWO_BARS,
}
every_format = pytest.mark.parametrize("name", TABLES)


@pytest.fixture
def table(tmp_path: Path):
    """Read a table that is made on the spot."""

    def read(content: str | bytes, name: str = "table.txt", repairs=None) -> dict[int, Region]:
        path = tmp_path / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return read_label_table(path, "atlas", repairs)

    return read


def two_bars(*names: str) -> str:
    return "".join(f"{index}|{name}\n" for index, name in enumerate(names, 1))


def bars(*rows: str) -> str:
    return "".join(f"{index}|{row}|x\n" for index, row in enumerate(rows, 1))


@every_format
def test_every_format_says_the_same(table, name: str) -> None:
    regions = table(TABLES[name], name)
    assert list(regions) == [4, 9, 16]
    assert [(region.seg, region.index, region.parents) for region in regions.values()] == [
        ("atlas", index, ()) for index in regions
    ]
    assert [(region.name, region.hemisphere, region.homologue) for region in regions.values()] == [
        ("Left-Thalamus", "L", "Right-Thalamus"),
        ("Right-Thalamus", "R", "Left-Thalamus"),
        ("Brain-Stem", "B", None),
    ]


@pytest.mark.parametrize("name", ["colour_table.txt", "atlas_dseg.tsv", "itk_snap.label"])
def test_colours_are_the_tables_own(table, name: str) -> None:
    regions = table(TABLES[name], name)
    assert [region.colour for region in regions.values()] == ["#123456", "#123457", "#779fb0"]


@every_format
@pytest.mark.parametrize("ending", ["\r\n", "\r"])
def test_line_endings_do_not_matter(table, name: str, ending: str) -> None:
    assert table(TABLES[name].replace("\n", ending), name) == table(TABLES[name], name)


@every_format
def test_a_byte_order_mark_does_not_matter(table, name: str) -> None:
    assert table(b"\xef\xbb\xbf" + TABLES[name].encode(), name) == table(TABLES[name], name)


@pytest.mark.parametrize("name", ["colour_table.txt", "itk_snap.label"])
def test_tabs_may_stand_for_blanks(table, name: str) -> None:
    assert table(re.sub(" +", "\t", TABLES[name]), name)[9].name == "Right-Thalamus"


@every_format
@pytest.mark.parametrize("encoding", ["utf-8", "cp1252"])
def test_names_keep_their_letters_in_either_encoding(table, name: str, encoding: str) -> None:
    content = TABLES[name].replace("Brain-Stem", "Broca’s-aéra").encode(encoding)
    assert table(content, name)[16].name == "Broca’s-aéra"


@every_format
def test_names_may_hold_blanks_and_quotes(table, name: str) -> None:
    regions = table(TABLES[name].replace("Brain-Stem", 'area  "X" (old), 2nd'), name)
    assert regions[16].name == 'area "X" (old), 2nd'


def test_a_tsv_cell_in_quotes_loses_them_and_an_open_quote_takes_one_row_only(table) -> None:
    regions = table('index\tname\n1\t"area ""X"""\n2\t"open\n3\tlast\n', "a_dseg.tsv")
    assert [region.name for region in regions.values()] == ['area "X"', '"open', "last"]


def test_a_comment_that_ends_in_numbers_is_no_colour(table) -> None:
    assert table("1 Pons 1 2 3 0 # was 4 5 6 7\n")[1].colour == "#010203"


@pytest.mark.parametrize("kind", ["Probabilistic", "Statistic"])
def test_volume_k_of_an_fsl_atlas_is_region_k_plus_1(table, kind: str) -> None:
    regions = table(FSL_LABEL.replace(">Label<", f">{kind}<"), "atlas.xml")
    assert [regions[index].name for index in (1, 5, 10)] == [
        "Unclassified",
        "Left-Thalamus",
        "Right-Thalamus",
    ]


@pytest.mark.parametrize(
    ("name", "side"),
    [
        ("Left-Putamen", "L"),
        ("RIGHT putamen", "R"),
        ("putamen of the left side", "L"),
        ("hemisphere_left", "L"),
        ("lh_cuneus", "L"),
        ("ctx-rh-cuneus", "R"),
        ("7Networks_LH_Vis_1", "L"),
        ("HP_tail_LH", "L"),
        ("Precentral_L", "L"),
        ("Uncinate fasciculus R", "R"),
        ("hippocampus-l", "L"),
        ("Cingulum (L) body", "L"),
        ("Thalamus.L", "L"),
        ("cuneus.r", "R"),
        ("Thalamus, R.", "R"),
        ("L_V1_ROI", "L"),
        ("R superior frontal gyrus", "R"),
        ("SFG_R_7_1", "R"),
        ("Left-L-Sg", "L"),
        ("Right-LH", "R"),
        ("Lateral", None),
        ("Lingual gyrus", None),
        ("leftover of Wright", None),
        ("pars opercularis", None),
        ("R-C-S", None),
        ("l'insula", None),
        ("Area L1", None),
        ("V3r", None),
        ("left to right crossing", None),
        ("thalamus L/R", None),
        ("thalamus L-R", None),
        ("thalamus L+R", None),
        ("L L L", None),
        ("L", None),
        ("", None),
    ],
)
def test_only_whole_tokens_say_the_side(name: str, side: str | None) -> None:
    assert side_of_name(name) == side
    assert (swapped_name(name) is None) == (side is None)


@pytest.mark.parametrize(
    ("left", "right"),
    [
        ("Left-Lateral-Ventricle", "Right-Lateral-Ventricle"),
        ("LEFT LINGUAL", "RIGHT LINGUAL"),
        ("ctx-lh-lateraloccipital", "ctx-rh-lateraloccipital"),
        ("LH_Vis_l", "RH_Vis_l"),
        ("Fornix (cres) / Stria terminalis L", "Fornix (cres) / Stria terminalis R"),
        ("L_L_ROI_left", "L_L_ROI_right"),
        ("left pole, left side", "right pole, right side"),
    ],
)
def test_the_other_side_keeps_case_and_place(left: str, right: str) -> None:
    assert swapped_name(left) == right
    assert swapped_name(right) == left


@given(
    st.lists(
        st.sampled_from(["Left", "right", "lh", "RH", "L", "r", "Lateral", "é", "2", "V1"]),
        min_size=1,
        max_size=5,
    ),
    st.sampled_from([" ", "_", "-", ".", "(", ")", "/"]),
)
def test_swapping_twice_gives_the_name_and_once_the_other_side(words, joint: str) -> None:
    name = joint.join(words)
    swapped = swapped_name(name)
    if swapped is not None:
        assert swapped_name(swapped) == name
        assert {side_of_name(name), side_of_name(swapped)} == {"L", "R"}


def test_a_sided_region_without_a_partner_has_no_homologue(table) -> None:
    region = table(two_bars("left insula", "right putamen"))[1]
    assert (region.hemisphere, region.homologue) == ("L", None)


def test_the_hemisphere_column_counts_more_than_the_name(table) -> None:
    regions = table(
        "index\tname\themisphere\n1\tcuneus l\tn/a\n2\tarea L\tboth\n3\tgauche\tleft\n"
        "4\tdroite\trh\n5\tpons\tB\n",
        "atlas_dseg.tsv",
    )
    assert [region.hemisphere for region in regions.values()] == ["L", "B", "L", "R", "B"]


def test_a_column_that_contradicts_the_name_is_refused(table) -> None:
    with pytest.raises(InputError, match=r"line 3: the name 'a R' says R and the column L"):
        table("index\tname\themisphere\n1\ta L\tL\n2\ta R\tL\n", "atlas_dseg.tsv")


@pytest.mark.parametrize("rows", [("ACAL|artère gauche", "ACAR|artère droite"), ("CL|x", "CR|y")])
def test_an_abbreviation_does_not_say_the_side(table, rows) -> None:
    assert {region.hemisphere for region in table(bars(*rows)).values()} == {"B"}


def test_an_abbreviation_that_stands_for_both_sides_is_mended(table) -> None:
    regions = table(bars("MCAPL|parietal left", "MCAPL|parietal right", "ACAL|anterior left"))
    assert [region.abbreviation for region in regions.values()] == ["MCAPL", "MCAPR", "ACAL"]


def test_an_abbreviation_that_occurs_once_stays_as_it_is(table) -> None:
    assert table(bars("ANTER|anterior left"))[1].abbreviation == "ANTER"


@pytest.mark.parametrize(
    "rows",
    [
        ("HIP|hippocampus left", "HIP|hippocampus right"),  # no side letter
        ("PL|pole left", "PL|plane left"),  # one side
        ("PL|pole left", "PL|pole right", "PR|plane right"),  # the mended one is taken
        ("A|one", "A|two", "A-1|three", "A-1-1|four"),  # the numbered ones are taken
    ],
)
def test_other_abbreviations_that_repeat_are_numbered(table, rows) -> None:
    regions = table(bars(*rows))
    assert len({region.abbreviation for region in regions.values()}) == len(rows)
    assert all(
        region.abbreviation.startswith(row.split("|")[0].rstrip("LR"))
        for region, row in zip(regions.values(), rows, strict=True)
    )


def test_abbreviations_are_made_from_the_name_and_the_side(table) -> None:
    regions = table(
        two_bars("left anterior cerebral artery", "Right-Putamen", "CSF", "inner area", "***")
    )
    made = [region.abbreviation for region in regions.values()]
    assert made == ["ACA-L", "PUT-R", "CSF", "INNARE", "X"]


def test_a_made_abbreviation_gives_way_to_the_tables_own(table) -> None:
    regions = table("1|CSF|water|\n2||CSF|\n")
    assert [region.abbreviation for region in regions.values()] == ["CSF", "CSF-2"]


def test_made_abbreviations_do_not_repeat_and_stay_short(table) -> None:
    regions = table(
        two_bars(*(f"left superior part {'abcdefghij'[n % 10] * n}" for n in range(90)))
    )
    made = [region.abbreviation for region in regions.values()]
    assert len(set(made)) == len(made)
    assert max(map(len, made)) <= 14


def test_made_colours_depend_on_the_number_alone_and_differ(table) -> None:
    regions = table(two_bars(*(f"region {n}" for n in range(300))))
    colours = [region.colour for region in regions.values()]
    assert len(set(colours)) == len(colours)
    assert all(re.fullmatch("#[0-9a-f]{6}", colour) for colour in colours)
    rgb = [[int(colour[i : i + 2], 16) for i in (1, 3, 5)] for colour in colours]
    assert min(sum(abs(a - b) for a, b in zip(*pair, strict=True)) for pair in pairwise(rgb)) > 90
    assert table("200|alone\n")[200].colour == colours[199]


def test_repairs_mend_single_rows_and_what_follows_from_them(table) -> None:
    slips = bars("ACTL|anteior choroidal left", "ACTR|anterior choroidal right", "X|odd")
    assert table(slips)[1].homologue is None
    regions = table(
        slips,
        repairs={
            1: {"name": "anterior choroidal left"},
            3: {"abbreviation": "ODD", "hemisphere": "R"},
        },
    )
    assert regions[2].homologue == regions[1].name == "anterior choroidal left"
    assert (regions[3].abbreviation, regions[3].hemisphere) == ("ODD", "R")


def test_a_repair_mends_a_name_that_occurs_twice(table) -> None:
    regions = table(two_bars("pole left", "pole left"), repairs={2: {"name": "pole right"}})
    assert regions[1].homologue == "pole right"


@pytest.mark.parametrize(
    "repairs", [{3: {"name": "x"}}, {1: {"colour": "#000000"}}, {1: {"hemisphere": "west"}}]
)
def test_a_repair_that_does_not_fit_is_refused(table, repairs) -> None:
    with pytest.raises(InputError, match=r"table\.txt.*region 3|colour|'west'"):
        table(two_bars("a", "b"), repairs=repairs)


@every_format
def test_a_number_that_occurs_twice_is_refused(table, name: str) -> None:
    content = re.sub(r'(^|"| )9\b', r"\g<1>4", TABLES[name], count=1, flags=re.MULTILINE)
    with pytest.raises(InputError, match=rf"{name}, .*4 is there twice; "):
        table(content, name)


@every_format
def test_a_name_that_occurs_twice_is_refused(table, name: str) -> None:
    with pytest.raises(InputError, match=rf"{name}, .*'Left-Thalamus' is there 2 times; "):
        table(TABLES[name].replace("Right-", "Left-"), name)


@every_format
@pytest.mark.parametrize("index", ["-9", "9.5", "9_0", "nine", "٩"])
def test_an_index_that_is_no_positive_whole_number_is_refused(table, name: str, index) -> None:
    content = re.sub(r'(^|"| )9\b', rf"\g<1>{index}", TABLES[name], count=1, flags=re.MULTILINE)
    with pytest.raises(InputError, match=rf"{name}, .*'{index}' is not a positive whole number; "):
        table(content, name)


@every_format
def test_a_table_of_nothing_but_background_is_refused(table, name: str) -> None:
    content = re.sub(r".*(Thalamus|Stem).*\n", "", TABLES[name])
    with pytest.raises(InputError, match=rf"{name} names no region"):
        table(content, name)


@pytest.mark.parametrize("content", ["", "\n \n", "# only a comment\n"])
def test_an_empty_file_is_refused(table, content: str) -> None:
    with pytest.raises(InputError, match="names no region"):
        table(content)


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        (
            "labels   structures\n0  background\n2  white matter\n",
            "a.txt",
            "line 1: .*; give a Free",
        ),
        ("1 255 0 0 1 1\n", "a.txt", "line 1: .*known format"),  # colours without a name
        ("1,thalamus\n", "a.csv", "line 1: .*known format"),
        ("number\tlabel\n1\tthalamus\n", "a_dseg.tsv", "line 1: .*known format"),
        ("cuneus\tinsula\tfusiform\t\n", "a.tsv", "one line of names without numbers"),
        ("1\tcuneus\n2\tinsula\n", "a.tsv", "line 1: .*known format"),
        ("<html><body/></html>", "a.txt", "unknown format .<html>"),
        (FSL_LABEL.replace(">Label<", ">Odd<"), "a.xml", "unknown format .*'Odd'"),
        (FSL_LABEL.replace("</data>", ""), "a.xml", "not well-formed XML"),
        ("no XML at all", "a.xml", "not well-formed XML"),
        (
            '<!DOCTYPE atlas [<!ENTITY x SYSTEM "file:///etc/passwd">]>' + FSL_LABEL,
            "a.xml",
            "declares a document type",
        ),
    ],
)
def test_an_unknown_format_is_refused_and_not_guessed(table, content, name, message) -> None:
    with pytest.raises(InputError, match=rf"{re.escape(name)}.*{message}"):
        table(content, name)


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        ("1 Pons 1 2 3 0\n2 Medulla 1 2 3\n", "a.txt", "line 2: this is not index name R G B A"),
        ("1 Pons 1 2 3 0\n2 Medulla 1 -2 3 0\n", "a.txt", "line 2: the colour 1 -2 3 is not"),
        ("1 Pons 1 2 3 0\n2 Medulla 1 256 3 0\n", "a.txt", "line 2: the colour 1 256 3 is not"),
        ('1 1 1 1 1 1 1 "a"\n2 1 1 1 1 1 1 b\n', "a.label", "line 2: this is not IDX R G B A"),
        ('1 1 1 1 1 1 1 ""\n', "a.label", "line 1: region 1 has no name"),
        ("1|A|a\n2|b\n", "a.txt", "line 2: this is not index|abbreviation|name"),
        ("1|a\n2|B|b\n", "a.txt", "line 2: this is not index|name"),
        ("1|A||1\n", "a.txt", "line 1: region 1 has no name"),
        ("index\tname\n1\ta\tb\n", "a.tsv", "line 2: there are more cells"),
        ("index\tname\n\n1\tn/a\n", "a.tsv", "line 3: region 1 has no name"),
        ("index\tname\tname\n1\ta\tb\n", "a.tsv", "occurs twice"),
        ("index\tname\tcolor\n1\ta\tred\n", "a.tsv", "line 2: the colour 'red'"),
        ("index\tname\themisphere\n1\ta\twest\n", "a.tsv", "line 2: the hemisphere 'west'"),
        (FSL_LABEL.replace('index="9" ', ""), "a.xml", "<label> 3: the index ''"),
    ],
)
def test_a_wrong_row_is_named(table, content: str, name: str, message: str) -> None:
    with pytest.raises(InputError, match=rf"{name}.*{re.escape(message)}.*"):
        table(content, name)


@pytest.mark.parametrize(
    "content", [TWO_BARS.encode("utf-16"), b"\x1f\x8b\x08\x00\x00", b"1|caf\x8f\n"]
)
def test_what_is_not_text_is_refused(table, content: bytes) -> None:
    with pytest.raises(InputError, match=r"table\.txt is not text .*; save"):
        table(content)


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.txt cannot be read \(No such file"):
        read_label_table(tmp_path / "none.txt", "atlas")


@every_format
def test_homologues_of_a_table_that_was_read_are_mutual(table, name: str) -> None:
    check_mutual(table(TABLES[name], name), name)


def test_the_programs_own_regions_are_mutual() -> None:
    check_mutual(load_regions("lobes"), "regions.tsv")


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        (("L", "absent"), ("R", None), "'absent', which is not in the table"),
        (("L", "b"), ("R", None), "'b', which has None as its own"),
        (("L", "b"), ("L", "a"), "'b', which is L where the region itself is L"),
        (("B", "b"), ("B", "a"), "'b', which is B where the region itself is B"),
        (("L", "a"), ("R", None), "'a', which is L where the region itself is L"),
    ],
)
def test_homologues_that_do_not_hold_together_are_refused(first, second, message: str) -> None:
    regions = {
        index: Region("x", index, name, name, side, homologue, (), "#000000")
        for index, name, (side, homologue) in ((1, "a", first), (2, "b", second))
    }
    with pytest.raises(InputError, match=rf"atlas\.txt: region 1 .'a'. has .*{message}; "):
        check_mutual(regions, "atlas.txt")


@pytest.mark.skipif(not PUBLISHED.exists(), reason="the published arterial atlas is not here")
def test_the_published_arterial_atlas_is_read_whole_with_one_repair() -> None:
    repairs = {23: {"name": "anterior choroidal and thalamoperfurators left"}}
    regions = read_label_table(PUBLISHED, "arteries", repairs)
    assert list(regions) == list(range(1, 33))
    assert all(region.homologue for region in regions.values())
    assert all(region.abbreviation.endswith(region.hemisphere) for region in regions.values())
    check_mutual(regions, PUBLISHED.name)
