"""Ends what a killed `lavra up` left behind: ``python -m lavra.local.guardian STATE_DIR``.

The supervisor holds the other end of this program's standard input and writes ``bye`` before it
ends by itself. An end of file without that means it was killed. The guardian lives in a session
of its own, so that a closed terminal or a killed group does not take it along; it works the same
on Linux and macOS, unlike a parent-death signal. If it is killed too, the next `lavra up` or
`lavra down` clears the leftovers.
"""

from __future__ import annotations

import signal
import sys
from pathlib import Path


def main(state: Path) -> None:
    """Wait for the supervisor to end, and clear up unless it did so itself."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if sys.stdin.buffer.read().endswith(b"bye"):
        return
    # Imported only now: a guardian should weigh nothing while all is well.
    from lavra.local.postgres_servers import stop_unused_servers  # noqa: PLC0415
    from lavra.local.run_file import RunFile  # noqa: PLC0415

    run_file = RunFile(state)
    with run_file.hold_to_clear() as held:
        if held:  # otherwise a new supervisor was faster, and cleared up itself
            run_file.clear_leftovers()
            stop_unused_servers(state)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
