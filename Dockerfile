# wmhflow as a BIDS-App. Build:  docker build -t wmhflow .
# (with --build-arg REVISION=$(git rev-parse HEAD) --build-arg SOURCE=ADDRESS the labels say where it comes from)
# Run:  docker run --rm -u "$(id -u):$(id -g)" -v BIDS:/data:ro -v OUT:/out wmhflow /data /out participant

# ---- build: the environment, from the lock --------------------------------------------------------
FROM debian:bookworm-slim AS build
RUN apt-get -qq update \
 && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends python3 python3-venv >/dev/null \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt

# Python 3.11 is Debian's own. Every Python package has the version and the hash of the lock.
COPY requirements.lock /src/
RUN python3 -m venv /opt/wmhflow \
 && /opt/wmhflow/bin/pip install --quiet --no-cache-dir --disable-pip-version-check \
      --no-deps --only-binary :all: --require-hashes -r /src/requirements.lock

COPY pyproject.toml README.md LICENSE /src/
COPY wmhflow /src/wmhflow
ARG VERSION=0.1.0
# What only builds or tests is taken out, and Arrow's network server. numpy keeps its tests:
# numpy.testing imports from them.
RUN cd /opt/wmhflow \
 && bin/pip install --quiet --no-cache-dir --disable-pip-version-check --no-deps --no-build-isolation /src \
 && bin/python -c "import sys, wmhflow; sys.exit(wmhflow.__version__ != '$VERSION')" \
 && bin/pip uninstall --yes --quiet editables hatchling trove-classifiers pip setuptools \
 && cd lib/python3*/site-packages \
 && rm -rf matplotlib/tests numba/tests pandas/tests prov/tests pyarrow/tests pyarrow/include \
      pyarrow/lib*_flight.so* pyarrow/_flight.*.so pyarrow/_pyarrow_cpp_tests.*.so \
 && find scipy sklearn statsmodels networkx nilearn -type d -name tests -prune -exec rm -rf {} + \
 && find . \( -name '*.pyx' -o -name '*.a' \) -delete

# The kernels are compiled here, once, for one named kind of CPU rather than for this machine's own:
# so the cache serves wherever the image runs, and the same input gives the same bytes there.
# x86-64-v3 is every x86 since 2013; for older ones and for ARM, build with --build-arg CPU=generic.
ARG CPU=x86-64-v3
ENV NUMBA_CACHE_DIR=/opt/wmhflow/cache/numba NUMBA_CPU_NAME=${CPU} NUMBA_CPU_FEATURES= \
    WMHFLOW_CACHE_DIR=/opt/wmhflow/cache
# The template's priors are drawn here too: no run in the image draws them again.
RUN /opt/wmhflow/bin/python -m wmhflow.core.warm \
 && /opt/wmhflow/bin/python -m wmhflow.files.template >/dev/null \
 && echo "$CPU" >/opt/wmhflow/cache/cpu

# The entry takes the place of the command that pip made.
COPY tools/entry.sh tools/bill.py tools/licences.toml /src/tools/
RUN cd /src \
 && install -m 755 tools/entry.sh /opt/wmhflow/bin/wmhflow \
 && install -D -m 644 -t /opt/wmhflow/share tools/bill.py tools/licences.toml requirements.lock \
 && /opt/wmhflow/bin/wmhflow --help >/dev/null \
 && chmod -R a+rX /opt/wmhflow

# ---- the image: Debian's Python and that environment ----------------------------------------------
FROM debian:bookworm-slim
RUN apt-get -qq update \
 && DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends python3 >/dev/null \
 && rm -rf /var/lib/apt/lists/* /var/cache/apt /var/log/apt /var/log/dpkg.log

COPY --from=build /opt/wmhflow /opt/wmhflow
# What is inside, and under which licences. The build ends here if a licence is not known, or is one
# that would bind the program (GPL, AGPL).
RUN /opt/wmhflow/bin/python -I -B /opt/wmhflow/share/bill.py write

# For what is started beside the entry, such as a shell; the entry sets its own.
# HOME, for a user whom the image does not know. Packages of the host's user stay out of the image.
ARG CPU=x86-64-v3
ENV PATH=/opt/wmhflow/bin:/usr/local/bin:/usr/bin:/bin \
    LANG=C.UTF-8 \
    LC_ALL=C.UTF-8 \
    HOME=/tmp \
    PYTHONNOUSERSITE=1 \
    PYTHONDONTWRITEBYTECODE=1 \
    NO_ET=1 \
    NUMBA_CACHE_DIR=/opt/wmhflow/cache/numba \
    WMHFLOW_CACHE_DIR=/opt/wmhflow/cache \
    NUMBA_CPU_NAME=${CPU} \
    NUMBA_CPU_FEATURES=

ARG VERSION=0.1.0
ARG REVISION=unknown
ARG SOURCE=unknown
LABEL org.opencontainers.image.title="wmhflow" \
      org.opencontainers.image.description="Samples quantitative maps in regions around white matter hyperintensities" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.vendor="The wmhflow developers" \
      org.opencontainers.image.base.name="debian:bookworm-slim"

WORKDIR /tmp
ENTRYPOINT ["/opt/wmhflow/bin/wmhflow"]
