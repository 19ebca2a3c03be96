"""The definition for Apptainer makes the image that the Dockerfile makes."""

from __future__ import annotations

import re
from itertools import pairwise

import pytest

from tests.builders import ROOT
from tools.definition import definition, instructions, read_stages

DOCKERFILE = (ROOT / "Dockerfile").read_text(encoding="utf-8")
MADE = (ROOT / "Apptainer.def").read_text(encoding="utf-8")
SMALL = """\
# two stages
FROM base:1 AS build
ARG WHO=me
COPY one /src/
COPY two three /src/more/
RUN make a \\
 # not a step
 && make b
ENV A=${WHO} B="b c"
RUN cd /x

FROM base:2
COPY --from=build /opt /opt
LABEL name="${WHO}" \\
      other=x
WORKDIR /tmp
ENTRYPOINT ["/opt/bin/it"]
"""


def test_the_file_is_the_one_that_the_dockerfile_gives() -> None:
    assert definition(DOCKERFILE) == MADE, "run: python -m tools.definition"


def test_stages_are_read() -> None:
    build, last = read_stages(SMALL)
    assert (build.base, build.name, last.base) == ("base:1", "build", "base:2")
    assert build.copied == [("one", "/src/one"), ("two", "/src/more/two"),
                            ("three", "/src/more/three")]  # fmt: skip
    assert build.steps == ['WHO="{{ WHO }}"', "(\nmake a \\\n && make b\n)", 'export A="${WHO}"',
                           'export B="b c"', "(\ncd /x\n)"]  # fmt: skip
    assert last.taken == [("build", "/opt", "/opt")]
    assert last.labels == {"name": "${WHO}", "other": "x"}
    assert last.entry == ["/opt/bin/it"]


@pytest.mark.parametrize("line", ["VOLUME /x", "COPY a /usr/", "ADD a /src/"])
def test_what_apptainer_could_not_follow_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="Dockerfile"):
        read_stages(f"FROM base\n{line}\n")


def test_every_step_of_the_dockerfile_stands_in_the_definition_in_order() -> None:
    """Read apart from the code that writes it."""
    runs = re.findall(r"^RUN (.*?[^\\])$", DOCKERFILE, re.MULTILINE | re.DOTALL)
    assert len(runs) == 7
    places = [MADE.index(f"(\n{run}\n)") for run in runs[:5]]
    last = MADE.index("Stage: final")
    places += [MADE.index(f"(\n{run}\n)", last) for run in runs[5:]]
    assert all(one < other for one, other in pairwise(places))
    bases = re.findall(r"^FROM (\S+)", DOCKERFILE, re.MULTILINE)
    assert re.findall(r"^From: (\S+)", MADE, re.MULTILINE) == bases
    assert len(bases) == 2
    labels = re.findall(r"(org\.opencontainers\.image\.[\w.]+)=", DOCKERFILE)
    assert len(labels) == 8
    assert all(f"    {label} " in MADE for label in labels)


def test_the_build_context_holds_all_that_is_copied() -> None:
    ignored = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()
    for name, rest in instructions(DOCKERFILE):
        if name == "COPY" and not rest.startswith("--from"):
            for source in rest.split()[:-1]:
                assert f"!{source}" in ignored
                assert (ROOT / source).exists()


def test_the_version_of_the_image_is_the_programs() -> None:
    import wmhflow

    assert set(re.findall(r"^ARG VERSION=(.*)$", DOCKERFILE, re.MULTILINE)) == {wmhflow.__version__}
