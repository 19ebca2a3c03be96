#!/bin/sh
# wmhflow in its container image. The image's own Python runs with the image's packages and caches,
# whatever variables and folders of the host come in, and with no variables at all.
here=/opt/wmhflow

# libraries of the host first: all that follows is started without them
unset LD_LIBRARY_PATH LD_PRELOAD LD_AUDIT
names='PYTHON[A-Z0-9_]*|NUMBA_[A-Z0-9_]*|NIPYPE_[A-Z0-9_]*|MPL[A-Z0-9_]*|MATPLOTLIB[A-Z0-9_]*'
for name in $(/usr/bin/env | /bin/sed -nE "s/^($names)=.*/\1/p"); do
    unset "$name"
done

# the kind of processor that the kernels were compiled for when the image was built
read -r NUMBA_CPU_NAME <"$here/cache/cpu"
NUMBA_CPU_FEATURES=
NUMBA_CACHE_DIR=$here/cache/numba
WMHFLOW_CACHE_DIR=$here/cache
# caches and temporary files lie in the work folder, and nothing in the user's home
WMHFLOW_IN_IMAGE=1
NO_ET=1
LANG=C.UTF-8
LC_ALL=C.UTF-8
# programs of the user's own (--wmh-command) come first
PATH=${PATH:+$PATH:}$here/bin:/usr/local/bin:/usr/bin:/bin
export NUMBA_CPU_NAME NUMBA_CPU_FEATURES NUMBA_CACHE_DIR WMHFLOW_CACHE_DIR WMHFLOW_IN_IMAGE NO_ET \
    LANG LC_ALL PATH

# -I: no PYTHONPATH, no packages of the user's, no modules of the folder that one stands in.
# -B: no byte code is written.
exec "$here/bin/python" -I -B -m wmhflow "$@"
