"""Files of text that a user writes: options, filters, maps, descriptions, and tables of atlases.

What is taken has to be what the file says,
read here by plain rules: the value of every option and
every field of a map as it stands there, every region of an atlas by its number and name. What a
file says in another type than its field has (a table where a word is meant) has to be refused.
"""

from __future__ import annotations

import dataclasses
import json
import re
import tomllib
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from tests.fuzz.mutate import (
    NUMBER_WORDS,
    WORDS,
    Random,
    disturbed_bytes,
    disturbed_json,
    disturbed_text,
    pick,
)
from tests.fuzz.verdicts import AS_IT_SAYS, LEFT_OUT, OTHER_NUMBERS, REFUSED, SAME, Verdict
from tests.fuzz.world import Look, World, disturbed, heard, look_at
from wmhflow.cli.parser import parse_settings
from wmhflow.errors import InputError, UsageError
from wmhflow.files.atlases import load_atlas
from wmhflow.registries.maps import load_maps
from wmhflow.settings import NamedPath, is_flag, iter_options

CONFIG = """
[inputs]
participant-label = ["01"]
skip-bids-validation = true

[anatomy]
reference = "T1w"
tissue-guard = 2.5

[regions]
zones = ["pv10", "nearer"]
bullseye_layers = 3
cross = ["zones:lobes"]
shell-width = 2.0
shell-max = 10

[execution]
nprocs = 2
mem-gb = 7.5
random-seed = 5
stop-on-first-crash = false

[reporting]
verbose = 1
"""
MAPS = """
[[map]]
name = "Flow"
unit = "mL/100g/min"
valid_range = [0.0, 150.0]
query = { suffix = "cbf" }
transform_from = ["asl"]
companions = [{ suffix = "m0scan" }]
description = "Flow"

[[map]]
name = "NODDIisovf"
unit = "1"
valid_range = [0.0, 1.0]
query = { suffix = "dwimap", model = "noddi", param = "isovf" }
"""
FILTERS = {
    "t1w": {"suffix": "T1w", "acquisition": None},
    "flair": {"session": None},
    "wmh": {"label": ["WMH", "lesion"], "space": "T1w"},
    "parcellation": {"segmentation": "aparcaseg"},
    "map": {"suffix": ["cbf", "dwimap"]},
    "transform": {"extension": ".txt"},
}
ATLAS_TABLES = {
    ".tsv": "index\tname\tabbreviation\n1\tfrontal left\tFL\n2\tfrontal right\tFR\n3\tstem\tST\n",
    ".txt": "1|FL|frontal left\n2|FR|frontal right\n3|ST|stem\n",
    ".lut": "#No. Label R G B A\n0 Unknown 0 0 0 0\n1 Left-frontal 70 130 180 0\n"
    "2 Right-frontal 245 245 245 0\n3 Stem 205 62 78 0\n",
    ".xml": '<?xml version="1.0"?>\n<atlas version="1.0">\n<header>\n<name>A</name>\n'
    "<type>Label</type>\n</header>\n<data>\n"
    '<label index="1" x="1" y="2" z="3">frontal left</label>\n'
    '<label index="2" x="1" y="2" z="3">frontal right</label>\n'
    '<label index="3" x="1" y="2" z="3">stem</label>\n</data>\n</atlas>\n',
    ".label": '    0     0    0    0        0  0  0    "Clear Label"\n'
    '    1   255    0    0        1  1  0    "frontal left"\n'
    '    2     0  255    0        1  1  0    "frontal right"\n'
    '    3     0    0  255        1  1  0    "stem"\n',
}


def texts(world: World, rng: Random) -> Verdict:
    """Disturb one of the files of text."""
    return pick(rng, (config, config, maps, maps, filters, filters, descriptions, atlases,
    atlases,
                      bystanders, sidecars))(world, rng)  # fmt: skip


def _disturbed_toml(rng: Random, text: str) -> tuple[bytes, str]:
    """Put another TOML value into the place of one, or another key; or disturb lines or bytes."""
    if rng.random() < 0.2:
        return disturbed_bytes(rng, text.encode())
    lines = text.split("\n")
    at = pick(rng, [n for n, line in enumerate(lines) if line])
    key, equals, _ = lines[at].partition(" = ")
    values = (
        "true", "1", "-1", "0", "1.5", "nan", "inf", "1e400", "[]", "[[]]", "{}", "{ a = 1 }",
        '""', "1979-05-27", "1979-05-27T07:32:00Z", "[1, 2, 3]", '["a", 1]',
        "0x7fffffffffffffff", "1e-320", f"1{'0' * 5000}", "[" * 5000 + "]" * 5000,
        "[[1.0, 2.0]]", "[1.0]", "[2.0, 1.0]", "[nan, nan]", "[-inf, inf]", '["0", "1"]', '"""',
        "'''x'''", r'"\u0000"', r'"\ud800"', json.dumps(pick(rng, WORDS)),
        json.dumps(pick(rng, NUMBER_WORDS)),
    )  # fmt: skip
    how = pick(rng, ("value",) * 8 + ("key", "key", "drop", "repeat", "section"))
    if how == "value" and equals:
        lines[at] = f"{key} = {pick(rng, values)}"
    elif how == "key" and equals:
        new = pick(rng, (f"{key}s", key[:-1], key.upper(), '""', "name", "query", "verbose", "x"))
        lines[at] = lines[at].replace(key, new, 1)
    elif how == "drop":
        del lines[at]
    elif how == "repeat":
        lines.insert(at, lines[at])
    else:
        lines[at] = pick(
            rng, ("[map]", "[[maps]]", "[x]", "x = 1", "map = 1", "[inputs.x]", "[[regions]]")
        )
    what = lines[at][:60] if at < len(lines) else "the end"
    return "\n".join(lines).encode(), f"{how}: {what!r}"


def _toml(content: bytes) -> dict[str, Any] | None:
    try:
        return tomllib.loads(content.decode())
    except (ValueError, RecursionError):
        return None


def _is_plain(value: Any) -> bool:
    return isinstance(value, str | int | float) and not isinstance(value, bool)


def config(world: World, rng: Random) -> Verdict:
    """Disturb the file of options."""
    content, what = _disturbed_toml(rng, CONFIG)
    path, about = world.folder / "options.toml", f"options: {what}"
    path.write_bytes(content)
    words = [*world.words, "--config-file", str(path)]
    look = look_at(words)

    def taken() -> Verdict:
        file, settings = _toml(content), parse_settings(words)
        without = parse_settings(world.words)
        if file is None:
            return Verdict(OTHER_NUMBERS, "taken although it is no TOML", about)
        for group, entry, _ in iter_options():
            if entry.name in {"work_dir", "derivatives"}:
                continue
            has = getattr(getattr(settings, group), entry.name)
            written = {k.replace("-", "_"): v for k, v in file.get(group, {}).items()}
            if entry.name not in written:
                if has != getattr(getattr(without, group), entry.name):
                    return Verdict(OTHER_NUMBERS, f"{entry.name} is {has!r} unasked", about)
            elif not _says(has, written[entry.name], flag=is_flag(group, entry.name)):
                said = f"{entry.name} is {has!r} by {written[entry.name]!r}"
                return Verdict(OTHER_NUMBERS, said, about)
        return Verdict(AS_IT_SAYS, "", about)

    return look.stopped(about) or taken()


def _says(has: Any, written: Any, *, flag: bool) -> bool:
    """Whether an option's value is the one that is written."""
    if flag:
        return has is written
    if isinstance(has, tuple):
        listed = written if isinstance(written, list) else [written]
        return len(has) == len(listed) and all(
            _is_word(one, of) for one, of in zip(has, listed, strict=True)
        )
    if isinstance(written, list):
        return len(written) == 1 and _is_word(has, written[0])
    return _is_word(has, written)


def _is_word(has: Any, written: Any) -> bool:
    if not _is_plain(written):
        return False
    if isinstance(has, tuple):
        return ":".join(has) == written
    if isinstance(has, NamedPath):
        return f"{has.name}={has.path}" == written
    if isinstance(has, int | float):
        try:
            return float(has) == float(written)
        except (ValueError, OverflowError):
            return False
    text = str(written)
    return str(has) in {text, text.removeprefix("sub-"), text.removeprefix("ses-"),
                        str(Path(text)), str(Path(text).absolute())}  # fmt: skip


def maps(world: World, rng: Random) -> Verdict:
    """Disturb the file of maps."""
    content, what = _disturbed_toml(rng, MAPS)
    path, about = world.folder / "maps.toml", f"maps: {what}"
    path.write_bytes(content)
    look = look_at([*world.words, "--maps", str(path)])

    def taken() -> Verdict:
        file = _toml(content)
        if file is None:
            return Verdict(OTHER_NUMBERS, "taken although it is no TOML", about)
        if set(file) != {"map"} or not isinstance(file["map"], list):
            return Verdict(OTHER_NUMBERS, f"taken with {list(file)[:5]}", about)
        known = load_maps(path)
        for table in file["map"]:
            definition = known.get(table.get("name", "")) if isinstance(table, dict) else None
            if definition is None or not _is_map(definition, table):
                return Verdict(OTHER_NUMBERS, f"{definition} by {table}"[:600], about)
        return Verdict(AS_IT_SAYS, "", about)

    return look.stopped(about) or taken()


def _is_map(definition: Any, table: dict[str, Any]) -> bool:
    fields = {entry.name for entry in dataclasses.fields(definition)}
    if not set(table) <= fields:
        return False
    texts_right = all(
        isinstance(table.get(name, ""), str) and getattr(definition, name) == table.get(name, "")
        for name in ("name", "unit", "description")
    )
    numbers = table["valid_range"]
    ranges = all(_is_plain(one) and not isinstance(one, str) for one in numbers)
    words = table.get("transform_from", [])
    sources = isinstance(words, list) and all(isinstance(word, str) for word in words)
    queries = [table["query"], *table.get("companions", [])]
    return bool(
        texts_right
        and ranges
        and sources
        and list(definition.valid_range) == [float(one) for one in numbers]
        # TOML has no null
        and all(_is_query(query, absence=False) for query in queries)
    )


def _is_query(query: Any, *, absence: Any = None) -> bool:
    """Whether entities are words or whole numbers, or lists of such, or said to be absent."""
    if not isinstance(query, dict):
        return False
    for value in query.values():
        listed = value if isinstance(value, list) else [value]
        if not all(one is absence or (isinstance(one, str | int) and not isinstance(one, bool))
                   for one in listed):  # fmt: skip
            return False
    return True


def filters(world: World, rng: Random) -> Verdict:
    """Disturb the file of filters."""
    special = (
        "WMH",
        "T1w",
        ["T1w"],
        "aparcaseg",
        "sufix",
        "acq",
        "Suffix",
        "t1w",
        "map",
        ".nii.gz",
    )
    content, what = disturbed_json(rng, FILTERS, special)
    path, about = world.folder / "filters.json", f"filters: {what}"
    path.write_bytes(content)
    look = look_at([*world.words, "--bids-filter-file", str(path)])

    def taken() -> Verdict:
        try:
            file = json.loads(content)
        except (ValueError, RecursionError):
            return Verdict(OTHER_NUMBERS, "taken although it is no JSON", about)
        sound = isinstance(file, dict) and all(_is_query(part) for part in file.values())
        if not sound:
            return Verdict(OTHER_NUMBERS, f"taken with {str(file)[:300]}", about)
        unmeant = [name for part in file.values() for name in part if name in _UNMEANT]
        if unmeant:
            return Verdict(OTHER_NUMBERS, f"taken with the entity {unmeant[0]!r}", about)
        same = look.decided == world.sound.decided
        return Verdict(SAME if same else AS_IT_SAYS, "", about)

    return look.stopped(about) or taken()


# known entities that are written wrong, which would narrow in silence what is used to nothing
_UNMEANT = {"sufix", "acq", "Suffix"}


def descriptions(world: World, rng: Random) -> Verdict:
    """Disturb a dataset's description."""
    root = pick(rng, (world.coarse.raw, world.coarse.given))
    path = root / "dataset_description.json"
    content, what = disturbed_json(rng, json.loads(path.read_bytes()))
    about = f"{root.name}/{path.name}: {what}"
    with disturbed({path: content}):
        look = look_at(world.words)

    def taken() -> Verdict:
        if look.decided != world.sound.decided:
            return Verdict(OTHER_NUMBERS, "another plan", about)
        return Verdict(SAME, "", about)

    return look.stopped(about) or taken()


def bystanders(world: World, rng: Random) -> Verdict:
    """Put files that do not count, or count little, beside the images: any content is fine."""
    text = "participant_id\tage\tsex\nsub-01\t34\tF\nsub-02\t60\tM\n"
    sidecar = {
        "EchoTime": 0.1,
        "MagneticFieldStrength": 3,
        "SliceTiming": [0.0, 1.0],
        "Units": "mm",
    }
    places = {
        world.coarse.raw / "participants.tsv": disturbed_text(rng, text),
        world.coarse.raw / "participants.json": disturbed_json(rng, {"age": {"Units": "year"}}),
        world.images["T1w"].with_name("sub-01_T1w.json"): disturbed_json(rng, sidecar),
        world.images["parcellation"].with_name("sub-01_space-T1w_seg-aparcaseg_dseg.tsv"):
            disturbed_text(rng, "index\tname\n2\tLeft-White\n41\tRight-White\n1001\tctx\n"),
        world.coarse.raw / ".bidsignore": disturbed_text(rng, "*_bold.nii.gz\n"),
    }  # fmt: skip
    path = pick(rng, tuple(places))
    content, what = places[path]
    about = f"{path.name}: {what}"
    with disturbed({path: content}):
        look = look_at(world.words)

    def taken() -> Verdict:
        if look.decided != world.sound.decided:
            return Verdict(OTHER_NUMBERS, "another plan", about)
        return Verdict(SAME, "", about)

    return look.stopped(about) or taken()


# what means that FA is a fraction, which it is anyway; nothing is as good
_NO_UNIT = ("", "1", "unitless", "dimensionless", "fraction", "arbitrary", "a.u.", "n/a")


def sidecars(world: World, rng: Random) -> Verdict:
    """Disturb what a map's JSON file says: another unit costs the map, nothing else counts."""
    unit = pick(rng, ("1", "dimensionless", "arbitrary", "n/a", "mm", "mm2/s", "%", "per cent"))
    sidecar = {"EchoTime": 0.1, "SliceTiming": [0.0, 1.0], "Units": unit}
    path = world.images["FA"].with_name("sub-01_model-tensor_param-fa_dwimap.json")
    content, what = disturbed_json(rng, sidecar)
    about = f"{path.name}: {what}"
    with disturbed({path: content}):
        look = look_at(world.words)

    def taken() -> Verdict:
        states = {state for name, state, _ in look.decided if name == "FA"}
        says = _units_of(content)
        left_out = "unusable" in states or ("refused" in states and "found" not in states)
        if left_out and says not in _NO_UNIT:
            return Verdict(LEFT_OUT, "", about)
        same = _without_notes(look) == _without_notes(world.sound)
        if same and (says is None or says in _NO_UNIT):
            return Verdict(SAME, "", about)
        return Verdict(OTHER_NUMBERS, f"FA in {says!r} is {sorted(states)}", about)

    return look.stopped(about) or taken()


def _units_of(content: bytes) -> Any:
    """Read ``Units``; None where the file says nothing."""
    try:
        read = json.loads(content.decode())
    except (ValueError, RecursionError):
        return None
    said = read.get("Units") if isinstance(read, dict) else None
    return said.strip() if isinstance(said, str) else said


def _without_notes(look: Look) -> list[tuple[str, str, str]]:
    return [line for line in look.decided if line[1] != "note"]


def atlases(world: World, rng: Random) -> Verdict:
    """Disturb an atlas's table, of any of the formats."""
    folder = world.folder / "atlas"
    folder.mkdir(exist_ok=True)
    image = folder / "mine.nii.gz"
    if not image.is_file():
        affine = np.array([[-4.0, 0, 0, 98], [0, 4, 0, -134], [0, 0, 4, -72], [0, 0, 0, 1]])
        data = np.zeros((50, 59, 48), np.uint8)
        data[26:], data[:24], data[24:26] = 1, 2, 3
        nib.save(nib.Nifti1Image(data, affine), image)
    ending = pick(rng, tuple(ATLAS_TABLES))
    text = ATLAS_TABLES[ending]
    content, what = disturbed_text(rng, text)
    table, about = folder / f"mine{ending}", f"atlas {ending}: {what}"
    table.write_bytes(content)
    look, regions = Look(), {}
    try:
        with heard(look):
            try:
                found = load_atlas(f"mine={image}").regions
                regions = {index: (one.name, one.hemisphere) for index, one in found.items()}
            except (InputError, UsageError) as error:
                return Verdict(REFUSED, f"{error}", about)
    finally:
        table.unlink()
    failed = look.fault()
    if failed:
        return Verdict(failed.outcome, failed.detail, about)
    return _judge_regions(text, content, ending, regions, about)


def _judge_regions(
    text: str, content: bytes, ending: str, regions: dict[int, tuple[str, str]], about: str
) -> Verdict:
    """Compare names by number with those that stand in the table; sides follow from the names."""
    says = _table_names(ending, content)
    names = {index: name for index, (name, _) in regions.items()}
    before = {i: n for i, n in _table_names(ending, text.encode()).items() if i > 0}
    if names == before:
        return Verdict(SAME, "", about)
    if names and all(says.get(index) == name for index, name in names.items()):
        return Verdict(AS_IT_SAYS, "", about)
    return Verdict(OTHER_NUMBERS, f"{regions} by {says}", about)


def _table_names(ending: str, content: bytes) -> dict[int, str]:
    """Read numbers and names from a table by a plain rule for its format."""
    patterns = {
        ".txt": r"(?P<i>[^|]*)\|(?:[^|]*\|(?=[^|]))?(?P<n>[^|]*)(?:\|.*)?",
        ".lut": r"\s*(?P<i>\d+)\s+(?P<n>.*?)\s+-?\d+\s+-?\d+\s+-?\d+\s+-?\d+.*",
        ".xml": r'<label[^>]*index="(?P<i>[^"]*)"[^>]*>(?P<n>[^<]*)</label>',
        ".label": r'\s*(?P<i>\d+)(?:\s+\S+){6}\s+"(?P<n>.*)"\s*',
    }
    for encoding in ("utf-8-sig", "cp1252"):
        try:
            lines = content.decode(encoding).replace("\r\n", "\n").replace("\r", "\n").split("\n")
            break
        except UnicodeDecodeError:
            continue
    else:
        return {}
    found: dict[int, str] = {}
    columns: list[str] = []
    for line in lines:
        if ending == ".tsv":
            cells = [cell.strip() for cell in line.split("\t")]
            columns = columns or [cell.lower() for cell in cells]
            row = dict(zip(columns, cells, strict=False))
            number, name = row.get("index", ""), row.get("name", "")
            if len(name) > 1 and name[0] == name[-1] == '"':
                name = name[1:-1].replace('""', '"')
        else:
            match = re.fullmatch(patterns[ending], line)
            number, name = (match["i"], match["n"]) if match else ("", "")
        if re.fullmatch(r"\s*\d+\s*", number):
            found[int(number)] = " ".join(name.split())
    return found
