"""Reuters-21578 (Lewis 1997) as distributed: SGML files, here in the ModApte split."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from pathlib import Path

from small_text_comal.experiments.data.corpus import LabeledTexts, RawCorpus

__all__ = ["read_reuters"]

DOCUMENT = re.compile(r"<REUTERS\b([^>]*)>(.*?)</REUTERS>", re.DOTALL)
ATTRIBUTE = re.compile(r'(\w+)="([^"]*)"')
TOPICS = re.compile(r"<TOPICS>(.*?)</TOPICS>", re.DOTALL)
TOPIC = re.compile(r"<D>(.*?)</D>", re.DOTALL)
TITLE = re.compile(r"<TITLE>(.*?)</TITLE>", re.DOTALL)
BODY = re.compile(r"<BODY>(.*?)</BODY>", re.DOTALL)
UNPARSED = re.compile(r"<TEXT[^>]*>(.*?)</TEXT>", re.DOTALL)
TAG = re.compile(r"<[^>]+>")


def read_reuters(path: Path) -> RawCorpus:
    """Read ``reut2-*.sgm`` of a folder and split by ModApte, with the 90 topics that train and test both have.

    ModApte takes the documents with TOPICS="YES" and LEWISSPLIT="TRAIN" or "TEST"; those that have none of the shared
    topics are left out, which gives the usual 7,769 and 3,019 documents. The text is the title and the body.

    Raises
    ------
    FileNotFoundError
        When the folder has no such file.
    """
    files = sorted(path.glob("*.sgm"))
    if not files:
        raise FileNotFoundError(f"expected reut2-000.sgm to reut2-021.sgm in {path}, found no .sgm file")
    parts = {"TRAIN": LabeledTexts([], []), "TEST": LabeledTexts([], [])}
    for file in files:
        for split, text, topics in _stream(file.read_text(encoding="latin-1")):
            if split in parts and topics:
                parts[split].texts.append(text)
                parts[split].labels.append(topics)
    train, test = parts["TRAIN"], parts["TEST"]
    shared = _names(train) & _names(test)
    return RawCorpus(_only(train, shared), None, _only(test, shared))


def _stream(content: str) -> Iterator[tuple[str, str, list[str]]]:
    """Yield split, text and topics of the documents that were indexed (TOPICS="YES")."""
    for attributes, inside in DOCUMENT.findall(content):
        values = dict(ATTRIBUTE.findall(attributes))
        if values.get("TOPICS") == "YES":
            topics = TOPICS.search(inside)
            yield values.get("LEWISSPLIT", ""), _text(inside), TOPIC.findall(topics.group(1)) if topics else []


def _text(inside: str) -> str:
    """Title and body; documents of TYPE="UNPROC" have neither tag and give all their text."""
    pieces = [match.group(1) for match in (TITLE.search(inside), BODY.search(inside)) if match]
    if not pieces:
        pieces = [TAG.sub(" ", match.group(1)) for match in [UNPARSED.search(inside)] if match]
    # "&#3;" ends every body; control characters would otherwise reach the tokenizer
    text = html.unescape(re.sub(r"&#\d+;", " ", " ".join(pieces)))
    return " ".join(text.split())


def _names(documents: LabeledTexts) -> set[str]:
    return {name for names in documents.labels for name in names}


def _only(documents: LabeledTexts, shared: set[str]) -> LabeledTexts:
    labels = [[name for name in names if name in shared] for names in documents.labels]
    kept = [i for i, names in enumerate(labels) if names]
    return LabeledTexts([documents.texts[i] for i in kept], [labels[i] for i in kept])
