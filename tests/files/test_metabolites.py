"""Tables of metabolites: each program's form, and what is refused with a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from wmhflow.errors import InputError
from wmhflow.files.metabolites import read_metabolites, same_amounts
from wmhflow.registries.spectroscopy import load_table_forms

# As LCModel 6.3 writes it: fixed columns, of which one is a sign that is no part of a name.
TABLE = """ LCModel (Version 6.3-1B)
 a title
 Data of: somewhere
 28-May-2015  14:21

$$CONC 38 lines in following concentration table = NCONC+1
    Conc.  %SD /Cr+PCr  Metabolite
 7.97E-02  11%   0.318 NAA
    0.000 999%   0.000 PCh
 6.78E-02  16%   0.271 -CrCH2
    0.251   3%   1.000 Cr+PCr

$$MISC  6 lines in following misc. output table
  FWHM = 0.043 ppm    S/N =  13

$$DIAG  2 lines in following diagnostic table:
   2 info's    TWOREG  8
"""
# The same fit: in a .coord lines follow without a gap, and the spectra after them.
COORD = (
    TABLE.replace("$$CONC 38", " 38").replace("\n\n", "\n").replace("$$MISC  6", "   6")
    + "  799 points on ppm-axis = NY\n      4.000000     3.995243     3.990486     3.985729\n"
)
CSV = (
    "Row, Col, NAA, NAA %SD, NAA/Cr+PCr, PCh, PCh %SD, PCh/Cr+PCr, Cr+PCr, Cr+PCr %SD, "
    "Cr+PCr/Cr+PCr\n  1,   1, 7.97E-02,   11,    0.318,    0.000,  999,    0.000,    0.251,    3,"
    "    1.000\n"
)

FORMS = {
    "LCModel (.table, .coord)": (
        "svs.table",
        TABLE,
        [
            ("NAA", 7.97e-2, "arbitrary", 11.0),
            ("NAA", 0.318, "/Cr+PCr", 11.0),
            ("PCh", 0.0, "arbitrary", 999.0),
            ("PCh", 0.0, "/Cr+PCr", 999.0),
            ("-CrCH2", 6.78e-2, "arbitrary", 16.0),
            ("-CrCH2", 0.271, "/Cr+PCr", 16.0),
            ("Cr+PCr", 0.251, "arbitrary", 3.0),
            ("Cr+PCr", 1.0, "/Cr+PCr", 3.0),
        ],
    ),
    "FSL-MRS (concentrations.csv)": (
        "svs.csv",
        (
            "Metabs,mean,mean,mean,mean,std,std,std,std\n"
            ",raw,internal,molality,molarity,raw,internal,molality,molarity\n"
            "NAA,8.0,1.25,9.0,10.0,0.4,0.1,0.9,0.2\nLac,0.0,0.0,0.0,0.0,0.1,0.1,0.1,0.1\n"
        ),
        [
            ("NAA", 8.0, "arbitrary", 5.0),
            ("NAA", 1.25, "/internal", 8.0),
            ("NAA", 9.0, "mmol/kg", 10.0),
            ("NAA", 10.0, "mmol/L", 2.0),
            ("Lac", 0.0, "arbitrary", None),
            ("Lac", 0.0, "/internal", None),
            ("Lac", 0.0, "mmol/kg", None),
            ("Lac", 0.0, "mmol/L", None),
        ],
    ),
    "by hand": (
        "svs.tsv",
        "metabolite\tvalue\tunit\tsd_percent\nNAA\t8.5\tmmol/kg\t3\nLac\tn/a\tmmol/kg\tn/a\n",
        [("NAA", 8.5, "mmol/kg", 3.0), ("Lac", None, "mmol/kg", None)],
    ),
    "FSL-MRS (summary.csv)": (
        "svs.csv",
        (
            "Metab,/Cr+PCr,/Cr+PCr CRLB,mM,mM CRLB,%CRLB,SNR,FWHM\nNAA,1.3,0.1,9.1,0.4,4.4,30,6\n"
            "GABA,0.2,0.1,1.1,0.4,999,,\n"
        ),
        [
            ("NAA", 9.1, "mmol/L", 4.4),
            ("NAA", 1.3, "/Cr+PCr", 4.4),
            ("GABA", 1.1, "mmol/L", 999.0),
            ("GABA", 0.2, "/Cr+PCr", 999.0),
        ],
    ),
    "LCModel (.csv)": (
        "svs.csv",
        (
            "Row, Col, NAA, NAA %SD, NAA/Cr+PCr, Ins, Ins %SD, Ins/Cr+PCr\n"
            " 1, 1, 7.9, 4, 1.2, 4.1, 8, 0.6\n"
        ),
        [
            ("NAA", 7.9, "arbitrary", 4.0),
            ("NAA/Cr+PCr", 1.2, "1", None),
            ("Ins", 4.1, "arbitrary", 8.0),
            ("Ins/Cr+PCr", 0.6, "1", None),
        ],
    ),
    "Osprey (.csv)": (
        "svs.csv",
        "ConC,MetaboliteNumber,MetaboliteString\n1.31,1,NAA\n0.19,2,GPC\n",
        [("NAA", 1.31, "arbitrary", None), ("GPC", 0.19, "arbitrary", None)],
    ),
    "TARQUIN (.csv)": (
        "svs.csv",
        (
            "Signal amplitudes\nRow,Col,Slice,-CrCH2,NAA\n1,1,1,0.0,8.0e+00\n"
            "CRLBs (standard deviation)\nRow,Col,Slice,-CrCH2,NAA\n1,1,1,0.1,4.0e-01\n"
            "Fit diagnostics\nRow,Col,Slice,Q,SNR,version\n1,1,1,1.1,30,4.3.11\n"
            "Geometry parameters\nRows,1\nVoiDim,20\\20\\20\n"
        ),
        [("-CrCH2", 0.0, "arbitrary", None), ("NAA", 8.0, "arbitrary", 5.0)],
    ),
    "spant (.csv)": (
        "svs.csv",
        (
            "X,Y,Z,Dynamic,Coil,NAA,tCho,NAA.sd,tCho.sd,phase,lw,SNR\n"
            "1,1,1,1,NA,8.0,2.0,0.4,0.2,12.5,0.05,40\n"
        ),
        [("NAA", 8.0, "arbitrary", 5.0), ("tCho", 2.0, "arbitrary", 10.0)],
    ),
    "Osprey (.tsv) and others": (
        "svs.tsv",
        "tNAA\tCr_PCr\tMM09\n1.31\t0.19\t0.5\n",
        [
            ("tNAA", 1.31, "arbitrary", None),
            ("Cr_PCr", 0.19, "arbitrary", None),
            ("MM09", 0.5, "arbitrary", None),
        ],
    ),
}


def write(folder: Path, name: str, text: str) -> Path:
    path = folder / name
    path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("program", FORMS)
def test_each_form_is_read(tmp_path: Path, program: str) -> None:
    name, text, wanted = FORMS[program]
    assert [tuple(one) for one in read_metabolites(write(tmp_path, name, text))] == wanted


def test_every_form_of_the_registry_has_an_example() -> None:
    assert sorted(form.program for form in load_table_forms()) == sorted(FORMS)


ALIKE = {
    "another separator": ("svs.csv", "metabolite\tvalue\tunit\nNAA\t8.5\tmM\n"),
    "commas in a .tsv": ("svs.tsv", "metabolite,value,unit\nNAA,8.5,mM\n"),
    "semicolons and decimal commas": ("svs.csv", "metabolite;value;unit\nNAA;8,5;mM\n"),
    "capital letters": ("svs.tsv", "Metabolite\tConcentration\tUnit\nNAA\t8.5\tmM\n"),
    "a column without anything": ("svs.csv", "metabolite,value,unit,\nNAA,8.5,mM,\n"),
    "a byte order mark": ("svs.tsv", "\ufeffmetabolite\tvalue\tunit\nNAA\t8.5\tmM\n"),
}


@pytest.mark.parametrize(("name", "text"), ALIKE.values(), ids=ALIKE)
def test_a_table_is_read_however_it_is_written(tmp_path: Path, name: str, text: str) -> None:
    (one,) = read_metabolites(write(tmp_path, name, text))
    assert one == ("NAA", 8.5, "mM", None)


def test_ratios_to_any_reference_and_what_a_table_of_lcmodel_says_are_read(tmp_path: Path) -> None:
    text = "Metab,/NAA+NAAG,/NAA+NAAG CRLB,%CRLB\nCr,0.7,0.1,4\n"
    assert read_metabolites(write(tmp_path, "svs.csv", text)) == [("Cr", 0.7, "/NAA+NAAG", 4.0)]
    text = "Conc.\t%SD\t/Cr+PCr\tMetabolite\n7.9\t4%\t1.2\tNAA\n"
    assert read_metabolites(write(tmp_path, "svs.tsv", text)) == [
        ("NAA", 7.9, "arbitrary", 4.0), ("NAA", 1.2, "/Cr+PCr", 4.0)
    ]  # fmt: skip


def test_a_coord_holds_what_the_table_does(tmp_path: Path) -> None:
    # names of other alphabets stand in its head; capital letters in its ending
    path = tmp_path / "svs.COORD"
    path.write_bytes(COORD.replace("somewhere", "Universität").encode("latin-1"))
    table = write(tmp_path, "svs.table", TABLE)
    assert read_metabolites(path) == read_metabolites(table)
    assert same_amounts(table, path)
    assert same_amounts(table, write(tmp_path, "svs.csv", CSV))
    assert not same_amounts(table, write(tmp_path, "svs.csv", CSV.replace("0.251", "0.252")))
    assert not same_amounts(table, write(tmp_path, "svs.csv", "NAA,SNR\n8,9\n"))


@pytest.mark.parametrize(
    ("row", "wanted"),
    [
        # a sign marks a ratio that is far from what was expected
        ("    0.115   2%   0.457+GPC", ("GPC", 0.115, 0.457)),
        ("    0.115   2% 8.2E-02-Gua", ("Gua", 0.115, 0.082)),
        (" 6.78E-02  16%   0.271+-Lip09", ("-Lip09", 0.0678, 0.271)),
        ("  999.123 100%   0.115 2HG", ("2HG", 999.123, 0.115)),
        (" 1.0E+03  88%   0.115+2HG", ("2HG", 1000.0, 0.115)),
        ("    0.357  17%   1.426 MM14+Lip13a+MM12   ", ("MM14+Lip13a+MM12", 0.357, 1.426)),
    ],
)
def test_rows_of_lcmodel_are_parted_as_it_writes_them(
    tmp_path: Path, row: str, wanted: tuple[str, float, float]
) -> None:
    text = TABLE.replace(" 7.97E-02  11%   0.318 NAA", row)
    amount, ratio = read_metabolites(write(tmp_path, "svs.table", text))[:2]
    assert (amount.name, amount.value, ratio.value) == wanted
    assert ratio.name == amount.name


@pytest.mark.parametrize(
    ("cut", "name", "ratio", "unit"),
    [
        # LCModel cuts the reference's name after six letters
        ("/GPC+PC", "GPC+PCh", "1.000", "/GPC+PCh"),
        ("   /Cr ", "Cr", "1.000", "/Cr"),
        ("/L16+L0", "L16+L09+L13", "1.000", "/L16+L09+L13"),
        ("/GPC+PC", "Cho", "1.000", "/GPC+PC"),
        # CONREL: ratios are multiplied by what the reference counts as
        ("/Cr+PCr", "Cr+PCr", "8.000", "/Cr+PCr=8"),
    ],
)
def test_the_reference_of_lcmodels_ratios_is_told(
    tmp_path: Path, cut: str, name: str, ratio: str, unit: str
) -> None:
    text = TABLE.replace("/Cr+PCr", cut).replace("1.000 Cr+PCr", f"{ratio} {name}")
    found = read_metabolites(write(tmp_path, "svs.table", text))
    assert {one.unit for one in found} == {"arbitrary", unit}


@pytest.mark.parametrize("name", ["svs.table", "svs.csv"])
def test_ratios_to_what_was_not_found_are_missing(tmp_path: Path, name: str) -> None:
    # LCModel then writes 0 for every ratio
    text = TABLE if name == "svs.table" else CSV
    for ratio in ("0.318", "0.271", "1.000"):
        text = text.replace(ratio, "0.000")
    found = read_metabolites(write(tmp_path, name, text))
    ratios = [one for one in found if one.unit != "arbitrary"]
    assert ratios
    assert {one.value for one in ratios} == {None}
    assert found[0] == ("NAA", 7.97e-2, "arbitrary", 11.0)


def test_a_csv_says_what_the_reference_counts_as_and_a_ratio_of_0_is_one(tmp_path: Path) -> None:
    found = read_metabolites(write(tmp_path, "svs.csv", CSV.replace("1.000", "8.000")))
    assert {one.unit for one in found} == {"arbitrary", "/Cr+PCr=8"}
    (lactate,) = read_metabolites(write(tmp_path, "svs.tsv", "metabolite\tvalue\nLac/Cr\t0\n"))
    assert lactate.value == 0


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (TABLE.replace("$$CONC 38 lines in following concentration", "$$"), "stopped before it"),
        (TABLE[: TABLE.index("$$MISC")], "ends in its table of concentrations"),
        (TABLE + TABLE, "holds 2 tables of concentrations"),
        (TABLE.replace("/Cr+PCr ", ""), "has the columns 'Conc.  %SD  Metabolite' above"),
        (TABLE.replace("0.318 NAA", "0.318"), "the line '7.97E-02  11%   0.318' in its table"),
        (TABLE.replace("7.97E-02", "********"), "which is no row of it"),
        (TABLE.replace("PCh", "NAA"), "a metabolite twice"),
    ],
)
def test_files_of_lcmodel_that_are_not_whole_are_refused(
    tmp_path: Path, text: str, why: str
) -> None:
    with pytest.raises(InputError) as refused:
        read_metabolites(write(tmp_path, "svs.table", text))
    assert why in str(refused.value)


# what would be read as amounts of metabolites and is none
OTHER = {
    "quality of spectra": ("svs.tsv", "Cr_SNR\tCr_FWHM\n40\t6.1\n", "Cr_SNR, Cr_FWHM are called"),
    "a column beside": ("svs.csv", "NAA,phase\n8,12\n", "of which phase is called as no"),
    "TARQUIN's first table": ("svs.csv", "Row,Col,Slice,NAA,Q\n1,1,1,8,1\n", "Slice, Q are called"),
    "spectra of LCModel": ("svs.csv", "Row,Col,Slice,NAA,NAA %SD\n1,1,1,8,4\n", "Slice is called"),
    "no values": ("svs.tsv", "Metabolite\tSNR\nNAA\t40\n", "columns Metabolite, SNR, which"),
    "no names": ("svs.csv", "1,2\n3,4\n", "of which 1, 2 are called as no metabolite is"),
    "jMRUI": ("svs.csv", "jMRUI Results Textfile\n\nAmplitudes (-)\n8.1\t2.2\n", "columns jMRUI"),
}  # fmt: skip


# columns that would be lost of a table by hand, among them the unit
LOST = {
    "units": ("metabolite,value,units\nNAA,8.5,mM\n", "the column units, which would not be read"),
    "two": ("Metabolite,Conc,sd,region\nNAA,8.5,1,L\n", "the columns sd, region, which would not"),
    "a second value": ("metabolite,value,mM\nNAA,1,8.5\n", "the column mM, which would not be"),
}


@pytest.mark.parametrize(("text", "why"), LOST.values(), ids=LOST)
def test_a_table_by_hand_with_a_column_that_would_be_lost_is_refused(
    tmp_path: Path, text: str, why: str
) -> None:
    with pytest.raises(InputError) as refused:
        read_metabolites(write(tmp_path, "svs.csv", text))
    assert why in str(refused.value)
    assert "metabolite, value, concentration, conc, conc., unit, sd_percent" in str(refused.value)


@pytest.mark.parametrize("column", ["MMSE", "mm_thickness", "LipidTherapy", "lipo"])
def test_a_column_that_only_begins_as_macromolecules_do_is_none(
    tmp_path: Path, column: str
) -> None:
    with pytest.raises(InputError, match=f"{column} is called as no metabolite is"):
        read_metabolites(write(tmp_path, "svs.tsv", f"participant_id\t{column}\ttau\n1\t28\t3\n"))


@pytest.mark.parametrize("column", ["MM", "MM09", "MM3co", "Lip13a", "Lip13a+Lip13b", "MMexp"])
def test_macromolecules_and_lipids_stand_beside_metabolites(tmp_path: Path, column: str) -> None:
    found = read_metabolites(write(tmp_path, "svs.tsv", f"NAA\t{column}\n8\t3\n"))
    assert [one.name for one in found] == ["NAA", column]


@pytest.mark.parametrize(("name", "text", "why"), OTHER.values(), ids=OTHER)
def test_other_tables_are_refused_with_their_columns_and_those_that_are_known(
    tmp_path: Path, name: str, text: str, why: str
) -> None:
    with pytest.raises(InputError) as refused:
        read_metabolites(write(tmp_path, name, text))
    said = str(refused.value)
    assert why in said or "is no table" in said
    if "is no table" not in said:
        assert "metabolite and value or concentration" in said
        assert "Row, Col and one for each metabolite (LCModel (.csv))" in said


@pytest.mark.parametrize(
    ("name", "text", "why"),
    [
        ("svs.tsv", "", "is no table"),
        ("svs.tsv", "metabolite\tvalue\n", "is no table"),
        ("svs.tsv", "metabolite\tvalue\nNAA\n", "is no table"),
        ("svs.tsv", "metabolite\tvalue\nNAA\thigh\n", "'high' where a number is meant"),
        ("svs.tsv", "metabolite\tvalue\nNAA\t1\nNAA\t2\n", "a metabolite twice"),
        ("svs.tsv", "value\tvalue\n1\t2\n", "two columns of one name"),
        ("svs.csv", "Row,Col,NAA,NAA %SD\n1,1,2,3\n1,2,2,3\n", "2 rows of values"),
        ("svs.csv", "Row,Col\n1,1\n", "no metabolite"),
        ("svs.tsv", "metabolite\tvalue\nNAA\t8.5%\n", "'8.5%' where a number is meant"),
        ("svs.tsv", "metabolite\tvalue\n\t8.5\n", "a value without a metabolite's name"),
        ("svs.csv", "ConC,MetaboliteString\n1,NAA\n2,NAA\n", "of this voxel alone"),
    ],
)
def test_what_is_no_table_of_a_voxel_is_refused(
    tmp_path: Path, name: str, text: str, why: str
) -> None:
    with pytest.raises(InputError, match=why):
        read_metabolites(write(tmp_path, name, text))


def test_what_is_no_text_or_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "svs.tsv").write_bytes(b"\xff\xfe\x00\x81")
    for path in (tmp_path / "svs.tsv", tmp_path / "gone.tsv"):
        with pytest.raises(InputError, match="cannot be read as text"):
            read_metabolites(path)


def test_infinite_values_are_missing(tmp_path: Path) -> None:
    path = write(tmp_path, "svs.tsv", "metabolite\tvalue\nNAA\tinf\nCr\t1e999\n")
    assert [one.value for one in read_metabolites(path)] == [None, None]
