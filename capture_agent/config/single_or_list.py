"""A list of one element can be written as that element: `method = "INVITE"`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydantic_core import CoreSchema


@dataclass(frozen=True, slots=True)
class Several:
    """Marks such a list. Its elements are text; a number is as good: 486 is "486"."""

    def __get_pydantic_core_schema__(self, source: Any, handler: Any) -> CoreSchema:
        from pydantic_core import core_schema  # only who validates pays for pydantic

        return core_schema.no_info_before_validator_function(listed, handler(source))


def listed(value: object) -> tuple[object, ...]:
    elements = value if isinstance(value, list) else [value]
    return tuple(str(each) if isinstance(each, int) and not isinstance(each, bool) else each for each in elements)
