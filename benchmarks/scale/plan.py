"""How long it takes to plan N people of 40 files each: ``python -m benchmarks.scale.plan N``.

The files have the headers of real ones and no content to speak of (zeros, compressed), and each
kind of file is one file that every person's folder links to, so that ten thousand people fit on a
disk. Planning looks into every person's own folders, and opens every person's own names.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import h5py
import nibabel as nib
import numpy as np

ANATOMY = ((256, 256, 256), 1.0)
DIFFUSION = ((128, 128, 72), 1.75)
PERFUSION = ((96, 96, 40), 2.5)
GRADIENT_ECHO = ((256, 256, 160), 0.9)
DATASETS = ("raw", "lesions", "parcellation", "maps")
SCALARS = ("fa", "md", "ad", "rd", "mk")
LINEAR = (
    "#Insight Transform File V1.0\n#Transform 0\nTransform: Euler3DTransform_double_3_3\n"
    "Parameters: 0.1 0 0 1 2 3\nFixedParameters: 0 0 0\n"
)
UNITS = {
    **{f"_model-tensor_param-{scalar}_dwimap": "mm^2/s" for scalar in ("md", "ad", "rd")},
    **{f"_model-tensor_param-{scalar}_dwimap": "1" for scalar in ("fa", "mk")},
    "_model-fwdti_param-fwf_dwimap": "1",
    "_cbf": "mL/100g/min",
    "_att": "s",
    "_Chimap": "ppm",
    "_R2starmap": "1/s",
    "_space-T1w_T1map": "s",
}
N_FILES = 40
SPACE = "MNI152NLin2009aSym"
MOST_S, MOST_S_OF_ONE, MOST_GB = 60.0, 2.0, 1.0


def main() -> int:
    """Make the people, plan them, and say what it took."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("people", type=int, nargs="?", default=10_000)
    parser.add_argument("--folder", type=Path, help="where the people are made, and kept")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.measure:
        print(json.dumps(measure(chosen.measure)))
        return 0
    with tempfile.TemporaryDirectory() as temporary:
        folder = chosen.folder or Path(temporary)
        if not (folder / "raw").is_dir():
            make_people(folder, chosen.people)
        return report(folder, chosen.people)


def report(folder: Path, n_people: int) -> int:
    """Measure in processes of their own, and print a table."""
    alone = [*arguments(folder), "--participant-label", name(n_people // 2), "--dry-run"]
    started = time.monotonic()
    subprocess.run([sys.executable, "-m", "wmhflow", *alone], capture_output=True, check=True)
    whole_s = time.monotonic() - started
    command = [sys.executable, "-m", "benchmarks.scale.plan", "--measure", str(folder)]
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
    found = json.loads(done.stdout)
    rows = [
        (f"one person of {n_people}, the program from start to end (s)", whole_s, MOST_S_OF_ONE),
        (f"the first plan of {n_people} (s)", found["first_s"], MOST_S_OF_ONE),
        (f"all {n_people} plans (s)", found["all_s"], MOST_S),
        ("peak memory (GB)", found["peak_gb"], MOST_GB),
    ]
    print(f"| {n_people} people, {N_FILES} files each | measured | asked | |")
    print("| --- | ---: | ---: | --- |")
    for what, value, most in rows:
        print(f"| {what} | {value:.2f} | {most:g} | {'ok' if value <= most else '**missed**'} |")
    used = f"{found['cpu_s']:.0f} s of one processor"
    print(f"\n{found['n_maps']} maps, {found['n_problems']} problems, {used}.")
    print("Memory: this process, and the largest of those that plan as often as there are some.")
    return int(any(value > most for _, value, most in rows) or found["n_problems"] > 0)


def measure(folder: Path) -> dict[str, float]:
    """Plan everybody, in as many processes as the program uses."""
    from wmhflow.cli.parser import parse_settings
    from wmhflow.cli.planners import MOST
    from wmhflow.cli.resources import find_resources
    from wmhflow.cli.run import make_plans

    settings = parse_settings(arguments(folder))
    started = time.monotonic()
    first_s, n_maps, n_problems = 0.0, 0, 0
    for plan in make_plans(settings):
        first_s = first_s or time.monotonic() - started
        n_maps += sum(len(visit.maps) for visit in plan.visits)
        n_problems += sum(visit.problem is not None for visit in plan.visits)
    all_s = time.monotonic() - started
    own, others = (
        resource.getrusage(of) for of in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    number = min(find_resources(settings.execution).nprocs, MOST) if others.ru_utime else 0
    return {
        "first_s": first_s,
        "all_s": all_s,
        "cpu_s": sum(one.ru_utime + one.ru_stime for one in (own, others)),
        "peak_gb": (own.ru_maxrss + number * others.ru_maxrss) / 1024**2,
        "n_maps": n_maps,
        "n_problems": n_problems,
    }


def arguments(folder: Path) -> list[str]:
    """Return the words that process everybody."""
    given = [f"{dataset}={folder / dataset}" for dataset in DATASETS[1:]]
    return [str(folder / "raw"), str(folder / "out"), "participant", "-d", *given]


def name(number: int) -> str:
    """Return a person's label."""
    return f"{number:05d}"


def make_people(folder: Path, n_people: int) -> None:
    """Make the datasets; every person's files are links to the same few."""
    files = templates(folder / "templates")
    for dataset in DATASETS:
        (folder / dataset).mkdir()
        about = {"Name": dataset, "BIDSVersion": "1.10.0"}
        (folder / dataset / "dataset_description.json").write_text(json.dumps(about))
    for person in map(name, range(n_people)):
        for dataset, datatype in sorted({where for where, _ in files}):
            (folder / dataset / f"sub-{person}" / datatype).mkdir(parents=True)
        for ((dataset, datatype), ending), path in files.items():
            os.link(path, folder / dataset / f"sub-{person}" / datatype / f"sub-{person}{ending}")


def templates(folder: Path) -> dict[tuple[tuple[str, str], str], Path]:
    """Make one file of each kind, by dataset, datatype and the end of its name."""
    anat, perf, dwi = "anat", "perf", "dwi"
    images = {
        (("raw", anat), "_T1w"): ANATOMY,
        (("raw", anat), "_FLAIR"): ((256, 256, 176), 1.0),
        (("raw", perf), "_m0scan"): PERFUSION,
        (("lesions", anat), "_space-FLAIR_label-WMH_mask"): ((256, 256, 176), 1.0),
        (("parcellation", anat), "_space-T1w_desc-aparcaseg_dseg"): ANATOMY,
        (("maps", dwi), "_dwiref"): DIFFUSION,
        **{
            (("maps", dwi), f"_model-tensor_param-{scalar}_dwimap"): DIFFUSION for scalar in SCALARS
        },
        (("maps", dwi), "_model-fwdti_param-fwf_dwimap"): DIFFUSION,
        (("maps", perf), "_cbf"): PERFUSION,
        (("maps", perf), "_att"): PERFUSION,
        (("maps", anat), "_Chimap"): GRADIENT_ECHO,
        (("maps", anat), "_R2starmap"): GRADIENT_ECHO,
        (("maps", anat), "_space-T1w_T1map"): ANATOMY,
    }
    texts = {
        (("maps", dwi), "_from-dwi_to-T1w_mode-image_xfm.txt"): LINEAR,
        (("maps", perf), "_from-asl_to-T1w_mode-image_xfm.txt"): LINEAR,
        (("maps", anat), "_from-megre_to-T1w_mode-image_xfm.txt"): LINEAR,
        (("maps", anat), "_from-FLAIR_to-T1w_mode-image_xfm.txt"): LINEAR,
    }
    # a map whose JSON file does not say its unit would be read to its end
    texts |= {
        (where, f"{ending}.json"): json.dumps({"Units": UNITS[ending]} if ending in UNITS else {})
        for where, ending in list(images)
    }
    fields = [(("maps", anat), f"_from-{a}_to-{b}_mode-image_xfm.h5") for a, b in _both_ways()]
    folder.mkdir(parents=True)
    files = {}
    for number, ((where, ending), (shape, size)) in enumerate(images.items()):
        files[where, f"{ending}.nii.gz"] = _image(folder / f"{number}.nii.gz", shape, size)
    for number, (key, text) in enumerate(texts.items()):
        files[key] = folder / f"{number}.txt"
        files[key].write_text(text)
    for number, key in enumerate(fields):
        files[key] = _composite(folder / f"{number}.h5")
    if len(files) != N_FILES:
        raise SystemExit(f"{len(files)} files a person are not {N_FILES}")
    return files


def _both_ways() -> tuple[tuple[str, str], tuple[str, str]]:
    return ("T1w", SPACE), (SPACE, "T1w")


def _image(path: Path, shape: tuple[int, int, int], size: float) -> Path:
    affine = np.diag([size, size, size, 1.0])
    affine[:3, 3] = -size * np.array(shape) / 2
    image = nib.Nifti1Image(np.zeros(shape, np.int16), affine)
    image.set_sform(affine, code=1)
    image.set_qform(affine, code=1)
    path.write_bytes(gzip.compress(image.to_bytes(), compresslevel=1))
    return path


def _composite(path: Path) -> Path:
    """Write an affine and a field as ITK does, the field as large as one of 4 mm."""
    with h5py.File(path, "w") as file:
        group = file.create_group("TransformGroup")
        kinds = ("CompositeTransform", "AffineTransform", "DisplacementFieldTransform")
        for number, kind in enumerate(kinds):
            entry = group.create_group(str(number))
            entry["TransformType"] = np.array([f"{kind}_double_3_3".encode()])
        group["1/TransformParameters"] = np.array([*np.eye(3).ravel(), 0, 0, 0])
        group["1/TransformFixedParameters"] = np.zeros(3)
        group["2/TransformParameters"] = np.zeros(50 * 60 * 50 * 3)
    return path


if __name__ == "__main__":
    sys.exit(main())
