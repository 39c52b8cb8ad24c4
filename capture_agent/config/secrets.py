"""What must not be shown: passwords in database URLs, keys in HEP URIs, authentication keys."""

import re

MASK = "***"

_URL_PASSWORD = re.compile(r"(://[^:/@\s]*):.*@")
# Greedy up to the next separator: libpq and PyMySQL take a password as a parameter, too.
_PARAMETER = re.compile(r"((?:[?&;]|^)(?:key|password|passwd|passfile|sslpassword)=)[^&;]*", re.IGNORECASE)


def mask(text: str) -> str:
    """A URL or URI without its secrets.

    >>> mask("postgresql://homer:s3cret@db/homer")
    'postgresql://homer:***@db/homer'
    >>> mask("hep+tcp:10.0.0.1:9060?version=3&key=s3cret")
    'hep+tcp:10.0.0.1:9060?version=3&key=***'
    """
    return _PARAMETER.sub(rf"\g<1>{MASK}", _URL_PASSWORD.sub(rf"\g<1>:{MASK}@", text))
