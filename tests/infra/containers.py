"""Images without a Docker daemon: built by buildah, started read-only and as their own user.

The registry of the base image is out of reach for a test, so a Debian of our own stands for it:
the Dockerfiles take it as ``PYTHON_IMAGE``.
"""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.infra.conftest import INFRA, REPOSITORY

BUILDAH = ("buildah", "--storage-driver", "overlay")
BASE = "localhost/lavra-test/python:3.11"
CERTIFICATES = "/etc/ssl/certs:/etc/ssl/certs:ro"
# The base has what python:3.11-slim has: `python`, and a pip that may install.
PREPARE = "ln -sf python3 /usr/bin/python; rm -f /usr/lib/python3*/EXTERNALLY-MANAGED"
PACKAGES = "ca-certificates,netbase,python3-minimal,python3-pip,python3-venv,tzdata"
LOG_BYTES = 2**20
"""What a container may say before it is read: one that waits for a reader answers nobody."""
# A namespace of mounts: the image's root read-only, its volumes over it; then the image's user.
START = """
set -e
mount --make-rprivate /
mount --bind "$ROOT" "$ROOT"
mount -o remount,bind,ro "$ROOT"
mount --rbind /proc "$ROOT/proc"; mount --rbind /dev "$ROOT/dev"
mount -t tmpfs -o "mode=0700,uid=$USER_ID,gid=$USER_ID" tmpfs "$ROOT/var/lavra"
for bound in $BINDS; do
  mount --bind "${bound%%=*}" "$ROOT${bound#*=}"
  mount -o remount,bind,ro "$ROOT${bound#*=}"
done
exec chroot --userspec="$USER_ID:$USER_ID" --groups= "$ROOT" \
  /usr/bin/env -i "${VARIABLES[@]}" /bin/sh -c 'cd "$0" && exec "$@"' "$FOLDER" "$@"
"""


def check_tools() -> None:
    """Skip where images cannot be built."""
    missing = [name for name in ("buildah", "mmdebstrap", "unshare") if not shutil.which(name)]
    if missing or os.geteuid() != 0:
        pytest.skip(f"building images needs root, and apt-get install {' '.join(missing)}")


def run(*words: str, environment: dict[str, str] | None = None) -> str:
    """Run a program to its end; fail with what it said."""
    done = subprocess.run(
        words, capture_output=True, text=True, check=False, timeout=1500,
        env={**os.environ, **(environment or {})}, cwd=REPOSITORY,
    )  # fmt: skip
    assert done.returncode == 0, f"{words}: {done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


def ensure_base(folder: Path) -> None:
    """Make the image that stands for python:3.11-slim, unless it is there."""
    there = subprocess.run([*BUILDAH, "inspect", BASE], capture_output=True, check=False)
    if there.returncode == 0:
        return
    archive = folder / "base.tar"
    run("mmdebstrap", "--variant=apt", f"--include={PACKAGES}", "bookworm", str(archive))
    container = run(*BUILDAH, "from", "scratch").strip()
    run(*BUILDAH, "add", container, str(archive), "/")
    run(*BUILDAH, "run", "--isolation", "chroot", container, "sh", "-c", PREPARE)
    run(*BUILDAH, "commit", "--format", "docker", container, BASE)
    run(*BUILDAH, "rm", container)
    archive.unlink()


class Image:
    """An image of ours, built, and its root mounted for containers that cannot write to it."""

    def __init__(self, name: str, folder: Path) -> None:
        self.tag = f"localhost/lavra-test/{name}"
        run(
            *BUILDAH, "bud", "--isolation", "chroot", "--pull-never", "--format", "docker",
            "--layers", "--quiet", "--volume", CERTIFICATES, "--build-arg", f"PYTHON_IMAGE={BASE}",
            "--file", str(INFRA / "images" / f"{name}.Dockerfile"), "--tag", self.tag, ".",
            environment={"TMPDIR": str(folder)},
        )  # fmt: skip
        self.container = run(*BUILDAH, "from", self.tag).strip()
        self.root = Path(run(*BUILDAH, "mount", self.container).strip())
        described = json.loads(run(*BUILDAH, "inspect", "--type", "image", self.tag))
        self.config: dict[str, Any] = described["Docker"]["config"]
        self.megabytes = (
            sum(path.stat().st_size for path in self.root.rglob("*") if not path.is_symlink())
            // 2**20
        )

    def remove(self) -> None:
        """Forget the container; the image stays, for the next build's cache."""
        run(*BUILDAH, "umount", self.container)
        run(*BUILDAH, "rm", self.container)

    def start(
        self, words: Sequence[str], variables: dict[str, str], binds: dict[str, str]
    ) -> subprocess.Popen[str]:
        """Start a container; ``binds`` are read-only folders of this machine by their path."""
        for path in binds:
            (self.root / path.lstrip("/")).mkdir(parents=True, exist_ok=True)
        own = dict(each.split("=", 1) for each in self.config["Env"])
        given = {**own, **variables}
        script = (
            f"VARIABLES=({' '.join(shlex.quote(f'{k}={v}') for k, v in given.items())})\n{START}"
        )
        return subprocess.Popen(
            ["unshare", "--mount", "bash", "-c", script, "start", *words],
            env={
                "PATH": os.environ["PATH"],
                "ROOT": str(self.root),
                "USER_ID": str(self.config["User"]).split(":")[0],
                "BINDS": " ".join(f"{folder}={path}" for path, folder in binds.items()),
                "FOLDER": str(self.config["WorkingDir"]),
            },
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            pipesize=LOG_BYTES,
        )

    def health_check(
        self, variables: dict[str, str], binds: dict[str, str]
    ) -> subprocess.Popen[str]:
        """Start the image's own health check, beside a running container."""
        kind, *words = self.config["Healthcheck"]["Test"]
        assert kind == "CMD"
        return self.start(words, variables, binds)
