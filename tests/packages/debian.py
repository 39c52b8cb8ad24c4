"""A Debian system that has just been installed, in a folder, with a network of its own that leads nowhere."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from cached_folders import cached
from faults.interfaces import Namespace

ENVIRON = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "DEBIAN_FRONTEND": "noninteractive"}
# /proc goes with the mount namespace: nothing of it stays in the folder.
INSIDE = 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"'


def release() -> str:
    lines = Path("/etc/os-release").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line)["VERSION_CODENAME"]


def base(packages: Sequence[str]) -> Path:
    """The essential packages of this host's release, and these with what they depend on; kept for the next run."""

    def install(folder: Path) -> None:
        command = ["mmdebstrap", "--quiet", "--variant=essential", f"--include={','.join(packages)}", release()]
        subprocess.run([*command, folder], check=True, capture_output=True, timeout=600)
        # fsync for each file protects what nobody keeps.
        (folder / "etc/dpkg/dpkg.cfg.d/unsafe-io").write_text("force-unsafe-io\n")

    return cached(f"debian-{'-'.join([release(), *packages])}", install)


class Machine:
    def __init__(self, root: Path, network: Namespace) -> None:
        self.root = root
        self.network = network

    def command(self, *words: str) -> list[str]:
        """The words of a program that runs inside. It is the process itself: a signal reaches it."""
        return self.network.command("unshare", "--mount", "sh", "-c", INSIDE, str(self.root), *words)

    def run(self, *words: str) -> str:
        done = subprocess.run(
            self.command(*words), env=ENVIRON, capture_output=True, text=True, check=False, timeout=300
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def path(self, absolute: str) -> Path:
        return self.root / absolute.removeprefix("/")


@contextmanager
def machine(folder: Path, packages: Sequence[str]) -> Iterator[Machine]:
    root = folder / "root"
    subprocess.run(["cp", "-a", "--reflink=auto", base(packages), root], check=True, timeout=300)
    network = Namespace(f"deb-{os.getpid()}")
    try:
        yield Machine(root, network)
    finally:
        network.delete()
        shutil.rmtree(root)
