"""``python -m wmhflow`` is the same as ``wmhflow``."""

import sys

from wmhflow.cli.main import main

if __name__ == "__main__":
    sys.exit(main())
