"""The container image, run in every way that is promised; each row of a table is a run of it.

They need an image, which ``.ci/run`` builds and names in ``WMHFLOW_TEST_IMAGE``, and root.
"""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

import wmhflow
from tests.coarse import coarse_dataset
from tests.container.machine import STORE, STRANGER, Done, Image
from tests.runs import outputs

TAG = os.environ.get("WMHFLOW_TEST_IMAGE")
pytestmark = pytest.mark.skipif(
    not TAG or not STORE.is_file() or os.geteuid() != 0,
    reason="no image: .ci/run builds one and names it in WMHFLOW_TEST_IMAGE",
)
LARGEST_GB = 1.6
PYTHON, SHARE = "/opt/wmhflow/bin/python", "/opt/wmhflow/share"
WORDS = ["/data/raw", "/out", "participant", "-w", "/work", "-d", "given=/data/given",
         "--registration-qc", "off", "--nprocs", "2"]  # fmt: skip
# A host's folders, as Apptainer mounts them, and its variables, as Apptainer hands them on.
HOSTILE = {
    "HOME": "/host/home",
    "PYTHONPATH": "/host/python",
    "PYTHONHOME": "/host/nowhere",
    "PYTHONSTARTUP": "/host/python/sitecustomize.py",
    "PYTHONWARNINGS": "error",
    "PYTHONOPTIMIZE": "2",
    "PYTHONINSPECT": "1",
    "PYTHONUSERBASE": "/host/home/.local",
    "LD_LIBRARY_PATH": "/host/lib",
    "NUMBA_DISABLE_JIT": "1",
    "NUMBA_CACHE_DIR": "/host/nowhere",
    "NUMBA_CPU_NAME": "generic",
    "WMHFLOW_CACHE_DIR": "/host/nowhere",
    "MPLCONFIGDIR": "/host/home/.config/matplotlib",
    "MATPLOTLIBRC": "/host/home/.config/matplotlib",
    "NIPYPE_CONFIG_DIR": "/host/nowhere",
    "XDG_CACHE_HOME": "/host/nowhere",
    "TMPDIR": "/host/nowhere",
    "LC_ALL": "de_DE.ISO-8859-1",
}
# of these, what the image's Python alone does not survive
DEADLY = ("PYTHONPATH", "PYTHONHOME", "LD_LIBRARY_PATH")


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    made = Image(str(TAG))
    yield made
    made.close()


@dataclass
class Place:
    """A small dataset, and new folders for each run."""

    folder: Path
    image: Image

    def run(self, name: str, *words: str, keep: bool = False, **how: object) -> Done:
        """Run the image with the dataset at /data and new folders at /out and /work."""
        written = {}
        for kind in ("out", "work"):
            path = self.folder / f"{name}-{kind}"
            path.mkdir(exist_ok=keep)
            path.chmod(0o777)
            written[f"/{kind}"] = (path, "rw")
        bound = {"/data": (self.folder / "data", "ro"), "/host": (self.folder / "host", "ro")}
        return self.image.run(*words, bound=bound | written, report=self.folder / "report", **how)

    def out(self, name: str) -> Path:
        return self.folder / f"{name}-out"

    def work(self, name: str) -> Path:
        return self.folder / f"{name}-work"


@pytest.fixture(scope="module")
def place(image: Image, tmp_path_factory: pytest.TempPathFactory) -> Place:
    folder = tmp_path_factory.mktemp("container")
    coarse_dataset(folder / "data")
    _make_host(folder / "host")
    for path in (folder, *folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    return Place(folder, image)


def _make_host(folder: Path) -> None:
    """Make folders with packages, modules, settings and libraries that end whoever takes them."""
    end = "raise SystemExit('a module of the host was imported')\n"
    site = folder / "home/.local/lib/python3.11/site-packages"
    for parent in (site, folder / "python"):
        for name in ("numpy", "nibabel", "nipype", "wmhflow"):
            (parent / name).mkdir(parents=True)
            (parent / name / "__init__.py").write_text(end)
        for name in ("json", "sitecustomize", "usercustomize", "argparse"):
            (parent / f"{name}.py").write_text(end)
    (site / "host.pth").write_text(f"import sys; {end}")
    for name in ("matplotlib", "nipype"):
        (folder / "home/.config" / name).mkdir(parents=True)
    (folder / "home/.config/matplotlib/matplotlibrc").write_text("figure.dpi: 7\n")
    (folder / "lib").mkdir()
    for name in ("libz.so.1", "libexpat.so.1", "libstdc++.so.6", "libgomp.so.1"):
        (folder / "lib" / name).write_text("no library")


# ---- what is quick -------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """A short run: how, with what, and what it has to say."""

    words: tuple[str, ...]
    code: int = 0
    says: str = ""
    variables: dict[str, str] | None = None
    folder: str | None = None
    user: int = STRANGER


VERSION = f"wmhflow {wmhflow.__version__}"
CASES = {
    "the version": Case(("--version",), says=VERSION),
    "the version, as root": Case(("--version",), says=VERSION, user=0),
    "the version, without variables": Case(("--version",), says=VERSION, variables={}),
    "the version, with a host's": Case(
        ("--version",), says=VERSION, variables=HOSTILE, folder="/host/python"
    ),
    "the help, without variables": Case(("--help",), says="--participant-label", variables={}),
    "a plan": Case((*WORDS, "--dry-run"), says="sub-01"),
    "a plan, without variables": Case((*WORDS, "--dry-run"), says="sub-01", variables={}),
    "a plan, with a host's": Case(
        (*WORDS, "--dry-run"), says="sub-01", variables=HOSTILE, folder="/host/python"
    ),
    "no work folder that can be written to": Case(
        ("/data/raw", "/out", "participant"), 2, "--work-dir"
    ),
    "no output folder that can be written to": Case(
        ("/data/raw", "/data/elsewhere", "participant", "-w", "/work"), 2, "cannot be written to"
    ),
    "the atlases, without variables": Case(("atlas", "list"), says="arterial", variables={}),
    "a plan, without a work folder": Case(
        ("/data/raw", "/out", "participant", "--dry-run"), says="sub-01", variables={}
    ),
    "nobody to gather": Case(("/data/raw", "/out", "group", "-w", "/work"), 70),
}


@pytest.mark.parametrize("name", CASES)
def test_short_runs_of_an_unknown_user_without_network_in_a_read_only_image(
    place: Place, name: str
) -> None:
    case = CASES[name]
    key = name.replace(" ", "-")
    done = place.run(key, *case.words, variables=case.variables, folder=case.folder, user=case.user)
    assert done.code == case.code, done.out + done.said
    assert case.says in done.out + done.said
    assert "Traceback" not in done.said
    assert done.left == []
    assert list(place.out(key).iterdir()) == []


def test_the_version_is_said_in_a_second(place: Place) -> None:
    times = [place.run("time", "--version", keep=True).seconds for _ in range(3)]
    print(f"--version: {min(times):.2f} s")
    assert min(times) < 1


@pytest.mark.parametrize("name", DEADLY)
def test_a_host_would_end_the_images_python_without_the_entry(place: Place, name: str) -> None:
    """Or the runs with a host's variables would show nothing."""
    words = ["-c", "import nibabel"]
    fine = place.run("bare", *words, entry=[PYTHON], keep=True)
    assert fine.code == 0, fine.said
    given = place.image.variables | {name: HOSTILE[name]}
    assert place.run("bare", *words, entry=[PYTHON], variables=given, keep=True).code != 0


# ---- whole runs ----------------------------------------------------------------------------------

WHOLE: dict[str, dict[str, object]] = {
    "no variables": {"variables": {}},
    "a host": {"variables": HOSTILE, "folder": "/host/python"},
}


@pytest.fixture(scope="module")
def whole(place: Place) -> dict[str, Done]:
    """A person in every way that is promised, in an image that cannot be written to."""
    return {name: place.run(name.replace(" ", "-"), *WORDS, **how) for name, how in WHOLE.items()}


@pytest.mark.parametrize("name", WHOLE)
def test_a_person_writes_only_outputs_and_the_work_folder(
    whole: dict[str, Done], place: Place, name: str
) -> None:
    done = whole[name]
    print(f"{name}: {done.seconds:.1f} s")
    assert done.code == 0, done.out + done.said
    # the rest of the image cannot be written to, but for shared memory
    assert done.left == []
    key = name.replace(" ", "-")
    assert (place.out(key) / "sub-01.html").is_file()
    owners = {path.stat().st_uid for path in place.out(key).rglob("*")}
    assert owners == {STRANGER}
    # its temporary files are gone
    assert [path for path in place.work(key).glob("tmp/wmhflow-*") if path.is_file()] == []


@pytest.mark.parametrize("name", WHOLE)
def test_kernels_and_priors_of_the_image_serve(
    whole: dict[str, Done], place: Place, name: str
) -> None:
    assert whole[name].code == 0
    shipped = place.image.root / "opt/wmhflow/cache/numba"
    used = place.work(name.replace(" ", "-")) / f"caches/numba-{wmhflow.__version__}"
    names = sorted(path.relative_to(shipped) for path in shipped.rglob("*.nb?"))
    assert len(names) > 100
    # nothing had to be compiled, or there would be more
    assert sorted(path.relative_to(used) for path in used.rglob("*.nb?")) == names
    assert not list(place.work(name.replace(" ", "-")).rglob("template-*"))


def test_what_comes_from_the_host_changes_no_byte(whole: dict[str, Done], place: Place) -> None:
    assert whole["a host"].code == 0
    expected = outputs(place.out("no-variables"))
    assert len(expected) > 40
    assert outputs(place.out("a-host")) == expected


def test_the_group_level_in_a_read_only_image_without_a_work_folder(
    whole: dict[str, Done], place: Place
) -> None:
    assert whole["no variables"].code == 0
    shutil.copytree(place.out("no-variables"), place.out("group"))
    os.chown(place.out("group"), STRANGER, STRANGER)
    for path in place.out("group").rglob("*"):
        os.chown(path, STRANGER, STRANGER)
    done = place.run("group", "/data/raw", "/out", "group", keep=True)
    assert done.code == 0, done.out + done.said
    assert done.left == []
    assert list(place.out("group").glob("group/*.parquet"))


def test_root_in_a_writable_image_changes_no_file_of_it(
    whole: dict[str, Done], place: Place
) -> None:
    """Docker's own way, if nothing is said: all could be written to, and nothing is."""
    # what an engine makes before a run
    assert place.run("root", "--version").code == 0
    before = time.time()
    time.sleep(0.05)
    done = place.run("root", *WORDS, user=0, root="writable", keep=True)
    assert done.code == 0, done.out + done.said
    changed = [path for path in place.image.root.rglob("*")
               if path.lstat().st_mtime >= before and not path.is_dir()]  # fmt: skip
    assert changed == []
    assert outputs(place.out("root")) == outputs(place.out("no-variables"))


# ---- what the image says of itself ---------------------------------------------------------------


def test_labels_name_version_source_and_licence(image: Image) -> None:
    labels = {name.removeprefix("org.opencontainers.image."): value
              for name, value in image.config["Labels"].items()}  # fmt: skip
    assert labels["title"] == "wmhflow"
    assert labels["version"] == wmhflow.__version__
    assert labels["licenses"] == "Apache-2.0"
    assert labels["base.name"] == "debian:bookworm-slim"
    assert labels["source"]
    assert labels["revision"]


def test_every_file_of_the_program_can_be_read_by_everybody(image: Image) -> None:
    closed = []
    for path in (image.root / "opt/wmhflow").rglob("*"):
        needed = 0o005 if path.is_dir() else 0o004
        if not path.is_symlink() and path.stat().st_mode & needed != needed:
            closed.append(path)
    assert closed == []


def test_the_bill_of_materials_says_what_is_inside(place: Place) -> None:
    done = place.run("bill", f"{SHARE}/bill.py", "check", entry=[PYTHON, "-I", "-B"])
    assert done.code == 0, done.out + done.said
    share = place.image.root / SHARE.lstrip("/")
    document = json.loads((share / "sbom.spdx.json").read_text())
    named = {one["name"] for one in document["packages"]}
    assert {"wmhflow", "numpy", "antspyx", "python3", "bash"} <= named
    rows = [line.split("\t") for line in (share / "licences.tsv").read_text().splitlines()]
    (bash,) = [row for row in rows if row[1] == "bash"]
    assert "GPL-3+" in bash[3]
    for kind, name, *_, texts in rows[1:]:
        for text in texts.split() if kind in {"python", "debian"} else []:
            where = place.image.root / text.lstrip("/") if text[0] == "/" else share / text
            assert where.stat().st_size > 0, name


def test_the_image_is_small_enough(place: Place) -> None:
    done = place.run("sizes", f"{SHARE}/bill.py", "sizes", entry=[PYTHON, "-I", "-B"], user=0)
    assert done.code == 0, done.said
    print(done.out)
    *_, last = done.out.strip().splitlines()
    assert 0.5 < float(last.split("|")[2]) / 1000 < LARGEST_GB
