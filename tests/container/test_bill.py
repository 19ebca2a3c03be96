"""The bill of materials lists all that is inside; an unknown licence ends the build."""

from __future__ import annotations

import doctest
import json
from pathlib import Path

import pytest

from tests.builders import ROOT
from tools import bill

STATUS = """\
Package: bash
Status: install ok installed
Architecture: amd64
Version: 5.2-2+b7

Package: gone
Status: deinstall ok config-files
Architecture: all
Version: 1

Package: zlib1g
Status: install ok installed
Architecture: amd64
Version: 1:1.2
"""
BSD = "Redistribution and use in source and binary forms, ...\n"


@pytest.fixture
def places(tmp_path: Path) -> bill.Places:
    """An image in small: the program, two packages, a library, and Debian's bash and zlib."""
    site = tmp_path / "site"
    add(site, "wmhflow", "0.1", ["License-Expression: Apache-2.0"], {"__init__.py": "x = 1\n"})
    add(site, "Some_Thing", "1.0", ["License: MIT License"])
    add(site, "other", "2", ["License: BSD", f"{bill_classifier('BSD License')}"], text=BSD)
    (site / "other.libs").mkdir()
    (site / "other.libs/libgomp-1234.so.1").write_text("")
    (tmp_path / "lock").write_text("some-thing==1.0 \\\n    --hash=sha256:00\nother==2 ; x\n")
    (tmp_path / "status").write_text(STATUS)
    (tmp_path / "doc/bash").mkdir(parents=True)
    (tmp_path / "doc/bash/copyright").write_text("Files: *\nLicense: GPL-3+\n\nLicense: MIT\n")
    (tmp_path / "doc/zlib1g").mkdir()
    (tmp_path / "doc/zlib1g/copyright").write_text("see /usr/share/common-licenses/GPL-2.\n")
    rules = ROOT / "tools/licences.toml"
    return bill.Places(site, tmp_path / "lock", rules, tmp_path / "status", tmp_path / "doc")


def bill_classifier(name: str) -> str:
    return f"Classifier: License :: OSI Approved :: {name}"


def add(
    site: Path, name: str, version: str, told: list[str],
    files: dict[str, str] | None = None, text: str | None = "the text",
) -> None:  # fmt: skip
    """Install a package that holds next to nothing."""
    about = site / f"{name}-{version}.dist-info"
    about.mkdir(parents=True)
    lines = ["Metadata-Version: 2.4", f"Name: {name}", f"Version: {version}", *told]
    (about / "METADATA").write_text("\n".join([*lines, "", "words"]))
    record = [f"{about.name}/METADATA,,"]
    if text is not None:
        (about / "licenses").mkdir()
        (about / "licenses/LICENSE").write_text(text)
        record.append(f"{about.name}/licenses/LICENSE,,")
    for path, content in (files or {}).items():
        (site / name / path).parent.mkdir(parents=True, exist_ok=True)
        (site / name / path).write_text(content)
        record.append(f"{name}/{path},,")
    (about / "RECORD").write_text("\n".join(record) + "\n")


def test_everything_is_listed_with_version_and_licence(places: bill.Places) -> None:
    found = [(part.kind, part.name, part.version, part.licence) for part in bill.list_parts(places)]
    gomp = "GPL-3.0-or-later WITH GCC-exception-3.1"
    assert found == [
        ("python", "other", "2", "BSD-2-Clause"),
        ("python", "some-thing", "1.0", "MIT"),
        ("python", "wmhflow", "0.1", "Apache-2.0"),
        ("bundled", "other.libs/libgomp-1234.so.1", "", gomp),
        ("debian", "bash", "5.2-2+b7", "NOASSERTION"),
        ("debian", "zlib1g", "1:1.2", "NOASSERTION"),
    ]
    table = bill.table(bill.list_parts(places))
    assert "\tbash\t5.2-2+b7\tGPL-3+, MIT\t" in table
    assert "\tzlib1g\t1:1.2\tGPL-2\t" in table


@pytest.mark.parametrize(
    ("told", "text", "fault"),
    [
        (["License-Expression: GPL-3.0-only"], "x", "would bind"),
        (["License-Expression: MIT AND AGPL-3.0-or-later"], "x", "would bind"),
        (["License: something of ours"], "x", "not known"),
        (["License: BSD", bill_classifier("BSD License")], "do as you like", "not known"),
        (["License-Expression: MIT"], None, "no text"),
    ],
)
def test_a_package_that_may_not_be_inside_is_named(
    places: bill.Places, told: list[str], text: str | None, fault: str
) -> None:
    with places.lock.open("a") as stream:
        stream.write("bad==3\n")
    add(places.site, "bad", "3", told, text=text)
    with pytest.raises(bill.UnknownLicenceError, match=f"^bad 3.*{fault}"):
        bill.list_parts(places)


def test_a_package_that_the_lock_does_not_name_and_an_unknown_library_are_both_named(
    places: bill.Places,
) -> None:
    add(places.site, "other", "2.1", ["License-Expression: MIT"])
    (places.site / "other.libs/libnew-1.so").write_text("")
    with pytest.raises(bill.UnknownLicenceError) as caught:
        bill.list_parts(places)
    assert "other 2.1 is not in the lock" in str(caught.value)
    assert "libnew-1.so of other" in str(caught.value)


def test_the_document_is_spdx_and_the_same_each_time(places: bill.Places) -> None:
    files = bill.bill_files(places)
    assert bill.bill_files(places) == files
    document = json.loads(files["sbom.spdx.json"])
    assert document["spdxVersion"] == "SPDX-2.3"
    keys = [one["SPDXID"] for one in document["packages"]]
    assert len(set(keys)) == len(keys) == 7
    related = {one["relatedSpdxElement"] for one in document["relationships"]}
    assert related == set(keys)
    addresses = [ref["referenceLocator"] for one in document["packages"]
                 for ref in one.get("externalRefs", [])]  # fmt: skip
    assert "pkg:pypi/some-thing@1.0" in addresses
    assert "pkg:deb/debian/zlib1g@1%3A1.2?arch=amd64" in addresses
    assert files["licences/other-2/LICENSE"] == BSD.encode()


def test_a_changed_line_of_the_program_changes_the_document(places: bill.Places) -> None:
    before = bill.bill_files(places)["sbom.spdx.json"]
    (places.site / "wmhflow/__init__.py").write_text("x = 2\n")
    assert bill.bill_files(places)["sbom.spdx.json"] != before


def test_sizes_add_up_to_the_files_of_the_image(places: bill.Places, tmp_path: Path) -> None:
    home = tmp_path / "home"
    home.mkdir()
    places.site.rename(home / "site")
    moved = places._replace(site=home / "site")
    (home / "site/other").mkdir()
    (home / "site/other/big.bin").write_bytes(bytes(12_000_000))
    with (home / "site/other-2.dist-info/RECORD").open("a") as stream:
        stream.write("other/big.bin,,\n")
    (home / "cache").mkdir()
    (home / "cache/kernel.nbc").write_bytes(bytes(3_000_000))
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/kcore").write_bytes(bytes(9_000_000))
    (tmp_path / "usr").mkdir()
    (tmp_path / "usr/lib").write_bytes(bytes(2_000_000))
    rows = bill.sizes(moved, tmp_path, home)
    named = {name: round(megabytes) for name, megabytes in rows}
    assert named["other"] == 12
    assert named["2 smaller Python packages"] == 0
    assert named["compiled kernels and the template's priors"] == 3
    assert named["Debian with its Python"] == 2
    assert sum(megabytes for _, megabytes in rows) == pytest.approx(17, abs=0.1)
    assert list(bill.size_lines(rows))[-1] == "| all | 17 |"


def test_the_examples_hold() -> None:
    found = doctest.testmod(bill)
    assert found.attempted >= 3
    assert found.failed == 0


def test_a_link_counts_once(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(1000))
    (tmp_path / "link").symlink_to("file")
    assert bill.folder_size(tmp_path) == 1000
