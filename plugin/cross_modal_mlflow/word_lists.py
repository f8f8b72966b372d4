"""Options that take several whole words, such as file names and sentences with blanks and commas in them.

The general grammar cuts lists at blanks and commas, which is right for names of methods and wrong for what users look
for. Here such words are gathered first, and handed on as JSON lists.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

from cross_modal_mlflow.option_kinds import option_kinds

_TRUTH = {"true", "yes", "on", "false", "no", "off"}


def gather_words(
    words: Sequence[str],
    cls: type,
    lists: Sequence[str],
    *,
    positional: str | None = None,
    first: int = 1,
    aliases: Mapping[str, str] | None = None,
) -> list[str]:
    """Puts each list of whole words into one word that `arguments.parse` reads.

    Args:
        words: What the user typed after the command.
        cls: The dataclass of the options, which says which of the others take a value.
        lists: Its fields that are such lists. Given several times, an option adds to its list.
        positional: The one of them that takes nameless words.
        first: How many nameless words stand before those (the gallery).
        aliases: Other names for options.

    Returns:
        The words, nameless ones first.

    Example:
        >>> from dataclasses import dataclass, field
        >>> @dataclass
        ... class Options:
        ...     gallery: str = ""
        ...     text: list[str] = field(default_factory=list)
        ...     top: int = 10
        >>> gather_words(["g", "--text", "a b, c", "d", "--top", "3"], Options, ["text"])
        ['g', '--top', '3', '--text=["a b, c", "d"]']
    """
    grammar, named = option_kinds(cls), dict(aliases or {})
    gathered: dict[str, list[str]] = {name: [] for name in lists}
    nameless, rest, queue = list[str](), list[str](), list(words)
    while queue:
        word = queue.pop(0)
        if not word.startswith("--"):
            nameless.append(word)
            continue
        name, equals, value = word[2:].partition("=")
        path = named.get(name, name.replace("-", "_"))
        if path in gathered:
            gathered[path] += [value] if equals else _until_option(queue)
            continue
        rest.append(word)
        if equals:
            continue
        switch = grammar.get(path) == "switch" or path in ("print_config", "help", "h")
        if queue and not queue[0].startswith("--") and (not switch or queue[0].lower() in _TRUTH):
            rest.append(queue.pop(0))
    kept = nameless if positional is None else nameless[:first]
    if positional is not None:
        gathered[positional] = nameless[first:] + gathered[positional]
    return [
        *kept,
        *rest,
        *(f"--{name}={json.dumps(found, ensure_ascii=False)}" for name, found in gathered.items() if found),
    ]


def _until_option(queue: list[str]) -> list[str]:
    taken = []
    while queue and not queue[0].startswith("--"):
        taken.append(queue.pop(0))
    return taken
