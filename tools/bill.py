"""What is inside the container image, and under which licences: its bill of materials.

Run in the image as ``bill.py write`` (which the build does), ``bill.py check`` (whether what was
written is true), or ``bill.py sizes`` (what fills the image). It needs nothing but Python.
``sbom.spdx.json`` (SPDX 2.3) lists every Python package, every library that came with one, every
package of Debian, and the template; ``licences.tsv`` the same as a table; ``licences/`` holds the
texts. The same image gives the same bytes.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import Distribution, distributions
from pathlib import Path
from typing import Any, NamedTuple

HOME = Path("/opt/wmhflow")
SHARE = HOME / "share"
OWN = "wmhflow"
TEXT_NAMES = re.compile(
    r"\.dist-info/(licenses/.+|[^/]*(LICEN|COPYING|NOTICE|AUTHORS)[^/]*)$", re.IGNORECASE
)
UNKNOWN = "NOASSERTION"
# what would bind the program that depends on it
BINDING = re.compile(r"\bA?GPL-")
LARGE_MB = 10
# what the kernel shows and what a run may mount, no part of the image
MOUNTED = {"/proc", "/sys", "/dev", "/tmp"}
EARLIEST = "1970-01-01T00:00:00Z"


class UnknownLicenceError(Exception):
    """A licence that is not known, that binds, or a package that the lock does not name."""


class Part(NamedTuple):
    """A thing inside: its kind, name, version, licence, where the text is, and its address."""

    kind: str
    name: str
    version: str
    licence: str
    texts: tuple[str, ...]
    address: str = ""
    comment: str = ""


class Places(NamedTuple):
    """Where things lie."""

    site: Path
    lock: Path
    rules: Path
    status: Path = Path("/var/lib/dpkg/status")
    documents: Path = Path("/usr/share/doc")


# ---- what is there ------------------------------------------------------------------------------


def list_parts(places: Places) -> list[Part]:
    """List all that is inside: Python packages, bundled libraries, the template, Debian's packages.

    Raises
    ------
    UnknownLicenceError
        With a line for each package that the lock lacks, or whose licence is not known or binds.
    """
    rules = tomllib.loads(places.rules.read_text(encoding="utf-8"))
    locked = read_lock(places.lock)
    parts, faults = [], []
    for package in sorted(distributions(path=[str(places.site)]), key=lambda one: plain(one.name)):
        try:
            parts.append(python_part(package, rules, locked))
        except UnknownLicenceError as error:
            faults.append(str(error))
    for library in sorted(places.site.glob("*.libs/*.so*")):
        try:
            parts.append(bundled_part(library, rules["bundled"]))
        except UnknownLicenceError as error:
            faults.append(str(error))
    if faults:
        raise UnknownLicenceError("\n".join(faults))
    parts += template_parts(places.site)
    return [*parts, *debian_parts(places.status, places.documents)]


def plain(name: str) -> str:
    """Write a package's name as the package index does."""
    return re.sub(r"[-_.]+", "-", name).lower()


def read_lock(path: Path) -> dict[str, set[str]]:
    """Read which versions of each package the lock names."""
    locked: dict[str, set[str]] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        if found := re.match(r"([A-Za-z0-9][\w.-]*)==([^\s;\\]+)", line):
            locked.setdefault(plain(found[1]), set()).add(found[2])
    return locked


def python_part(
    package: Distribution, rules: Mapping[str, Any], locked: Mapping[str, set[str]]
) -> Part:
    """Describe a Python package.

    Raises
    ------
    UnknownLicenceError
        If its licence is not known or binds, if it brings no text, or if the lock does not name it.
    """
    name, version = plain(package.name), package.version
    if name != OWN and version not in locked.get(name, set()):
        raise UnknownLicenceError(f"{name} {version} is not in the lock.")
    texts = [file for file in package.files or [] if TEXT_NAMES.search(str(file))]
    if not texts:
        raise UnknownLicenceError(f"{name} {version} brings no text of its licence.")
    paths = [Path(str(file.locate())) for file in texts]
    licence = python_licence(package, paths, rules)
    if licence is None:
        raise UnknownLicenceError(
            f"{name} {version}: its licence is not known; add a row to {OWN}'s tools/licences.toml."
        )
    if binds(licence):
        raise UnknownLicenceError(f"{name} {version} is {licence}, which would bind {OWN}.")
    kept = tuple(f"licences/{name}-{version}/{path.name}" for path in paths)
    return Part("python", name, version, licence, kept, f"pkg:pypi/{name}@{version}")


def python_licence(
    package: Distribution, texts: Sequence[Path], rules: Mapping[str, Any]
) -> str | None:
    """Tell a package's licence from its metadata, and from the text where these say too little."""
    told = package.metadata
    if "License-Expression" in told:
        return str(told["License-Expression"])
    short = next(iter(told.get_all("License") or []), "").strip()
    if re.fullmatch(r"[A-Za-z0-9.-]+-[0-9][\w.-]*|MIT|[\w.-]+( (AND|OR) [\w.-]+)+", short):
        return short
    if short.lower() in rules["declared"]:
        return str(rules["declared"][short.lower()])
    given = told.get_all("Classifier") or []
    endings = [one.removeprefix("License :: OSI Approved :: ") for one in given]
    for ending in endings:
        if ending in rules["classifiers"]:
            return str(rules["classifiers"][ending])
    written = [path.read_text(encoding="utf-8", errors="replace").lower() for path in texts]
    text = " ".join(" ".join(written).split())
    for rule in rules["texts"]:
        if rule["classifier"] in endings and all(words in text for words in rule["words"]):
            return str(rule["licence"])
    return None


def binds(licence: str) -> bool:
    """Tell whether an SPDX expression leaves no way around GPL or AGPL.

    Examples
    --------
    >>> binds("GPL-3.0-only"), binds("MIT AND AGPL-3.0-or-later")
    (True, True)
    >>> binds("MIT OR GPL-2.0-only"), binds("LGPL-2.1-only"), binds("Apache-2.0")
    (False, False, False)
    >>> binds("GPL-3.0-or-later WITH GCC-exception-3.1")
    False
    """
    free = re.sub(r"\bA?GPL-[\w.-]+ WITH GCC-exception-[\d.]+", "", licence.replace("LGPL-", ""))
    return all(BINDING.search(choice) for choice in free.split(" OR "))


def bundled_part(library: Path, licences: Mapping[str, str]) -> Part:
    """Describe a shared library that came with a package.

    Raises
    ------
    UnknownLicenceError
        If no row of ``[bundled]`` names it, or its licence binds.
    """
    package = library.parent.name.removesuffix(".libs")
    licence = next((licences[start] for start in licences if library.name.startswith(start)), None)
    if licence is None or binds(licence):
        raise UnknownLicenceError(
            f"{library.name} of {package} is {licence or 'of a licence that is not known'}; see "
            "[bundled] of tools/licences.toml."
        )
    said = f"came with the package {package}"
    return Part("bundled", f"{package}.libs/{library.name}", "", licence, (), comment=said)


def template_parts(site: Path) -> list[Part]:
    """Describe the template that lies in nilearn's package, if it is there."""
    told = site / "nilearn/datasets/description/icbm152_2009.rst"
    if not told.is_file():
        return []
    said = "in the package nilearn, which states its licence as unknown"
    kept = (f"licences/icbm152/{told.name}",)
    return [Part("data", "ICBM152 symmetric template", "2009a", UNKNOWN, kept, comment=said)]


def debian_parts(status: Path, documents: Path) -> list[Part]:
    """Describe the packages of Debian, with the licences that their copyright files name."""
    parts = []
    for stanza in status.read_text(encoding="utf-8").split("\n\n"):
        facts = dict(re.findall(r"^(\S+): (.*)$", stanza, re.MULTILINE))
        if not facts.get("Status", "").endswith(" installed"):
            continue
        name, version = facts["Package"], facts["Version"]
        address = f"pkg:deb/debian/{name}@{version.replace('+', '%2B').replace(':', '%3A')}"
        path = documents / name / "copyright"
        named = debian_licences(path)
        parts.append(
            Part("debian", name, version, UNKNOWN, (str(path),) if path.is_file() else (),
                 f"{address}?arch={facts['Architecture']}", ", ".join(named))
        )  # fmt: skip
    return sorted(parts)


def debian_licences(path: Path) -> list[str]:
    """Read the names of licences in a copyright file, in the words of Debian."""
    if not path.is_file():
        return []
    text = path.read_text(encoding="utf-8", errors="replace")
    named = set(re.findall(r"^License: *(\S.*?) *$", text, re.MULTILINE))
    return sorted(named or set(re.findall(r"/usr/share/common-licenses/([\w.-]*\w)", text)))


# ---- what is written ----------------------------------------------------------------------------


def document(parts: Sequence[Part], places: Places) -> dict[str, Any]:
    """Make the SPDX document."""
    packages = [spdx_package(part) for part in parts]
    lock = hashlib.sha256(places.lock.read_bytes()).hexdigest()
    own = next(part.version for part in parts if part.name == OWN)
    image = {
        "SPDXID": "SPDXRef-image",
        "name": f"{OWN}-image",
        "versionInfo": own,
        "downloadLocation": UNKNOWN,
        "filesAnalyzed": False,
        "primaryPackagePurpose": "CONTAINER",
        "comment": f"SHA-256 of requirements.lock: {lock}; of the package's own files: "
        f"{source_digest(places.site / OWN)}",
    }
    content = json.dumps([image, packages], sort_keys=True).encode()
    return {
        "spdxVersion": "SPDX-2.3",
        "dataLicense": "CC0-1.0",
        "SPDXID": "SPDXRef-DOCUMENT",
        "name": f"{OWN}-{own}",
        "documentNamespace": f"https://spdx.org/spdxdocs/{OWN}-{hashlib.sha256(content).hexdigest()}",
        "creationInfo": {"created": EARLIEST, "creators": [f"Tool: {OWN}-bill-{own}"]},
        "packages": [image, *packages],
        "relationships": [
            relation("SPDXRef-DOCUMENT", "DESCRIBES", "SPDXRef-image"),
            *(relation("SPDXRef-image", "CONTAINS", one["SPDXID"]) for one in packages),
        ],
    }


def source_digest(folder: Path) -> str:
    """Make one number of all source files of the program, which tells versions apart."""
    told = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and "__pycache__" not in path.parts:
            told.update(path.relative_to(folder).as_posix().encode() + b"\0")
            told.update(hashlib.sha256(path.read_bytes()).digest())
    return told.hexdigest()


def spdx_package(part: Part) -> dict[str, Any]:
    """Write a part as a package of SPDX."""
    key = re.sub(r"[^A-Za-z0-9.-]", "-", f"{part.kind}-{part.name}")
    made: dict[str, Any] = {
        "SPDXID": f"SPDXRef-{key}",
        "name": part.name,
        "downloadLocation": UNKNOWN,
        "filesAnalyzed": False,
        "licenseConcluded": UNKNOWN,
        "licenseDeclared": part.licence,
        "copyrightText": UNKNOWN,
    }
    if part.version:
        made["versionInfo"] = part.version
    if part.comment:
        made["licenseComments"] = part.comment
    if part.address:
        made["externalRefs"] = [
            {
                "referenceCategory": "PACKAGE-MANAGER",
                "referenceType": "purl",
                "referenceLocator": part.address,
            }
        ]
    return made


def relation(one: str, kind: str, other: str) -> dict[str, str]:
    """Write how two things of SPDX belong together."""
    return {"spdxElementId": one, "relationshipType": kind, "relatedSpdxElement": other}


def table(parts: Sequence[Part]) -> str:
    """Write the parts as a table; of Debian's packages the licence is in Debian's words."""
    lines = ["kind\tname\tversion\tlicence\ttexts"]
    for part in parts:
        licence = part.comment if part.kind == "debian" else part.licence
        shown = (part.kind, part.name, part.version, licence, " ".join(part.texts))
        lines.append("\t".join(one or "n/a" for one in shown))
    return "\n".join(lines) + "\n"


def bill_files(places: Places) -> dict[str, bytes]:
    """Make every file of the bill, by its path below ``share``."""
    parts = list_parts(places)
    made = {
        "sbom.spdx.json": (json.dumps(document(parts, places), indent=1) + "\n").encode(),
        "licences.tsv": table(parts).encode(),
    }
    for package in distributions(path=[str(places.site)]):
        for file in package.files or []:
            if TEXT_NAMES.search(str(file)):
                path, name = Path(str(file.locate())), f"{plain(package.name)}-{package.version}"
                key = f"licences/{name}/{path.name}"
                made[key] = made.get(key, b"") + path.read_bytes()
    for part in template_parts(places.site):
        told = places.site / "nilearn/datasets/description/icbm152_2009.rst"
        made[part.texts[0]] = told.read_bytes()
    return made


# ---- what fills the image -----------------------------------------------------------------------


def sizes(places: Places, root: Path, home: Path) -> list[tuple[str, float]]:
    """Measure what fills the image, in MB (a million bytes), the largest first.

    Parameters
    ----------
    places
        Where things lie.
    root
        The image's root.
    home
        The folder of the program and its packages; all else is Debian's.
    """
    rows, packages, small, total = [], 0.0, 0.0, 0.0
    for package in distributions(path=[str(places.site)]):
        here = sum(size(Path(str(file.locate()))) for file in package.files or []) / 1e6
        packages += here
        total += 1
        if here >= LARGE_MB:
            rows.append((package.name, here))
        else:
            small += here
    caches = folder_size(home / "cache") / 1e6
    mounted = {root / name.lstrip("/") for name in MOUNTED}
    debian = folder_size(root, {home, *mounted}) / 1e6
    rest = folder_size(home) / 1e6 - packages - caches
    rows += [
        (f"{int(total) - len(rows)} smaller Python packages", small),
        ("compiled kernels and the template's priors", caches),
        ("Debian with its Python", debian),
        ("commands of packages, licences and this list", rest),
    ]
    return sorted(rows, key=lambda row: -row[1])


def size(path: Path) -> int:
    """Return a file's bytes; 0 if it is not there or a link."""
    return path.lstat().st_size if path.is_file() and not path.is_symlink() else 0


def folder_size(folder: Path, without: set[Path] | None = None) -> int:
    """Add up the files below a folder, but for those below some others."""
    found = 0
    for here, folders, files in os.walk(folder):
        folders[:] = [name for name in folders if Path(here, name) not in (without or set())]
        found += sum(size(Path(here, name)) for name in files)
    return found


def size_lines(rows: Sequence[tuple[str, float]]) -> Iterator[str]:
    """Write the sizes as a table of Markdown, with their sum."""
    yield "| what | MB |"
    yield "| --- | ---: |"
    for name, megabytes in rows:
        yield f"| {name} | {megabytes:.0f} |"
    yield f"| all | {sum(megabytes for _, megabytes in rows):.0f} |"


def main(words: Sequence[str]) -> int:
    """Write, check or measure; exit code 1 if something does not hold."""
    (site,) = HOME.glob("lib/python3*/site-packages")
    places = Places(site, SHARE / "requirements.lock", SHARE / "licences.toml")
    if list(words) == ["sizes"]:
        print("\n".join(size_lines(sizes(places, Path("/"), HOME))))
        return 0
    if list(words) not in (["write"], ["check"]):
        print("bill.py: give write, check or sizes", file=sys.stderr)
        return 2
    try:
        made = bill_files(places)
    except UnknownLicenceError as error:
        print(error, file=sys.stderr)
        return 1
    if list(words) == ["check"]:
        wrong = [name for name in made if not is_same(SHARE / name, made[name])]
        print(f"{len(made)} files, {len(wrong)} not as they should be", *wrong)
        return int(bool(wrong))
    for name, content in made.items():
        (SHARE / name).parent.mkdir(parents=True, exist_ok=True)
        (SHARE / name).write_bytes(content)
    return 0


def is_same(path: Path, content: bytes) -> bool:
    """Tell whether a file holds just this."""
    return path.is_file() and path.read_bytes() == content


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
