"""``python -m wmhflow`` is the same as ``wmhflow``."""

import sys


def start() -> int:
    """Run the program; one that is interrupted while its modules are read says so as any other."""
    try:
        from wmhflow.cli.main import main

        return main()
    except KeyboardInterrupt:
        sys.stderr.write("wmhflow: interrupted; the same command goes on from here.\n")
        return 130


if __name__ == "__main__":
    sys.exit(start())
