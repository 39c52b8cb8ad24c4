"""The URL of an agent's HTTP door. Secrets have no place in it."""

from __future__ import annotations

from urllib.parse import urlsplit


def is_url(text: str) -> bool:
    return text.lower().startswith(("http://", "https://"))


def checked_url(text: str) -> str:
    """Without its path. Raises ValueError with what is wrong."""
    try:
        url = urlsplit(text)
        fits = url.hostname and url.port != 0 and url.path in ("", "/") and not (url.query or url.fragment)
        if not fits or "@" in url.netloc:
            raise ValueError
    except ValueError:
        raise ValueError("expected http://HOST:PORT or https://HOST:PORT") from None
    return f"{url.scheme}://{url.netloc}"
