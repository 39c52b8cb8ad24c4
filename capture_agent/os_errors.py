"""Errors of the operating system in words."""

from __future__ import annotations


def in_words(error: OSError | ValueError) -> str:
    """`no such file or directory`: the end of a sentence, without the number and the name of the file."""
    text = (error.strerror if isinstance(error, OSError) else "") or str(error) or type(error).__name__
    return text[:1].lower() + text[1:]
