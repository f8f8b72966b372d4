"""Questions to a help desk, each meaning in several wordings: pairs of sentences that mean the same or do not.

A meaning is an intent and an object ("cancel", "my order"). Meanings never straddle splits; a pair that differs shares
its intent or its object, so that no single word gives the answer.

    python tests/toys/questions.py questions.csv
"""

import csv
import sys
from pathlib import Path

import numpy as np

OBJECTS = (
    "password", "account", "order", "invoice", "subscription", "delivery", "profile picture", "email address",
    "phone number", "gift card", "booking", "licence key", "backup", "mailbox", "payment card", "newsletter",
    "support ticket", "warranty", "voucher", "travel insurance", "user name", "shopping cart", "data plan", "router",
)  # fmt: skip
INTENTS = {
    "cancel": ("how do I cancel my {}?", "please stop my {}", "I do not want my {} any more", "{} cancellation"),
    "find": ("where can I find my {}?", "I cannot see my {}", "looking for my {}", "my {} has disappeared"),
    "change": ("how can I change my {}?", "I want another {}", "update the {}", "replace my {} by a new one"),
    "cost": ("what does the {} cost?", "how expensive is a {}?", "price of the {}", "how much do I pay for my {}?"),
    "share": ("can somebody else use my {}?", "share my {} with a friend", "give my family access to the {}",
              "use one {} for two people"),
    "broken": ("my {} does not work", "there is a problem with the {}", "error with my {}", "the {} seems broken"),
    "delete": ("delete my {}", "how do I get rid of the {}?", "remove the {} for good", "erase my {}"),
    "wait": ("when will my {} be ready?", "how long does the {} take?", "still waiting for my {}",
             "the {} is late"),
}  # fmt: skip
SPLITS = (("train", 0.7), ("validation", 0.15), ("test", 0.15))


def write_questions(file: Path, pairs: int = 6000, seed: int = 0) -> Path:
    """Writes a manifest with the columns text_a, text_b, same and split: half of the pairs mean the same."""
    random = np.random.default_rng(seed)
    meanings = [(intent, thing) for intent in INTENTS for thing in OBJECTS]
    parts = random.choice(len(SPLITS), len(meanings), p=[share for _, share in SPLITS])
    rows: dict[tuple[str, str], tuple[int, str]] = {}
    for part, (split, share) in enumerate(SPLITS):
        own = [meaning for meaning, at in zip(meanings, parts, strict=True) if at == part]
        for number in range(round(pairs * share)):
            a = own[random.integers(len(own))]
            near = [each for each in own if each != a and (each[0] == a[0] or each[1] == a[1])]
            b = a if number % 2 == 0 or not near else near[random.integers(len(near))]
            first, second = random.permutation(4)[:2] if a == b else random.integers(0, 4, 2)
            one, other = (INTENTS[m[0]][wording].format(m[1]) for m, wording in ((a, first), (b, second)))
            rows[min(one, other), max(one, other)] = (int(a == b), split)
    with file.open("w", newline="") as handle:
        table = csv.writer(handle)
        table.writerow(["text_a", "text_b", "same", "split"])
        table.writerows([one, other, same, split] for (one, other), (same, split) in rows.items())
    return file


if __name__ == "__main__":
    write_questions(Path(sys.argv[1]))
