"""How the type of an option says that it is written as text, or as one element of a list."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic_core import CoreSchema


@dataclass(frozen=True, slots=True)
class Parsed:
    """Marks a type that is written as text, or also as a number: pydantic calls `parse` for it."""

    parse: Callable[[str], object]
    expected: str
    numbers: bool = False

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> CoreSchema:
        from pydantic_core import core_schema  # pydantic is imported only to validate

        written: CoreSchema = core_schema.str_schema()
        if self.numbers:
            number = core_schema.no_info_after_validator_function(str, core_schema.int_schema())
            written = core_schema.tagged_union_schema(
                {"int": number, "str": written}, lambda value: type(value).__name__
            )
        return core_schema.no_info_after_validator_function(self.parse, written)


@dataclass(frozen=True, slots=True)
class SingleOrList:
    """Marks a list that may be written as its only element: `method = "INVITE"`. Numbers become text: 486 is "486"."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> CoreSchema:
        from pydantic_core import core_schema  # pydantic is imported only to validate

        return core_schema.no_info_before_validator_function(listed, handler(source))


def listed(value: object) -> tuple[object, ...]:
    elements = value if isinstance(value, list) else [value]
    return tuple(str(each) if isinstance(each, int) and not isinstance(each, bool) else each for each in elements)
