"""Tables of metabolites: each program's form, and what is refused with a sentence."""

from __future__ import annotations

from pathlib import Path

import pytest

from wmhflow.errors import InputError
from wmhflow.files.metabolites import read_metabolites
from wmhflow.registries.spectroscopy import load_table_forms

FORMS = {
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
