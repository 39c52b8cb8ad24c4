"""The compiled core: every module with a .pxd beside it is a hot module, one source built twice.

Without a C compiler, or with CAPTURE_AGENT_PURE=1, the same files run as plain Python.
"""

import os
import shutil
import sys
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext


def hot_modules() -> list[Extension]:
    from Cython.Build import cythonize

    sources = sorted(pxd.with_suffix(".py") for root in ("capture_agent", "hep") for pxd in Path(root).rglob("*.pxd"))
    flags = os.environ.get("CAPTURE_AGENT_CFLAGS", "-O3").split()
    extensions = [
        Extension(
            ".".join(source.with_suffix("").parts),
            [str(source)],
            extra_compile_args=flags,
            extra_link_args=[flag for flag in flags if flag.startswith("-fsanitize")],
        )
        for source in sources
    ]
    return cythonize(
        extensions,
        build_dir="build/cython",
        annotate=bool(os.environ.get("CAPTURE_AGENT_ANNOTATE")),
        compiler_directives={"language_level": "3", "boundscheck": True, "wraparound": False},
    )


class AllOrNone(build_ext):
    """All hot modules or none: a compiled one cannot work on the records of a plain one."""

    def run(self) -> None:
        try:
            super().run()
        except Exception as error:  # compilers fail in many ways, and none of them is a reason not to install
            print(f"warning: no compiled core, the plain build is installed: {error}", file=sys.stderr)
            self.extensions = []
            for built in Path(self.build_lib).rglob("*.so"):
                built.unlink()
            shutil.rmtree(self.build_temp, ignore_errors=True)


setup(
    ext_modules=[] if os.environ.get("CAPTURE_AGENT_PURE") else hot_modules(),
    cmdclass={"build_ext": AllOrNone},
)
