"""What a document must be, whatever format it was read from."""

from __future__ import annotations

import re

from small_text_comal.experiments.data.user_error import UserError

__all__ = ["checked_document"]


def checked_document(text: object, labels: object, *, columns: tuple[str, str], where: str) -> tuple[str, list[str]]:
    """Return a document as its text and the names of its labels.

    Parameters
    ----------
    text : a string
    labels : a list of names, or of numbers from 0, which become names
    columns : where text and labels come from, for the messages
    where : the document, for the messages

    Raises
    ------
    UserError
        Says what was expected in which column.

    Examples
    --------
    >>> checked_document("a b", ["x", 3], columns=("text", "labels"), where="line 1")
    ('a b', ['x', '3'])
    """
    if not isinstance(text, str):
        raise UserError(f"{where}: expected a string in {columns[0]!r}, got {type(text).__name__}")
    if not isinstance(labels, list):
        raise UserError(f"{where}: expected a list of label names in {columns[1]!r}, got {type(labels).__name__}")
    for label in labels:
        if not isinstance(label, str) and not (type(label) is int and label >= 0):  # hidden labels are -1
            raise UserError(f"{where}: expected label names, or numbers from 0, in {columns[1]!r}, got {label!r}")
    names = [str(label) for label in labels]
    half = re.search("[\ud800-\udfff]", "\n".join([text, *names]))
    if half:  # JSON can write them, and no tokenizer and no file takes them
        raise UserError(f"{where}: expected whole characters, got {half.group()!r}, which is half a surrogate pair")
    return text, names
