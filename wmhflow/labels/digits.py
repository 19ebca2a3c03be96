"""Label digits: the only module where the parts of a label's number are put together and read.

Three kinds of numbers say several things at once:

- tissue, zones, lobes, and lesions by zone: ``10 * side + class``;
- cells of the bullseye: ``100 * side + 10 * lobe + layer``;
- shells: ``1000 * side + 100 * lesion class + ordinal``.

The side is 1 on the left and 2 on the right. Without a side, a lobe or a lesion class (0 in its
place) a number stands for the union of those that have one, which occurs in tables only. The rows
where two label images meet are numbered ``100000 * one + other``.

The functions take whole numbers and arrays of them alike, and keep an array's type. They are plain
arithmetic, so that nothing need be installed or loaded for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from numpy.typing import NDArray

Labels = TypeVar("Labels", int, "NDArray[Any]")

BOTH, LEFT, RIGHT = range(3)
LETTER_BOTH, LETTER_LEFT, LETTER_RIGHT = "B", "L", "R"
LETTERS = {BOTH: LETTER_BOTH, LEFT: LETTER_LEFT, RIGHT: LETTER_RIGHT}

CSF, VENTRICLES, CORTEX, DEEP_GREY, WHITE_MATTER, WMH, INFRATENTORIAL = range(1, 8)
# What is white matter whatever its signal.
WHITE_OR_WMH = (WHITE_MATTER, WMH)
# Tissue that is neither that nor cortex.
OTHER_TISSUE = (DEEP_GREY, INFRATENTORIAL)

JUXTAVENTRICULAR, PERIVENTRICULAR, DEEP, JUXTACORTICAL = range(1, 5)
# The zones whose lesions the majority rule calls periventricular.
PERIVENTRICULAR_ZONES = (JUXTAVENTRICULAR, PERIVENTRICULAR)

FRONTAL, PARIETAL, TEMPORAL, OCCIPITAL, BASAL_GANGLIA, CORPUS_CALLOSUM = range(1, 7)
LOBES = range(FRONTAL, CORPUS_CALLOSUM + 1)
# Cortex that passes on no lobe, while the others are looked for; it occurs in no file.
NO_LOBE = 9
LARGEST_DIGIT = 9

ALL_LESIONS, PERIVENTRICULAR_LESIONS, DEEP_LESIONS = range(3)
LESION_CLASSES = (ALL_LESIONS, PERIVENTRICULAR_LESIONS, DEEP_LESIONS)
# Outer shells are 1 to 40, the rest beyond the last one is 50, inner shells are 51 to 90.
MOST_SHELLS, REST = 40, 50

_SIDE = 10
_CELL_SIDE, _CELL_LOBE = 100, 10
_SHELL_SIDE, _SHELL_CLASS = 1000, 100
_CROSSING = 100_000
# What an image may hold at most, so that a row where two meet says which they are.
LARGEST_LABEL = _CROSSING - 1

# Where the numbers of a side begin, for compiled code, which cannot call what stands here.
LEFT_LABELS, RIGHT_LABELS = _SIDE * LEFT, _SIDE * RIGHT
LEFT_SHELLS, RIGHT_SHELLS = _SHELL_SIDE * LEFT, _SHELL_SIDE * RIGHT
CELLS_OF_A_LOBE = _CELL_LOBE


def with_side(classes: Labels, sides: Labels | int) -> Labels:
    """Add the side to classes (tissues, zones or lobes); 0 stays 0.

    Examples
    --------
    >>> with_side(WHITE_MATTER, RIGHT)
    25
    >>> import numpy as np
    >>> with_side(np.array([0, 5, 6], np.uint8), np.array([1, 1, 2], np.uint8))
    array([ 0, 15, 26], dtype=uint8)
    """
    return classes + _SIDE * sides * (classes > 0)


def class_of(labels: Labels) -> Labels:
    """Return the tissue, zone or lobe without the side.

    Examples
    --------
    >>> class_of(25) == class_of(15) == class_of(5) == WHITE_MATTER
    True
    """
    return labels % _SIDE


def side_of(labels: Labels) -> Labels:
    """Return the side of a tissue, a zone or a lobe: 1 left, 2 right, 0 both or none.

    Examples
    --------
    >>> side_of(15), side_of(25), side_of(5)
    (1, 2, 0)
    """
    return labels // _SIDE


def is_right(labels: NDArray[Any]) -> NDArray[Any]:
    """Tell where tissues, zones or lobes are of the right side.

    Examples
    --------
    >>> import numpy as np
    >>> is_right(np.array([0, 15, 25])).tolist()
    [False, False, True]
    """
    return side_of(labels) == RIGHT


def bullseye_cell(side: int, lobe: int, layer: int) -> int:
    """Return the number of a cell of the bullseye, or, with a 0, of a union of cells.

    Examples
    --------
    >>> bullseye_cell(RIGHT, FRONTAL, 4), bullseye_cell(LEFT, 0, 4)
    (214, 104)
    """
    return _CELL_SIDE * side + _CELL_LOBE * lobe + layer


def cell_side(cells: Labels) -> Labels:
    """Return the side of a cell of the bullseye.

    Examples
    --------
    >>> cell_side(214), cell_side(14)
    (2, 0)
    """
    return cells // _CELL_SIDE


def lobe_of(cells: Labels) -> Labels:
    """Return the lobe of a cell of the bullseye, 0 if it is a whole layer.

    Examples
    --------
    >>> lobe_of(214) == FRONTAL, lobe_of(104)
    (True, 0)
    """
    return lobe_label(cells) % _SIDE


def layer_of(cells: Labels) -> Labels:
    """Return the layer of a cell of the bullseye, from 1 at the ventricle.

    Examples
    --------
    >>> layer_of(214)
    4
    """
    return cells % _CELL_LOBE


def lobe_label(cells: Labels) -> Labels:
    """Return the label that a cell of the bullseye has among the lobes, side included.

    Examples
    --------
    >>> lobe_label(214) == with_side(FRONTAL, RIGHT)
    True
    """
    return cells // _CELL_LOBE


def is_cell(index: int) -> bool:
    """Tell whether a number is of a cell of the bullseye on one side, not of a union of cells.

    Examples
    --------
    >>> is_cell(111), is_cell(11), is_cell(101)
    (True, False, False)
    """
    return cell_side(index) > 0 and lobe_of(index) > 0


def is_callosum(seg: str, label: int) -> bool:
    """Tell whether a label of ``lobes`` or ``bullseye`` is the corpus callosum's.

    Examples
    --------
    >>> is_callosum("lobes", 16), is_callosum("bullseye", 162), is_callosum("bullseye", 116)
    (True, True, False)
    """
    read = {"lobes": class_of, "bullseye": lobe_of}.get(seg)
    return read is not None and read(label) == CORPUS_CALLOSUM


def shell_label(side: int, lesion_class: Labels, ordinal: int) -> Labels:
    """Return the number of a shell, or, with a side or class of 0, of a union of shells.

    Examples
    --------
    >>> shell_label(LEFT, PERIVENTRICULAR_LESIONS, 3), shell_label(BOTH, ALL_LESIONS, REST)
    (1103, 50)
    """
    return _SHELL_SIDE * side + _SHELL_CLASS * lesion_class + ordinal


def shell_side(labels: Labels) -> Labels:
    """Return the side of a shell.

    Examples
    --------
    >>> shell_side(1103), shell_side(3)
    (1, 0)
    """
    return labels // _SHELL_SIDE


def shell_class(labels: Labels) -> Labels:
    """Return the class of the lesions that a shell lies around.

    Examples
    --------
    >>> shell_class(1203) == DEEP_LESIONS, shell_class(1003) == ALL_LESIONS
    (True, True)
    """
    return labels % _SHELL_SIDE // _SHELL_CLASS


def shell_ordinal(labels: Labels) -> Labels:
    """Return which shell it is: 1 to 40 outward, 50 the rest, 51 to 90 inward; 0 where none is.

    Examples
    --------
    >>> import numpy as np
    >>> shell_ordinal(np.array([0, 1103, 2250, 1151], np.int16))
    array([ 0,  3, 50, 51], dtype=int16)
    """
    return labels % _SHELL_CLASS


def shell_leaves(label: int) -> tuple[int, ...]:
    """Return the numbers in the image that a shell or a union of shells holds.

    Examples
    --------
    >>> shell_leaves(3), shell_leaves(1103)
    ((1103, 1203, 2103, 2203), (1103,))
    """
    sides = (shell_side(label),) if shell_side(label) else (LEFT, RIGHT)
    classes = (shell_class(label),) if shell_class(label) else LESION_CLASSES[1:]
    ordinal = shell_ordinal(label)
    return tuple(shell_label(side, kind, ordinal) for side in sides for kind in classes)


def crossed(one: int, other: int) -> int:
    """Return the number of the row where a region of one label image meets one of another.

    Examples
    --------
    >>> crossed(12, 111)
    1200111
    """
    return _CROSSING * one + other
