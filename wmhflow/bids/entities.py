"""The entities of a file's name, by the long names that pybids gives them (filter files use them).

pybids walks a dataset, writes a data base of it and asks that for every person; the names of the
person's files say the same in a hundredth of the time.
"""

from __future__ import annotations

import re
from difflib import get_close_matches
from functools import lru_cache

# Where the long name is another than the one in file names. What pybids does not know, such as
# 'param', which tells FA from MD in a dwimap, keeps its own.
LONG_NAMES = {
    "sub": "subject",
    "ses": "session",
    "acq": "acquisition",
    "nuc": "nucleus",
    "voi": "volume",
    "ce": "ceagent",
    "stain": "staining",
    "trc": "tracer",
    "rec": "reconstruction",
    "dir": "direction",
    "mod": "modality",
    "seg": "segmentation",
}
# Any other value of these is none of theirs.
_VALUES = {
    "run": re.compile(r"\d+"),
    "echo": re.compile(r"[0-9]+"),
    "flip": re.compile(r"[0-9]+"),
    "inv": re.compile(r"[0-9]+"),
    "chunk": re.compile(r"[0-9]+"),
    "mt": re.compile(r"on|off"),
    "part": re.compile(r"imag|mag|phase|real"),
    "hemi": re.compile(r"L|R"),
}
# The two ends of a transform; they mean nothing in another file's name.
_OF_TRANSFORMS = ("from", "to", "mode")
# What filters can name; entities of one's own, such as a rater, may be named as well.
KNOWN = frozenset(
    (
        *LONG_NAMES.values(), *_VALUES, *_OF_TRANSFORMS, "suffix", "extension", "datatype",
        "space", "desc", "label", "res", "den", "atlas", "model", "param", "scale", "task",
        "meas", "recording", "tracksys", "split", "processing", "sample",
    )
)  # fmt: skip
_PERSON = re.compile(r"sub-[a-zA-Z0-9+]+(?=_)")
_PAIR = re.compile(r"(?:^|_)([a-zA-Z]+)-([a-zA-Z0-9+]+)")
_SUFFIX = re.compile(r"(?:^|_)([a-zA-Z0-9+]+)\.")
_EXTENSION = re.compile(r"[^.](\..+)$")
DATATYPES = frozenset(
    (
        *("anat", "beh", "dwi", "eeg", "fmap", "func", "ieeg", "meg", "micr"),
        *("motion", "mrs", "nirs", "perf", "pet"),
    )
)


def entities_of(name: str, folders: tuple[str, ...] = ()) -> dict[str, str | int]:
    """Read the entities from a file's name, and the datatype from its folders.

    Parameters
    ----------
    name
        The file's name.
    folders
        The names of the folders that it lies in, from the dataset's root.

    Returns
    -------
    dict
        Values by long name; ``run`` is a number. Of an entity that stands there twice the first
        counts.

    Examples
    --------
    >>> entities_of("sub-01_acq-a_run-02_T1w.nii.gz", ("sub-01", "anat"))["run"]
    2
    >>> entities_of("sub-01_from-dwi_to-T1w_mode-image_xfm.txt")["to"]
    'T1w'
    """
    person = _PERSON.match(name)
    # people's files are called alike, and what follows the label is read of one person alone
    start, rest = (person[0], name[person.end() :]) if person else ("", name)
    found: dict[str, str | int] = {"subject": start[4:]} if start else {}
    found |= {key: value for key, value in _read(rest, "xfm" in name) if key not in found}
    datatype = next((folder for folder in folders if folder in DATATYPES), None)
    if datatype:
        found["datatype"] = datatype
    return found


@lru_cache(maxsize=4096)
def _read(name: str, is_transform: bool) -> tuple[tuple[str, str | int], ...]:
    """Read the entities from a name, or from what follows the person in it."""
    found: dict[str, str | int] = {}
    for short, written in _PAIR.findall(name):
        value = _value(short, written, is_transform=is_transform)
        if value is not None:
            found.setdefault(LONG_NAMES.get(short, short), value)
    for entity, pattern in (("suffix", _SUFFIX), ("extension", _EXTENSION)):
        match = pattern.search(name)
        if match:
            found[entity] = match[1]
    return tuple(found.items())


def meant_entity(name: str) -> str:
    """Return the entity that a name seems to mean: itself, or a known one that it nearly is.

    Parameters
    ----------
    name
        As in a filter file.

    Examples
    --------
    >>> [meant_entity(name) for name in ("acquisition", "acq", "Suffix", "sufix", "rater")]
    ['acquisition', 'acquisition', 'suffix', 'suffix', 'rater']
    """
    if name in KNOWN:
        return name
    if name.lower() in LONG_NAMES or name.lower() in KNOWN:
        return LONG_NAMES.get(name.lower(), name.lower())
    # of six letters one may be wrong
    near = get_close_matches(name.lower(), sorted(KNOWN), 1, cutoff=0.9)
    return near[0] if near else name


def _value(short: str, written: str, *, is_transform: bool) -> str | int | None:
    if short in _OF_TRANSFORMS:
        return written if is_transform else None
    if short not in _VALUES:
        return written
    match = _VALUES[short].match(written)
    if match is None:
        return None
    return int(match[0]) if short == "run" else match[0]
