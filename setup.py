"""The compiled core: every module with a .pxd file is hot, one source built twice.

Without a C compiler, or with CAPTURE_AGENT_PURE=1, the same files run as plain Python.
"""

import os
from pathlib import Path

from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext
from setuptools.errors import CCompilerError, CompileError, ExecError, PlatformError

# Users wait for this: debug information costs a third of the time.
FLAGS = os.environ.get("CAPTURE_AGENT_CFLAGS", "-O2 -g0").split()
# Code that Cython would otherwise put into each module with memory views; Cython writes this module itself.
SHARED = "capture_agent._shared"
JOBS = os.cpu_count() or 1


class AllOrNothing(build_ext):
    """If one module does not compile, all stay plain: compiled modules cannot use plain ones."""

    def build_extensions(self) -> None:
        try:
            super().build_extensions()
        except (CCompilerError, CompileError, ExecError, PlatformError) as error:
            self.warn(f"this is the plain build, which is slower: {error}")
            for extension in self.extensions:
                Path(self.get_ext_fullpath(extension.name)).unlink(missing_ok=True)
            self.extensions = []


def hot_modules() -> list[Extension]:
    from Cython.Build import cythonize

    sources = [pxd.with_suffix(".py") for root in ("capture_agent", "hep") for pxd in Path(root).rglob("*.pxd")]
    # The longest first: otherwise it would keep the other processors waiting at the end.
    sources.sort(key=lambda source: (-source.stat().st_size, source))
    names = {".".join(source.with_suffix("").parts): str(source) for source in sources}
    links = [flag for flag in FLAGS if flag.startswith("-fsanitize")]
    return cythonize(
        [
            Extension(name, [source], extra_compile_args=FLAGS, extra_link_args=links)
            for name, source in {SHARED: SHARED.replace(".", "/") + ".c", **names}.items()
        ],
        shared_utility_qualified_name=SHARED,
        nthreads=JOBS,
        build_dir="build/cython",
        annotate=bool(os.environ.get("CAPTURE_AGENT_ANNOTATE")),
        compiler_directives={"language_level": "3", "boundscheck": True, "wraparound": False},
    )


setup(
    ext_modules=[] if os.environ.get("CAPTURE_AGENT_PURE") else hot_modules(),
    cmdclass={"build_ext": AllOrNothing},
    options={"build_ext": {"parallel": JOBS}},
)
