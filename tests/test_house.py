"""The house's figures: each rule, where it is kept and where it is broken."""

from __future__ import annotations

from pathlib import Path

import pytest

from tools import house

SOUND = '"""A module."""\n\n\ndef twice(one: int) -> int:\n    """Double."""\n    return 2 * one\n'
LONG = SOUND + "    one += 1\n" * (house.LONGEST - 3)


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A house of one module."""
    names = {"ROOT": "", "PACKAGE": "wmhflow", "TESTS": "tests", "DATA": "wmhflow/data"}
    for name, place in names.items():
        monkeypatch.setattr(house, name, tmp_path / place)
        (tmp_path / place).mkdir(exist_ok=True)
    monkeypatch.setattr(house, "broken_arrows", list)
    (tmp_path / "wmhflow/core").mkdir()
    (tmp_path / "wmhflow/core/one.py").write_text(SOUND)
    return tmp_path / "wmhflow"


def test_a_sound_house_is_passed(package: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert house.main() == 0
    told = capsys.readouterr()
    assert "functions   1: median 3 lines, longest 3; 0 over 20" in told.out
    assert "core 1" in told.out
    assert not told.err


@pytest.mark.parametrize(
    ("place", "content", "fault"),
    [
        ("core/two.py", LONG + "    return one\n", "twice has 81 lines"),
        ("core/two.py", SOUND.replace('    """Double."""\n', ""), "twice has no docstring"),
        ("core/two.py", SOUND.replace('"""A module."""', "# a module"), "two.py has no docstring"),
        ("core/two.py", SOUND.replace("one: int", "one"), "twice lacks types"),
        ("core/two.py", SOUND.replace(" -> int", ""), "twice lacks types"),
        ("core/two.py", SOUND.replace("one: int", "*one"), "twice lacks types"),
        ("data/two.py", SOUND, "wmhflow/data/two.py is code among data"),
    ],
)
def test_a_broken_rule_is_said_and_fails(
    package: Path, capsys: pytest.CaptureFixture[str], place: str, content: str, fault: str
) -> None:
    (package / place).write_text(content)
    assert house.main() == 1
    assert fault in capsys.readouterr().err


@pytest.mark.parametrize(
    "content",
    [
        LONG,
        SOUND.replace("twice(one: int)", "_twice(one)").replace('    """Double."""\n', ""),
        SOUND + "\n    def inner(two):\n        return two\n",
    ],
    ids=["80 lines", "private", "within a function"],
)
def test_what_no_rule_forbids_is_passed(package: Path, content: str) -> None:
    (package / "core/two.py").write_text(content)
    assert house.main() == 0


def test_a_broken_arrow_fails(package: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(house, "broken_arrows", lambda: ["broken: Rooms"])
    assert house.main() == 1
