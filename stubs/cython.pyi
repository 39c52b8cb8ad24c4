# What our hot modules use of Cython's pure-Python mode, in the types that the plain build has.
from builtins import int as int  # noqa: PLC0414 - cython.int
from collections.abc import Callable
from typing import Any, TypeAlias, TypeVar

T = TypeVar("T")

compiled: bool
NULL: Any
Py_ssize_t = int
bint = bool
double = float
uchar = int
uint = int
ulonglong = int
longlong = int
void: TypeAlias = None
p_char = Any
p_uchar = Any

def declare(kind: Any, value: T) -> T: ...
def cast(kind: Any, value: Any) -> Any: ...
def cclass(cls: T) -> T: ...
def cfunc(function: T) -> T: ...
def ccall(function: T) -> T: ...
def inline(function: T) -> T: ...
def final(cls: T) -> T: ...
def freelist(size: Any) -> Callable[[T], T]: ...
def exceptval(value: Any = ..., *, check: bool = ...) -> Callable[[T], T]: ...
nogil: Any
