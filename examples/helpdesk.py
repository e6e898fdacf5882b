"""Writes a multi-label help-desk corpus from a seed: 12 labels, one to three a document, as JSON lines.

python examples/helpdesk.py tickets.jsonl --documents 1500 --seed 1
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import numpy as np

# label: what a customer writes about, and what is wrong with it
TOPICS = {
    "billing": (
        ["invoice", "bill", "statement", "monthly fee", "credit card charge", "tax line"],
        ["is higher than we agreed", "was charged twice", "shows the wrong amount", "carries an old price"],
    ),
    "login": (
        ["password", "sign-in page", "verification code", "user name", "reset link", "session"],
        ["is not accepted any more", "expires at once", "never arrives by mail", "locks me out"],
    ),
    "delivery": (
        ["parcel", "shipment", "order", "courier", "tracking number", "box"],
        ["went to the wrong address", "is two weeks late", "has been at the depot for days", "was left in the rain"],
    ),
    "crash": (
        ["editor", "desktop client", "export wizard", "viewer", "installer", "importer"],
        ["closes without a word", "freezes and has to be killed", "ends with an error report", "crashes on start"],
    ),
    "refund": (
        ["refund", "deposit", "money for the return", "credit note", "repayment", "cashback"],
        ["has not reached my bank", "is still pending", "covers only half of the price", "was refused"],
    ),
    "performance": (
        ["dashboard", "search", "report", "nightly job", "query", "start page"],
        ["takes minutes to load", "became very slow", "times out in the morning", "eats all memory"],
    ),
    "account": (
        ["company name", "contact address", "team seat", "user role", "owner of the workspace", "profile"],
        ["has to be changed", "belongs to a colleague who left", "needs new rights", "should be merged with another"],
    ),
    "feature": (
        ["dark theme", "calendar view", "bulk edit", "keyboard shortcut", "template", "filter"],
        ["would help us a lot", "is missing and we want it", "should be possible", "would be a nice addition"],
    ),
    "mobile": (
        ["phone app", "tablet version", "push notification", "camera upload", "home screen widget", "offline mode"],
        ["does nothing on my phone", "drains the battery", "disappeared after the update", "ignores my taps"],
    ),
    "integration": (
        ["webhook", "calendar sync", "connector", "access token", "plugin", "data feed"],
        ["stopped sending events", "returns error 403", "does not talk to our system", "drops every third record"],
    ),
    "cancellation": (
        ["subscription", "contract", "membership", "renewal", "plan", "trial"],
        ["has to end this month", "should not be renewed", "is to be cancelled", "must stop before the next period"],
    ),
    "privacy": (
        ["personal data", "consent form", "address book", "recording", "log file", "backup"],
        ["has to be erased", "was shown to strangers", "should be handed over to me", "is kept longer than allowed"],
    ),
}
LABELS = list(TOPICS)
# the first labels are common, the last ones rare, as in real ticket systems
FREQUENCY = np.linspace(1.0, 0.25, len(LABELS)) / np.linspace(1.0, 0.25, len(LABELS)).sum()
LABELS_A_DOCUMENT = [0.45, 0.35, 0.20]

COMPLAINTS = ["The {thing} {trouble}.", "Since {day} the {thing} {trouble}.", "Our {thing} {trouble}, please help."]
# names a thing of another label without any trouble: the thing alone does not decide
ASIDES = ["The {thing} is fine by the way.", "I also looked at the {thing}.", "We like the {thing} a lot."]
OPENINGS = ["Hello,", "Good morning,", "Dear team,", "Hi there,", ""]
CLOSINGS = ["Thank you.", "Please call me back.", "Ticket {number} was about the same.", "Best regards", ""]
DAYS = ["Monday", "yesterday", "last week", "the update", "the first of the month"]
ASIDE_SHARE = 0.5


def _pick(options: list[str], rng: np.random.Generator) -> str:
    return options[rng.integers(len(options))]


def _sentence(label: str, patterns: list[str], rng: np.random.Generator) -> str:
    things, troubles = TOPICS[label]
    return _pick(patterns, rng).format(thing=_pick(things, rng), trouble=_pick(troubles, rng), day=_pick(DAYS, rng))


def ticket(rng: np.random.Generator) -> dict[str, object]:
    """Return one document, {"text": ..., "labels": [...]}: one complaint for each label, in noise.

    Examples
    --------
    >>> ticket(np.random.default_rng(1))["labels"]
    ['login']
    """
    count = 1 + rng.choice(len(LABELS_A_DOCUMENT), p=LABELS_A_DOCUMENT)
    chosen = rng.choice(len(LABELS), size=count, replace=False, p=FREQUENCY)
    sentences = [_sentence(LABELS[label], COMPLAINTS, rng) for label in chosen]
    if rng.random() < ASIDE_SHARE:
        other = rng.choice(np.setdiff1d(np.arange(len(LABELS)), chosen))
        sentences.insert(rng.integers(len(sentences) + 1), _sentence(LABELS[other], ASIDES, rng))
    closing = _pick(CLOSINGS, rng).format(number=rng.integers(1000, 9999))
    text = " ".join([_pick(OPENINGS, rng), *sentences, closing]).strip()
    return {"text": text, "labels": [LABELS[label] for label in sorted(chosen)]}


def write_tickets(path: Path, n_documents: int = 1500, *, seed: int = 1) -> None:
    """Write `n_documents` documents to a JSON-lines file; the same seed writes the same file."""
    rng = np.random.default_rng(seed)
    lines = (json.dumps(ticket(rng)) + "\n" for _ in range(n_documents))
    path.write_text("".join(lines), encoding="utf-8")


def main() -> None:
    """Write the file that the command line names."""
    parser = argparse.ArgumentParser(description="Write a multi-label help-desk corpus as JSON lines.")
    parser.add_argument("path", type=Path)
    parser.add_argument("--documents", type=int, default=1500)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    write_tickets(options.path, options.documents, seed=options.seed)


if __name__ == "__main__":
    main()
