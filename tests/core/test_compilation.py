"""What is compiled, where it is kept, and what is imported: each in a process of its own."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from wmhflow.core.arrays.threads import thread_count

PACKAGE = Path(__file__).resolve().parents[2] / "wmhflow"
STRANGER = 12345
# What a process may not inherit: folders for caches, settings of threads, and the way to coverage.
OWN = ("NUMBA", "OMP_", "XDG_", "HOME", "TMPDIR", "PYTHON")
COUNTER = """
import json
from numba.core import event

class Counter(event.Listener):
    def __init__(self):
        self.names = []

    def on_start(self, event):
        self.names.append(f"{event.data['dispatcher'].__name__}{event.data['args']}")

    def on_end(self, event):
        pass

compiled = Counter()
event.register("numba:compile", compiled)
"""
# Every call that the steps of the program make, on images as they come from files of any type.
CALLS = """
import itertools
import numpy as np
from wmhflow.core.align.quality import alignment_quality
from wmhflow.core.align.search import refine_rigid, search_rigid
from wmhflow.core.align.similarity import compare
from wmhflow.core.contrasts.decay import fit_decay
from wmhflow.core.susceptibility.unwrapping import unwrap_phase
from wmhflow.core.space.grids import Grid3D
from wmhflow.core.regions.bullseye import bullseye_labels, depth
from wmhflow.core.regions.lobes import propagate_lobes
from wmhflow.core.arrays.distance import distance_to, nearest, signed_distance
from wmhflow.core.regions.lesions import label_lesions, lesion_measures
from wmhflow.core.regions.nawm import normal_appearing_white_matter
from wmhflow.core.tissue.parcellation import complete_hemispheres
from wmhflow.core.measure.regional import sample_regions
from wmhflow.core.regions.partition import Row, partition
from wmhflow.core.measure.coverage import coverage_weights
from wmhflow.core.measure.statistics import region_statistics
from wmhflow.core.regions.shells import shell_labels
from wmhflow.core.regions.zones import lesion_continuity, lesion_majority, zone_labels
from wmhflow.labels.schemes import zone_schemes

shape, rng = (9, 10, 11), np.random.default_rng(0)
lobe = rng.integers(1, 6, shape) * (rng.random(shape) < 0.2)
spacing = SPACING
affine = np.diag([*spacing, 1.0])
for order, kind in itertools.product("CF", (np.uint8, np.int16, np.float32, np.float64, ">i2")):
    image = np.require(lobe, kind, order)
    grids = [Grid3D(np.asarray(image, np.float32) / 5, affine) for _ in range(2)]
    compare(*grids).score(np.asfortranarray(affine))
    alignment_quality(*grids, np.eye(4), 1)
    refine_rigid(compare(*grids, seed=1), affine.T, np.zeros(3))
    search_rigid(*grids, np.ones(shape, bool), [(0.0, 0.0, 0.0)])
    mask = image != 0
    fit_decay([image + 1, image + 1, image + 1], [0.01, 0.02, 0.03], noise=0.1, mask=mask)
    unwrap_phase(image, mask)
    distance_to(image, spacing)
    signed_distance(mask, spacing)
    label_lesions(image, affine)
    maps = {"map": (np.require(rng.random((4, 5, 6)), kind, order), rng.random((4, 5, 6)) < 0.9)}
    found = partition({"lobes": lobe, "WMH": mask, "NAWM": ~mask})
    rows = [Row((("lobes", (1, 2)),), tissue) for tissue in ("all", "WMH", "NAWM")]
    sample_regions(found, affine, maps, np.diag([2, 2, 2, 1.0]), rows)
    region_statistics(image, coverage_weights(lobe, affine, shape, affine))
# Label images have the whole numbers in which they are stored, in the order of the file.
stored = (np.uint8, np.int16, np.int32, np.int64, ">i2")
for order, kind in itertools.product("CF", stored):
    codes, mask = np.require(lobe, kind, order), np.require(lobe != 0, bool, order)
    right = np.require(np.indices(shape)[0] > 4, bool, order)
    white = np.require(rng.random(shape) < 0.7, bool, order)
    ventricle, cortex = distance_to(codes == 1, spacing), distance_to(codes, spacing)
    normal_appearing_white_matter(codes, spacing, 1.0)
    complete_hemispheres(np.where(white, 0, 1 + right).astype(kind), affine)
    lobes = propagate_lobes(codes, right, white, right, spacing).astype(kind)
    bullseye_labels(depth(ventricle, cortex), np.require(lobes, kind, order))
    for scheme in zone_schemes().values():
        zones = np.require(zone_labels(ventricle, cortex, white, right, scheme), kind, order)
    lesions, n = label_lesions(mask, affine)
    lesions = np.require(lesions, kind, order)
    lesion_measures(lesions, affine, {"a": ventricle, "b": cortex})
    lesion_continuity(lesions, n, ventricle)
    lesion_majority(lesions, n, zones)
    for inner, within in itertools.product((True, False), (None, white)):
        shell_labels(
            lesions, n, [True] * n, white, spacing, right, inner=inner, within=within
        )
    for limit, within in itertools.product((None, 2.0), (None, white)):
        nearest(codes, spacing, limit=limit, within=within)
        distance_to(codes, spacing, limit=limit, within=within)
    partition({"lobes": codes, "WMH": mask, "NAWM": white})
    coverage_weights(codes, affine, shape, affine)
print(json.dumps(compiled.names))
"""
# The steps themselves, on files.
STEPS = """
import json, os
import nibabel as nib
import numpy as np
from wmhflow.files.images import load_image
from wmhflow.steps import lesions, regions
from wmhflow.steps.adapter import interface_of

shape, rng = (9, 10, 11), np.random.default_rng(0)
classes = rng.choice([2, 3, 5, 5, 5, 6], shape)
side = np.where(np.indices(shape)[0] > 4, 20, 10)

def saved(name, image, dtype):
    nib.save(nib.Nifti1Image(image.astype(dtype), np.eye(4), dtype=dtype), f"{name}.nii")
    return os.path.abspath(f"{name}.nii")

def run(step, **inputs):
    return interface_of(step).run(**inputs).outputs

for dtype in (np.uint8, np.int16, np.int32):
    tissue = saved("tissue", classes + side, dtype)
    wmh = saved("wmh", classes == 6, np.uint8)
    ventricles = saved("ventricles", classes == 2, np.uint8)
    nawm = saved("nawm", classes == 5, np.uint8)
    parcels = saved("parcels", (classes == 3) * 2, dtype)
    # what one step wrote is not written over by the next
    os.mkdir(np.dtype(dtype).name)
    os.chdir(np.dtype(dtype).name)
    def distance(name, step, **given):
        os.mkdir(name)
        return run(step, cwd=os.path.abspath(name), **given).distance

    far = {
        "ventricle_distance": distance("ventricle", regions.measure_distance,
                                       target=ventricles, tissue=tissue),
        "cortex_distance": distance("cortex", regions.measure_cortex_distance, tissue=tissue),
    }
    depth = distance("depth", regions.measure_depth, **far)
    run(regions.measure_edge_distance, target=wmh, tissue=tissue)
    zones = run(regions.divide_into_zones, tissue=tissue, scheme="jv3-pv13-jc4", **far).zones
    lobes = run(regions.divide_into_lobes, tissue=tissue, cortex_lobes=parcels).lobes
    run(regions.divide_into_bullseye, depth=depth, lobes=lobes, layers=4)
    found = run(
        lesions.number_lesions, wmh=wmh, tissue=tissue, zones=[zones], columns=["majority"],
        lobes=lobes, territories=parcels, territory_names={2: "x"}, rule="continuity", **far
    )
    run(
        lesions.classify_by_continuity, lesions=found.lesions, tissue=tissue,
        ventricle_distance=far["ventricle_distance"],
    )
    run(lesions.classify_by_majority, lesions=found.lesions, tissue=tissue, zones=zones)
    shells = run(
        regions.divide_into_shells, lesions=found.lesions, nawm=nawm, tissue=tissue, width_mm=2.0,
        max_mm=14.0, is_periventricular=found.is_periventricular,
    ).shells
    assert load_image(shells)[0].any() and load_image(lobes)[0].any()
    os.chdir("..")
print(json.dumps(compiled.names))
"""
# Cheap to compile, and enough to tell whether the folder is used.
FEW_CALLS = """
import numpy as np
from wmhflow.core.regions.bullseye import depth
from wmhflow.core.regions.zones import zone_labels
distance = np.arange(60, dtype=np.float32).reshape(3, 4, 5)
share, everywhere = depth(distance, distance[::-1].copy()), distance >= 0
found = [share.tolist(), zone_labels(distance, distance, everywhere, ~everywhere).tolist()]
"""
# What the program does before its first step.
PREPARED = """
import logging, os, sys
from pathlib import Path
from wmhflow.cli.resources import prepare_environment
from wmhflow.settings import Resources
logging.basicConfig(level=logging.DEBUG, format="%(levelname)s %(message)s", stream=sys.stderr)
prepare_environment(Resources(1, 1, 1.0))
folder = Path(os.environ["NUMBA_CACHE_DIR"])
"""
REPORT = """
kept = len(list(folder.rglob("*.nbc")))
print(json.dumps([str(folder), kept, found, compiled.names]))
"""


def environment(**settings):
    """Return this process's variables without its caches and settings, and with others."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(OWN)}
    return kept | {"PYTHONPATH": str(PACKAGE.parent), "PYTHONDONTWRITEBYTECODE": "1"} | settings


def started(code, before=(), folder="/", **settings):
    """Start an interpreter on `code`, with words before it that take its rights away."""
    return subprocess.Popen(
        [*before, sys.executable, "-c", code],
        env=environment(**settings),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=folder,
    )


def finished(process):
    """Return what a process printed as its last line of JSON, and its log."""
    out, log = process.communicate(timeout=300)
    assert process.returncode == 0, log
    return json.loads(out.splitlines()[-1]), log


def answered(code, before=(), folder="/", **settings):
    return finished(started(code, before, folder, **settings))[0]


def words_that_work(choices, what):
    """Return the first words under which an interpreter starts; skip the test if none do."""
    for words in choices:
        try:
            subprocess.run([*words, sys.executable, "-c", ""], check=True, capture_output=True)
        except (OSError, subprocess.CalledProcessError):
            continue
        return words
    pytest.skip(what)


def bound_by_modes():
    """Return words that start a process which may not write where the mode forbids it."""
    if os.geteuid() != 0:
        return []
    bound = "--bounding-set=-dac_override,-dac_read_search,-fowner,-chown"
    return words_that_work([["setpriv", bound]], "root cannot give its rights away here")


def unknown_user():
    """Return words that start a process of a user whom the system does not know."""
    if os.geteuid() != 0:
        pytest.skip("only root can become another user")
    words = ["setpriv", f"--reuid={STRANGER}", f"--regid={STRANGER}", "--clear-groups"]
    # The interpreter may lie in root's home: a right to read all, which is no right to write.
    reading = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
    return words_that_work([[*words, *reading], words], "no other user can run this interpreter")


def read_only(folder):
    """Take the right to write from a folder and all in it."""
    for path in [folder, *folder.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    return folder


def writable(folder):
    for path in [folder, *(p for p in folder.rglob("*") if p.is_dir())]:
        path.chmod(0o755)


@pytest.fixture(scope="module")
def warm(tmp_path_factory):
    """A folder with all that `python -m wmhflow.core.warm` compiles."""
    folder = tmp_path_factory.mktemp("warm")
    subprocess.run(
        [sys.executable, "-m", "wmhflow.core.warm"],
        env=environment(NUMBA_CACHE_DIR=str(folder)),
        check=True,
    )
    return folder


@pytest.fixture
def installed(tmp_path):
    """A copy of the package in a folder that cannot be written to."""
    site = tmp_path / "site"
    shutil.copytree(PACKAGE, site / "wmhflow", ignore=shutil.ignore_patterns("__pycache__"))
    yield read_only(site)
    writable(site)


@pytest.fixture
def home(tmp_path):
    """A home that cannot be written to."""
    folder = tmp_path / "home"
    folder.mkdir()
    yield read_only(folder)
    writable(folder)


@pytest.fixture
def scratch(tmp_path):
    """A folder for temporary files that everybody may write to."""
    folder = tmp_path / "scratch"
    folder.mkdir()
    folder.chmod(0o777)
    return folder


@pytest.fixture(scope="module")
def few(tmp_path_factory):
    """A folder with what the few calls compile, and what they give."""
    folder = tmp_path_factory.mktemp("few")
    code = COUNTER + FEW_CALLS + "print(json.dumps(found))"
    return folder, answered(code, NUMBA_CACHE_DIR=str(folder))


@pytest.fixture(scope="module")
def answer(few):
    return few[1]


def calls(spacing):
    return COUNTER + CALLS.replace("SPACING", repr(spacing))


@pytest.mark.slow
@pytest.mark.parametrize("spacing", [(1.0, 1.0, 1.0), (0.9, 0.9, 3.0)])
def test_the_program_compiles_nothing_once_all_is_warm(warm, spacing):
    assert answered(calls(spacing), NUMBA_CACHE_DIR=str(warm)) == []


@pytest.mark.slow
def test_the_steps_on_files_compile_nothing_once_all_is_warm(warm, tmp_path):
    assert answered(COUNTER + STEPS, folder=tmp_path, NUMBA_CACHE_DIR=str(warm)) == []


@pytest.mark.slow
def test_voxel_sizes_that_need_wide_keys_compile_nothing(warm):
    assert answered(calls((0.48828125, 0.48828125, 1.2)), NUMBA_CACHE_DIR=str(warm)) == []


@pytest.mark.slow
def test_many_processes_fill_one_empty_folder(tmp_path, answer):
    code = COUNTER + FEW_CALLS + "print(json.dumps([found, compiled.names]))"
    folder = str(tmp_path / "cold")
    at_once = [started(code, NUMBA_CACHE_DIR=folder) for _ in range(4)]
    results = [finished(process)[0] for process in at_once]
    assert [found for found, _ in results] == [answer] * 4
    # The count can be more than zero: somebody had to compile.
    assert any(names for _, names in results)
    assert answered(code, NUMBA_CACHE_DIR=folder) == [answer, []]


@pytest.mark.parametrize("name", ["HOME", "XDG_CACHE_HOME"])
def test_a_read_only_home_and_package_leave_the_temporary_folder(
    installed, home, scratch, answer, name
):
    folder, kept, found, names = answered(
        PREPARED + COUNTER + FEW_CALLS + REPORT,
        bound_by_modes(),
        **({"HOME": str(home)} | {name: str(home)}),
        TMPDIR=str(scratch),
        PYTHONPATH=str(installed),
    )
    assert Path(folder).is_relative_to(scratch)
    assert found == answer
    assert kept > 0
    assert names


@pytest.mark.parametrize("settings", [{}, {"HOME": "/nonexistent"}])
def test_an_unknown_user_without_a_home_has_a_cache(installed, scratch, answer, settings):
    folder, kept, found, _ = answered(
        PREPARED + COUNTER + FEW_CALLS + REPORT,
        unknown_user(),
        **settings,
        TMPDIR=str(scratch),
        PYTHONPATH=str(installed),
    )
    assert Path(folder).is_relative_to(scratch)
    assert found == answer
    assert kept > 0


def test_a_warm_folder_of_another_user_is_used_all_the_same(few, tmp_path, scratch):
    shipped = Path(shutil.copytree(few[0], tmp_path / "shipped"))
    check_used(shipped, few, unknown_user(), HOME="/nonexistent", TMPDIR=str(scratch))


def test_a_warm_folder_of_read_only_folders_is_used_all_the_same(few, tmp_path, home, scratch):
    shipped = read_only(Path(shutil.copytree(few[0], tmp_path / "shipped")))
    try:
        words = bound_by_modes()
        check_used(shipped, few, words, HOME=str(home), TMPDIR=str(scratch))
    finally:
        writable(tmp_path)


def check_used(shipped, few, before, **settings):
    """Check that a process copies what it may not write to, and compiles nothing."""
    compiled, answer = few
    folder, kept, found, names = answered(
        PREPARED + COUNTER + FEW_CALLS + REPORT,
        before,
        **settings,
        NUMBA_CACHE_DIR=str(shipped),
        # Or what this checkout's own __pycache__ holds would serve too.
        NUMBA_CACHE_LOCATOR_CLASSES="UserProvidedCacheLocator",
    )
    assert Path(folder).is_relative_to(settings["TMPDIR"])
    assert kept == len(list(compiled.rglob("*.nbc"))) > 0
    assert found == answer
    assert names == []


def test_a_folder_that_cannot_be_made_is_replaced(home, scratch):
    assert Path(replaced(home, scratch)[0]).is_relative_to(scratch)


def test_a_folder_that_is_replaced_leaves_one_line_of_debug(home, scratch):
    folder, log = replaced(home, scratch)
    told = [line for line in log.splitlines() if line.startswith("DEBUG") and folder in line]
    assert len(told) == 1


def replaced(home, scratch):
    """Return the folder that a process takes instead of one that it cannot make, and its log."""
    process = started(
        PREPARED + "import json; print(json.dumps(str(folder)))",
        bound_by_modes(),
        HOME=str(home),
        TMPDIR=str(scratch),
        NUMBA_CACHE_DIR=str(home / "numba"),
    )
    return finished(process)


def test_nothing_is_compiled_or_imported_before_the_folder_is_chosen():
    code = (
        "import json, sys, wmhflow.cli.main, wmhflow.cli.run, wmhflow.cli.resources\n"
        "print(json.dumps('numba' in sys.modules))"
    )
    assert answered(code) is False


def test_the_core_needs_numpy_numba_and_scipy_only(few):
    code = """
import importlib, importlib.abc, json, pkgutil, sys
allowed = {"numpy", "numba", "scipy", "llvmlite", "wmhflow", *sys.stdlib_module_names}

class NotInstalled(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        # extension modules go by names of their own while they are loaded, and begin with _
        if name.partition(".")[0] not in allowed and not name.startswith("_"):
            raise ModuleNotFoundError(name)

sys.meta_path.insert(0, NotInstalled())
import wmhflow.core
for module in pkgutil.walk_packages(wmhflow.core.__path__, "wmhflow.core."):
    importlib.import_module(module.name)
"""
    report = """
own = [name for name in sys.modules if name.partition(".")[0] == "wmhflow"]
print(json.dumps([found, own, sorted({name.partition(".")[0] for name in sys.modules})]))
"""
    found, own, others = answered(code + FEW_CALLS + report, NUMBA_CACHE_DIR=str(few[0]))
    assert found == few[1]
    rooms = {name.split(".")[1] for name in own if name != "wmhflow"}
    assert rooms == {"core", "labels"}
    assert not set(others) & {"nibabel", "nipype", "pandas", "ants", "nilearn", "matplotlib"}


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="no CPU affinity here")
@pytest.mark.parametrize("allowed", [1, 2])
def test_threads_never_exceed_the_affinity(allowed):
    processors = sorted(os.sched_getaffinity(0))[:allowed]
    if len(processors) < allowed:
        pytest.skip("fewer processors here")
    code = (
        f"import json, os; os.sched_setaffinity(0, {processors})\n"
        "from wmhflow.core.arrays.threads import thread_count\n"
        "print(json.dumps(thread_count()))"
    )
    assert answered(code) == allowed
    assert answered(code, NUMBA_NUM_THREADS="64") == allowed
    assert answered(code, OMP_NUM_THREADS="64") == allowed
    assert answered(code, NUMBA_NUM_THREADS="1") == 1


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, 8),
        ({"NUMBA_NUM_THREADS": "3"}, 3),
        ({"OMP_NUM_THREADS": "2"}, 2),
        ({"NUMBA_NUM_THREADS": "5", "OMP_NUM_THREADS": "1"}, 5),
        ({"NUMBA_NUM_THREADS": "9"}, 8),
        ({"NUMBA_NUM_THREADS": "0", "OMP_NUM_THREADS": "4"}, 4),
        ({"NUMBA_NUM_THREADS": "-2"}, 8),
        ({"NUMBA_NUM_THREADS": "many"}, 8),
        ({"NUMBA_NUM_THREADS": ""}, 8),
    ],
)
def test_threads_follow_the_settings(monkeypatch, settings, expected):
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    for name in ("NUMBA_NUM_THREADS", "OMP_NUM_THREADS"):
        monkeypatch.delenv(name, raising=False)
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    assert thread_count() == expected


def test_the_program_hands_its_number_of_threads_to_the_kernels():
    code = """
import json, os
from wmhflow.cli.resources import prepare_environment
from wmhflow.settings import Resources
from wmhflow.core.arrays.threads import thread_count
counts = []
for threads in (1, 2, 1000):
    prepare_environment(Resources(1, threads, 1.0))
    counts.append(thread_count())
print(json.dumps([counts, len(os.sched_getaffinity(0))]))
"""
    counts, allowed = answered(code)
    assert counts == np.minimum([1, 2, 1000], allowed).tolist()
