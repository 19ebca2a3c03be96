"""Check what the demo wrote against what was planted: ``python tests/check_demo.py OUTPUT_DIR``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VISITS = {"sub-01_ses-1": "sub-01/ses-1", "sub-01_ses-2": "sub-01/ses-2", "sub-02": "sub-02"}


def read(path: Path) -> list[dict[str, str]]:
    """Read a table."""
    header, *lines = path.read_text(encoding="utf-8").splitlines()
    return [dict(zip(header.split("\t"), line.split("\t"), strict=True)) for line in lines]


def complaints(out: Path) -> Iterator[str]:
    """Go through everything that is not as it should be."""
    truth = json.loads((ROOT / "bids_examples" / "phantom_truth.json").read_text(encoding="utf-8"))
    wanted = ["dataset_description.json", "seg-zones_dseg.tsv", "logs/CITATION.md", "sub-02.html"]
    wanted += ["sub-01.html", "group/desc-maps_regions.parquet", "phenotype/wmhflow_volumes.tsv"]
    yield from (f"{name} is missing" for name in wanted if not (out / name).is_file())
    for visit, folder in VISITS.items():
        anat = out / folder / "anat"
        tables = list(anat.glob("*_desc-volumes_regions.tsv"))
        if len(tables) != 1:
            yield f"{visit}: {len(tables)} tables of volumes"
            continue
        yield from _check_volumes(visit, read(tables[0]), truth["visits"][visit])
        (profiles,) = anat.glob("*_desc-maps_profiles.tsv")
        yield from _check_profiles(visit, read(profiles))
        if visit != "sub-02":
            yield from _check_others(visit, folder, out)


def _check_volumes(visit: str, rows: list[dict[str, str]], truth: dict) -> Iterator[str]:
    found = {
        row["hemisphere"]: float(row["volume_mm3"])
        for row in rows
        if row["seg"] == "tissue" and row["name"].endswith("white matter hyperintensity")
    }
    planted = truth["wmh_volume_mm3"]
    # the second person's mask is computed: the right size and the right side, not the last voxel
    tolerance = 0.3 if visit == "sub-02" else 0.01
    for side in ("B", "L", "R"):
        if abs(found[side] - planted[side]) > tolerance * planted[side]:
            yield f"{visit}: WMH {side} is {found[side]:g} mm3, planted were {planted[side]:g}"


def _check_profiles(visit: str, rows: list[dict[str, str]]) -> Iterator[str]:
    means = {
        name: {
            row["shell"]: float(row["mean"])
            for row in rows
            if (row["map"], row["lesion_class"]) == (name, "all") and row["shell"] != "rest"
        }
        for name in ("FA", "MD", "CBF", "Chimap")
    }
    outer = {name: [shells[str(i)] for i in range(1, 8)] for name, shells in means.items()}
    if outer["FA"].index(max(outer["FA"])) not in (1, 2):
        yield f"{visit}: FA peaks in shell {outer['FA'].index(max(outer['FA'])) + 1}"
    if outer["Chimap"].index(min(outer["Chimap"])) != 0:
        yield f"{visit}: susceptibility is not lowest in the first shell"
    if not outer["MD"][0] > outer["MD"][1] > outer["MD"][2]:
        yield f"{visit}: MD does not fall away from the lesion"
    if not outer["CBF"][0] < outer["CBF"][2] < outer["CBF"][4]:
        yield f"{visit}: CBF does not rise away from the lesion"


def _check_others(visit: str, folder: str, out: Path) -> Iterator[str]:
    """See that the acute lesion and the voxel of spectroscopy are found and drawn."""
    given = ROOT / "bids_examples" / "phantom" / "derivatives" / "others"
    truth = json.loads((given / folder / f"{visit}_truth.json").read_text(encoding="utf-8"))
    rows = read(out / folder / "anat" / f"{visit}_desc-acute_lesions.tsv")
    volume = sum(float(row["volume_mm3"]) for row in rows)
    if abs(volume - truth["acute_volume_mm3"]) > 1:
        yield f"{visit}: the acute lesion has {volume:g} mm3, not {truth['acute_volume_mm3']:g}"
    for row in read(out / folder / "anat" / f"{visit}_desc-mrs_metabolites.tsv"):
        for column in ("wmh_share", "white_share"):
            if abs(float(row[column]) - truth[f"voxel_{column}"]) > 0.01:
                yield f"{visit}: {column} of the voxel is {row[column]}"
    figures = out / folder.split("/", maxsplit=1)[0] / "figures"
    for name in ("acute", "spectra"):
        if not (figures / f"{visit}_desc-{name}_T1w.png").is_file():
            yield f"{visit}: there is no picture of {name}"


def main() -> int:
    """Print what is wrong; 1 if anything is."""
    found = list(complaints(Path(sys.argv[1])))
    for line in found:
        print(line, file=sys.stderr)
    if not found:
        print("The demo's results are what was planted, but for the misses named above, if any.")
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
