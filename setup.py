"""The compiled core: every module with a .pxd beside it is a hot module, one source built twice.

Without a C compiler, or with CAPTURE_AGENT_PURE=1, the same files run as plain Python.
"""

import os
from pathlib import Path

from setuptools import Extension, setup


def hot_modules() -> list[Extension]:
    from Cython.Build import cythonize

    sources = sorted(pxd.with_suffix(".py") for root in ("capture_agent", "hep") for pxd in Path(root).rglob("*.pxd"))
    flags = os.environ.get("CAPTURE_AGENT_CFLAGS", "-O3").split()
    extensions = [
        Extension(
            ".".join(source.with_suffix("").parts),
            [str(source)],
            optional=True,  # no compiler: setuptools warns and goes on
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


setup(ext_modules=[] if os.environ.get("CAPTURE_AGENT_PURE") else hot_modules())
