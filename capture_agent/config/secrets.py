"""What must not be shown: passwords in database URLs, keys in HEP URIs, authentication keys."""

import re
from typing import Any

MASK = "***"

_URL_PASSWORD = re.compile(r"(://[^:/@\s]*):.*@")
# Greedy up to the next separator: libpq and PyMySQL take a password as a parameter, too.
_PARAMETER = re.compile(r"((?:[?&;]|^)(?:key|password|passwd|passfile|sslpassword)=)[^&;]*", re.IGNORECASE)

_SECRET_NAME = re.compile(r"key|pass|secret|token|credential", re.IGNORECASE)


def mask_table(value: Any, name: str = "") -> Any:
    """Options of a package, whose secrets we do not know: told by their names."""
    if isinstance(value, dict):
        return {inner: mask_table(of_it, inner) for inner, of_it in value.items()}
    if _SECRET_NAME.search(name):
        return MASK if value else value
    if isinstance(value, list):
        return [mask_table(element) for element in value]
    return mask(value) if isinstance(value, str) else value


def mask(text: str) -> str:
    """A URL or URI without its secrets.

    >>> mask("postgresql://homer:s3cret@db/homer")
    'postgresql://homer:***@db/homer'
    >>> mask("hep+tcp:10.0.0.1:9060?version=3&key=s3cret")
    'hep+tcp:10.0.0.1:9060?version=3&key=***'
    """
    return _PARAMETER.sub(rf"\g<1>{MASK}", _URL_PASSWORD.sub(rf"\g<1>:{MASK}@", text))
