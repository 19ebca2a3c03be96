"""Options that contradict each other: refused in a sentence, before anything is read or written.

The one of the two had been left out in silence: ``--dry-run --boilerplate-only`` wrote, and of
``--wmh-source compute --wmh-labels challenge`` lesions of other kinds were no longer kept out.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.builders import describe, save_image
from wmhflow.cli.main import main
from wmhflow.cli.parser import parse_settings
from wmhflow.cli.run import make_plans

CONTRADICT = [
    ("--wmh-source compute --wmh-labels challenge", "--wmh-labels says what given masks mean"),
    ("--wmh-source compute --wmh-labels 1", "--wmh-source compute takes none"),
    ("--wmh-source given --wmh-command lst-ai", "--wmh-source given forbids it"),
    ("--dry-run --boilerplate-only", "--dry-run writes nothing"),
    ("--dry-run --reports-only", "--dry-run writes nothing"),
    ("--boilerplate-only --reports-only", "--boilerplate-only writes no reports"),
    ("--quiet --verbose", "choose one of them"),
    ("--quiet --log-json", "choose one of them"),
]


@pytest.fixture
def raw(tmp_path: Path) -> Path:
    save_image(describe(tmp_path / "raw") / "sub-01" / "anat" / "sub-01_T1w.nii.gz")
    return tmp_path / "raw"


@pytest.mark.parametrize(("words", "said"), CONTRADICT, ids=[words for words, _ in CONTRADICT])
def test_one_of_the_two_is_not_left_out_in_silence(
    raw: Path, capsys: pytest.CaptureFixture[str], words: str, said: str
) -> None:
    out = raw.parent / "out"
    given = [str(raw), str(out), "participant", "-w", str(raw.parent / "work")]
    assert main([*given, *words.split()]) == 2
    told = capsys.readouterr().err.strip()
    assert said in told
    assert "\n" not in told
    assert sorted(path.name for path in raw.parent.iterdir()) == ["raw"]


def test_a_program_that_a_given_mask_goes_before_is_said_to_be_passed_over(raw: Path) -> None:
    given = describe(raw.parent / "masks", DatasetType="derivative", GeneratedBy=[{"Name": "me"}])
    mask = save_image(given / "sub-01" / "anat" / "sub-01_space-T1w_label-WMH_mask.nii.gz")
    assert mask.is_file()
    words = [str(raw), str(raw.parent / "out"), "participant", "-d", f"masks={given}"]
    for more, is_said in (([], False), (["--wmh-command", "cp {t1w} {out}"], True)):
        (plan,) = make_plans(parse_settings([*words, *more]))
        said = "\n".join(line.why for line in plan.visits[0].decisions)
        assert ("--wmh-command is not used: a given mask goes before it" in said) == is_said
