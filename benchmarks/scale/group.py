"""Time and peak memory of the group level over made visits: ``python -m benchmarks.scale.group N``.

Every visit has tables of its own (files, no links): each line is drawn from 64 made tables, so
that no two visits are alike. They lie in a temporary folder (TMPDIR says where) and need about
1.5 MB a visit, the study's tables included; they were written just before, so that the operating
system may still hold some of them in memory.
"""

from __future__ import annotations

import json
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import numpy as np

from wmhflow.bids.writer import Column, format_value
from wmhflow.group.phenotype import SEGMENTATIONS
from wmhflow.group.study import Visit
from wmhflow.labels.regions import load_regions
from wmhflow.products.columns import names
from wmhflow.products.tables import TABLES

MAPS = {"FA": "1", "MD": "mm^2/s", "CBF": "mL/100 g/min", "Chi": "ppm"}
CLASSES = ("all", "PV", "deep")
N_REGIONS, N_WEIGHTED, N_PAIRS, N_LESIONS, N_METRICS, N_BINS = 250, 126, 140, 30, 86, 40
N_OF_VOXEL, N_METABOLITES = 20, 17
N_VARIANTS = 64  # in a row group of Parquet most numbers differ then, as they do in people
MISSING = 0.2  # of the numbers; about the share on the example dataset
GB_PER_KB = 1024 / 1e9


def main() -> int:
    """Make the visits, run the group level over them, and print what it took."""
    n_visits = int(sys.argv[1])
    with tempfile.TemporaryDirectory() as temporary:
        raw, out = Path(temporary) / "raw", Path(temporary) / "out"
        make_study(raw, out, n_visits)
        free = shutil.disk_usage(temporary).free / 1e9
        print(f"{n_visits} visits made, {free:.0f} GB of disk left", flush=True)
        started = time.monotonic()
        command = [sys.executable, "-m", "wmhflow", str(raw), str(out), "group"]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        seconds = time.monotonic() - started
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        sizes = {path.suffix: 0.0 for path in (out / "group").iterdir()}
        for path in (out / "group").iterdir():
            sizes[path.suffix] += path.stat().st_size / 1e9
        rows = {kind: n_visits * len(list(keys_of(kind))) for kind in TABLES}
        print("| visits | rows of maps | rows of all tables | s | of processor | peak memory (GB) |"
              " TSV (GB) | Parquet (GB) |\n" + "| ---: " * 8 + "|")  # fmt: skip
        print(f"| {n_visits} | {rows['maps']} | {sum(rows.values())} | {seconds:.0f} | "
              f"{used.ru_utime + used.ru_stime:.0f} | {used.ru_maxrss * GB_PER_KB:.2f} | "
              f"{sizes['.tsv']:.2f} | {sizes['.parquet']:.2f} |")  # fmt: skip
    return 0


def make_study(raw: Path, out: Path, n_visits: int) -> None:
    """Write the folders of a dataset, and the records and tables of as many finished visits."""
    raw.mkdir()
    description = json.dumps({"Name": "made", "BIDSVersion": "1.11.0"})
    (raw / "dataset_description.json").write_text(description)
    rng = np.random.default_rng(1)
    variants = {
        kind: [made_lines(kind, columns, rng) for _ in range(N_VARIANTS)]
        for kind, columns in ((kind, one.columns) for kind, one in TABLES.items())
    }
    inputs = {f"bids:maps:a_file_of_the_visit_number_{i}.nii.gz": "0" * 64 for i in range(40)}
    made_with = {"zones": ["jv3-pv13-jc4"], "atlas_threshold": 0.5}
    record = json.dumps({"inputs": inputs, "settings": made_with}, indent=2)
    for number in range(n_visits):
        visit = Visit(out, f"sub-{number:05d}", "n/a")
        (raw / visit.participant_id).mkdir()
        visit.folder.mkdir(parents=True)
        visit.record.parent.mkdir(parents=True)
        visit.record.write_text(record)
        for kind, columns in ((kind, one.columns) for kind, one in TABLES.items()):
            lines = variants[kind]
            drawn = rng.integers(N_VARIANTS, size=len(lines[0])).tolist()
            chosen = [lines[variant][place] for place, variant in enumerate(drawn)]
            visit.table(kind).write_text("\n".join(["\t".join(names(columns)), *chosen, ""]))


def made_lines(kind: str, columns: tuple[Column, ...], rng: np.random.Generator) -> list[str]:
    """Make the lines of one table: every row that a visit has, with random numbers."""
    lines = []
    for keys in keys_of(kind):
        cells = [keys.get(column.name) or _made_cell(column, rng) for column in columns]
        lines.append("\t".join(cells))
    return lines


def _made_cell(column: Column, rng: np.random.Generator) -> str:
    if column.kind == "text":
        return "n/a"
    if column.kind == "whole":
        return str(rng.integers(20000))
    return "n/a" if rng.random() < MISSING else format_value(float(rng.lognormal(0, 3)))


def keys_of(kind: str) -> Iterator[dict[str, str]]:
    """Go through the rows that a visit has in one kind of table: what they are about."""
    made = {
        "lesions": (
            {"index": str(i + 1), "majority": "PV", "infratentorial": "0"} for i in range(N_LESIONS)
        ),
        "volumes": regions(N_REGIONS),
        "weighted": regions(N_WEIGHTED),
        "load": (
            {"axis": axis, "hemisphere": side}
            for axis, side, _ in product(("depth", "ventricles", "cortex"), "LRB", range(34))
        ),
        "asymmetry": (
            region | {"measure": measure, "unit": unit}
            for region, (measure, unit) in product(
                regions(N_PAIRS), [("wmh_fraction", "1"), *MAPS.items()]
            )
        ),
        "maps": (
            region | {"tissue": tissue, "map": name, "unit": unit}
            for name, unit in MAPS.items()
            for region in regions(N_REGIONS)
            for tissue in ("all", "WMH", "NAWM")
        ),
        "contrasts": (
            region | {"tissue": tissue, "map": name, "unit": unit}
            for name, unit in MAPS.items()
            for region in regions(N_REGIONS)
            for tissue in ("all", "WMH", "NAWM")
        ),
        "lesionmaps": (
            {"index": str(i + 1), "map": name, "unit": unit}
            for name, unit in MAPS.items()
            for i in range(N_LESIONS)
        ),
        "profiles": (
            {"map": name, "lesion_class": lesion_class, "shell": str(shell)}
            for name, lesion_class, shell in product(MAPS, CLASSES, range(-4, 8))
        ),
        "penumbra": (
            {"map": name, "lesion_class": lesion_class, "model": "hinge"}
            for name, lesion_class in product(MAPS, CLASSES)
        ),
        "acute": (
            {"index": str(i), "is_remote": "true", "is_remote_from_oedema": "false"}
            for i in range(1, 4)
        ),
        "perivascular": (
            {"index": str(i), "lesion_class": "deep", "is_adjacent": "false"} for i in range(1, 31)
        ),
        "adjacency": ({"lesion_class": lesion_class} for lesion_class in CLASSES),
        "curves": (
            {"map": name, "lesion_class": lesion_class}
            for name, lesion_class, _ in product(MAPS, CLASSES, range(N_BINS))
        ),
        "alps": ({"hemisphere": side} for side in "LRB"),
        "mrs": (region | {"voxel": "svs"} for region in regions(N_OF_VOXEL)),
        "metabolites": (
            {"voxel": "svs", "metabolite": f"metabolite_{i}"} for i in range(N_METABOLITES)
        ),
        "qc": ({"metric": f"metric_{i}", "verdict": "ok"} for i in range(N_METRICS)),
    }
    return made[kind]


def regions(count: int) -> Iterator[dict[str, str]]:
    """Go through as many regions: the program's own, then those of an atlas."""
    own = [region for seg in SEGMENTATIONS for region in load_regions(seg).values()]
    for number in range(count):
        if number < len(own):
            region = own[number]
            seg, index, name = region.seg, region.index, region.name
        else:
            seg, index, name = "atlas", number, f"a region of an atlas, number {number}"
        yield {"seg": seg, "index": str(index), "name": name, "hemisphere": "LRB"[number % 3]}


if __name__ == "__main__":
    sys.exit(main())
