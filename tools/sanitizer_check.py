"""Checks that tools/sanitize works: sanitizer_check.py modules FOLDER... | behind LIBRARY | overflow LIBRARY

modules    every hot module in these folders is built with AddressSanitizer, and this Python imports that build
behind     reads the byte after a bytes object, which must end the process
overflow   adds one to the largest int, which must end the process
"""

import ctypes
import sys
from importlib.util import find_spec
from pathlib import Path

MARK = b"__asan_init"  # the sanitizer of undefined behaviour leaves no symbol


def unsanitized(folders: list[str]) -> list[str]:
    hot = [pxd.with_suffix("") for folder in folders for pxd in sorted(Path(folder).rglob("*.pxd"))]
    if not hot:
        return ["no hot module was found"]
    return [str(path) for path in hot if not is_sanitized(".".join(path.parts))]


def is_sanitized(name: str) -> bool:
    spec = find_spec(name)
    if spec is None or spec.origin is None or not Path(spec.origin).is_relative_to(Path.cwd()):
        return False
    code = Path(spec.origin).read_bytes()
    return spec.origin.endswith(".so") and MARK in code


def main() -> int:
    what, *arguments = sys.argv[1:]
    if what == "modules":
        sys.path.insert(0, "")
        missing = unsanitized(arguments)
        print("\n".join(missing), end="\n" if missing else "")
        return bool(missing)
    library = ctypes.CDLL(arguments[0])
    text = bytes(range(1, 100))
    if what == "behind":
        library.behind(text, len(text) + 1)  # text[len(text)] is the NUL that belongs to it
    else:
        library.overflow(2**31 - 1, 1)
    return 0


if __name__ == "__main__":
    sys.exit(main())
