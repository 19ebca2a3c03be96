"""Label digits: what is put together is read again, and nobody else does either."""

from __future__ import annotations

import ast
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wmhflow.labels import digits
from wmhflow.labels.regions import leaves_of, load_regions
from wmhflow.labels.shells import shell_regions

PACKAGE = Path(digits.__file__).parents[1]
STEPS = (10, 100, 1000, 100_000)
# Arithmetic by such numbers that is about no label; and a kernel, which cannot call functions.
NO_LABELS = {
    ("core/checks/sanity.py", "100 * (ratio or 0)"): "percent",
    ("core/checks/sanity.py", "100 * empty"): "percent",
    ("core/checks/sanity.py", "100 * cut"): "percent",
    ("core/align/plausible.py", "100 * inside.mean()"): "percent",
    ("core/align/plausible.py", "100 * folded"): "percent",
    ("steps/placement.py", "100 * share"): "percent",
    ("steps/placement.py", "100 * left_out"): "percent",
    ("steps/lesions.py", "100 * share"): "percent",
    ("steps/measures.py", "100 * lost"): "percent",
    ("steps/ends.py", "100 * share"): "percent",
    ("steps/tissue.py", "100 * blank"): "percent",
    ("core/checks/sanity.py", "1000 * litres"): "ml per litre",
    ("core/regions/lesions.py", "1000 * np.sqrt((away ** 2).sum(axis=1))"): "microns per mm",
    ("core/regions/bullseye.py", "CELLS_OF_A_LOBE * lobe"): "compiled code",
    ("steps/registration.py", "1000 * LEAST_AGAIN_ML"): "mm3 per ml",
    ("reports/atlas_regions.py", "100 * wmh"): "percent",
    ("reports/tables.py", "100 * share"): "percent",
    ("reports/unmarked.py", "100 * (spot.brightness - 1)"): "percent",
    ("steps/others.py", "100 * outside"): "percent",
    ("steps/others.py", "100 * share"): "percent",
    ("steps/lesion_places.py", "100 * share"): "percent",
    ("steps/lesion_places.py", "100 * wmh.largest"): "percent",
    ("steps/lesion_places.py", "100 * wmh.near"): "percent",
    ("steps/lesion_places.py", "100 * infarct.near"): "percent",
    ("core/align/inverting.py", "100 * share"): "percent",
}


def arithmetic(tree: ast.AST) -> list[str]:
    """Return what multiplies, divides or takes a remainder by a step between label digits."""
    found = []
    for node in ast.walk(tree):
        match node:
            case ast.BinOp(left=left, op=ast.Mod() | ast.FloorDiv() | ast.Mult(), right=right):
                operands = [left, right]
            case ast.AugAssign(op=ast.Mod() | ast.FloorDiv() | ast.Mult(), value=value):
                operands = [value]
            case ast.Call(func=ast.Name(id=name) | ast.Attribute(attr=name), args=args) if name in (
                "divmod",
                "mod",
                "remainder",
                "fmod",
                "floor_divide",
                "multiply",
            ):
                operands = args
            case _:
                continue
        if any(_is_step(operand) for operand in operands):
            found.append(ast.unparse(node))
    return found


def _is_step(operand: ast.expr) -> bool:
    match operand:
        case ast.Constant(value=int(value)):
            return value in STEPS
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return getattr(digits, name, None) in STEPS
    return False


def test_label_digits_are_made_and_read_in_one_module_only() -> None:
    found = {
        (path.relative_to(PACKAGE).as_posix(), text)
        for path in PACKAGE.rglob("*.py")
        if path != Path(digits.__file__)
        for text in arithmetic(ast.parse(path.read_text(encoding="utf-8")))
    }
    # an entry that nothing needs any more goes, so that it lets nothing else through
    assert found == set(NO_LABELS)


@pytest.mark.parametrize(
    "code",
    [
        *("a % 10", "a // 100 % 10", "1000 * side", "a * 10 + b", "divmod(a, 100)", "a %= 10"),
        *("np.mod(a, 10)", "f'{a // 10}'", "CELLS_OF_A_LOBE * lobe", "digits.LEFT_LABELS * a"),
    ],
)
def test_the_search_finds_every_spelling(code: str) -> None:
    assert arithmetic(ast.parse(code))


def test_the_search_leaves_other_arithmetic_alone() -> None:
    assert not arithmetic(ast.parse("a % shape[2] + a // 7 + 2 * b + a / 100 + 10 ** b + '%d' % c"))


@given(st.integers(0, 2), st.integers(1, 9))
def test_side_and_class_are_read_as_they_were_put_together(side: int, kind: int) -> None:
    label = digits.with_side(kind, side)
    assert (digits.side_of(label), digits.class_of(label)) == (side, kind)
    assert digits.with_side(0, side) == 0


@given(st.integers(0, 2), st.integers(0, 9), st.integers(1, 9))
def test_cells_are_read_as_they_were_put_together(side: int, lobe: int, layer: int) -> None:
    cell = digits.bullseye_cell(side, lobe, layer)
    assert (digits.cell_side(cell), digits.lobe_of(cell), digits.layer_of(cell)) == (
        *(side, lobe, layer),
    )
    assert digits.is_cell(cell) == (side > 0 and lobe > 0)
    if lobe:
        assert digits.lobe_label(cell) == digits.with_side(lobe, side)


@given(st.integers(0, 2), st.integers(0, 2), st.integers(1, 90))
def test_shells_are_read_as_they_were_put_together(side: int, kind: int, ordinal: int) -> None:
    label = digits.shell_label(side, kind, ordinal)
    read = digits.shell_side(label), digits.shell_class(label), digits.shell_ordinal(label)
    assert read == (side, kind, ordinal)


@given(st.integers(1, digits.LARGEST_LABEL), st.integers(1, digits.LARGEST_LABEL))
def test_crossed_rows_say_which_regions_meet(one: int, other: int) -> None:
    assert divmod(digits.crossed(one, other), 100_000) == (one, other)


@pytest.mark.parametrize("dtype", [np.uint8, np.int16, np.int32, np.int64])
def test_arrays_keep_their_type_and_agree_with_single_numbers(dtype: type) -> None:
    labels = np.array([0, 11, 15, 26, 29, 7, 103], dtype=dtype)
    for read in (
        *(digits.class_of, digits.side_of, digits.cell_side, digits.lobe_of, digits.layer_of),
        *(digits.lobe_label, digits.shell_ordinal),
    ):
        assert read(labels).dtype == dtype
        assert read(labels).tolist() == [read(int(label)) for label in labels]
    sides = np.array([1, 1, 2, 2, 0, 1, 2], dtype=dtype)
    classes = digits.class_of(labels)
    sided = digits.with_side(classes, sides)
    assert sided.dtype == dtype
    pairs = zip(classes.tolist(), sides.tolist(), strict=True)
    assert sided.tolist() == [digits.with_side(kind, side) for kind, side in pairs]


def test_unions_of_shells_hold_what_their_parents_say() -> None:
    leaves = leaves_of(shell_regions())
    assert {label: digits.shell_leaves(label) for label in leaves} == leaves


def test_the_registry_agrees_with_the_digits() -> None:
    for seg in ("tissue", "zones", "continuity", "majority", "lobes"):
        regions = load_regions(seg)
        for index, region in regions.items():
            assert region.hemisphere == digits.LETTERS[digits.side_of(index)]
            assert regions[digits.class_of(index)].abbreviation == region.abbreviation[
                : -2 if digits.side_of(index) else None
            ]  # fmt: skip
    lobes = load_regions("lobes")
    for index, region in load_regions("bullseye").items():
        assert region.hemisphere == digits.LETTERS[digits.cell_side(index)]
        assert region.name.endswith(f"layer {digits.layer_of(index)}")
        if digits.is_cell(index):
            assert region.name.startswith(f"{lobes[digits.lobe_label(index)].name}, ")
    assert [lobes[lobe].abbreviation for lobe in digits.LOBES] == [
        "FL",
        "PL",
        "TL",
        "OL",
        "BGT",
        "CC",
    ]
