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
    "Osprey (a table of one row)": (
        "svs.tsv",
        "tNAA\ttCho\n1.31\t0.19\n",
        [("tNAA", 1.31, "arbitrary", None), ("tCho", 0.19, "arbitrary", None)],
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
    assert [form.program for form in load_table_forms()] == list(FORMS)


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
