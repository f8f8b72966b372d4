"""From the words of a command line to a configuration dataclass, by jsonargparse.

jsonargparse reads ``--dotted.path=VALUE`` and YAML; the words are put into that form first, which gives what people
type: dashes or underscores, lists of several words (``--ways 5 20``, ``--methods prototypes tip_adapter``), switches
without a value (``--split-prefix``), short names for deep paths, a part by its bare name (``--objective.miner
AngularMiner``), options in any order with the command line winning over the file, and one-line errors with the nearest
legal name.

A part is a name *with* its arguments: whoever names another loss gets none of the old one's arguments.
"""

from __future__ import annotations

import argparse
import dataclasses
import difflib
import json
import re
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from cross_modal.errors import CrossModalError
from cross_modal_mlflow.command_line import GENERAL_OPTIONS
from cross_modal_mlflow.help_page import help_page
from cross_modal_mlflow.option_kinds import option_kinds

Options = TypeVar("Options")

#: Short names, where the path they stand for exists.
ALIASES = {
    "split_by": "items.split_by",
    "split_prefix": "items.split_prefix",
    "on_bad_item": "items.on_bad_item",
    "freeze": "twin.freeze",
}
_TRUTH = {"true": "true", "yes": "true", "on": "true", "false": "false", "no": "false", "off": "false"}


def parse(
    cls: type[Options],
    words: Sequence[str],
    *,
    command: str,
    examples: str,
    usage: str,
    positionals: Sequence[str] = (),
    config: str | None = None,
) -> Options:
    """Reads the words into a dataclass; prints and leaves on ``--help`` and ``--print_config``.

    Args:
        cls: The dataclass; its fields are the options.
        words: What the user typed after the command.
        command: The command's name.
        examples: What the help ends with.
        usage: The help's first line, past "cross-modal COMMAND".
        positionals: Fields that may be given without their name, in this order.
        config: A YAML file under the user's own ones.

    Returns:
        An instance of `cls`.

    Raises:
        CrossModalError: If a word is unknown or a value does not fit, in one line.
    """
    if {"-h", "--help"} & set(words):
        print(
            help_page(
                cls,
                command=command,
                usage=usage,
                general=GENERAL_OPTIONS,
                examples=examples,
                positionals=positionals,
                aliases=ALIASES,
            )
        )
        raise SystemExit(0)
    from jsonargparse import ArgumentParser

    grammar = option_kinds(cls)
    parser = ArgumentParser(prog=f"cross-modal {command}", exit_on_error=False)
    parser.add_argument("--config", action="config")
    parser.add_class_arguments(cls)
    try:
        values = parser.instantiate(parser.parse_args(rewrite(words, grammar, positionals=positionals, config=config)))
    except (argparse.ArgumentError, TypeError, ValueError) as error:
        if isinstance(error, CrossModalError):
            raise
        raise CrossModalError(_sentence(str(error), grammar)) from error
    return cls(**{field.name: values[field.name] for field in dataclasses.fields(cls)})  # type: ignore[arg-type]


def rewrite(
    words: Sequence[str],
    grammar: Mapping[str, str],
    *,
    positionals: Sequence[str] = (),
    config: str | None = None,
) -> list[str]:
    """Puts words into the form ``--dotted.path=VALUE``: files first, then parts' names, then the rest.

    Args:
        words: What the user typed.
        grammar: What `option_kinds` gives.
        positionals: Fields that may be given without their name.
        config: A YAML file under the user's own ones.

    Raises:
        CrossModalError: If an option is unknown or a word belongs to none.

    Example:
        >>> rewrite(["--ways", "5", "20", "--within-prefix"], {"ways": "integers", "within_prefix": "switch"})
        ['--ways=[5,20]', '--within_prefix=true']
    """
    files: list[str] = [] if config is None else [config]
    named: dict[str, str] = {}
    rest: list[str] = []
    nameless, queue = list(positionals), list(words)
    while queue:
        word = queue.pop(0)
        if not word.startswith("--"):
            if not nameless:
                raise CrossModalError(f"expected options (--name VALUE), found {word!r}")
            rest.append(f"--{nameless.pop(0)}={word}")
            continue
        name, equals, value = word[2:].partition("=")
        if name.replace("-", "_") == "print_config":
            rest.append(f"--print_config{equals}{value}")
            continue
        path, kind = _resolve(name, grammar)
        taken = _as_list(value, kind) if equals else _take_value(path, kind, queue)
        if path == "config":
            files.append(taken)
        elif kind == "part" and re.fullmatch(r"\w+", taken):
            if taken.lower() in {"none", "null"}:
                rest.append(f"--{path}=null")
            else:
                named[path] = taken
        elif path.endswith(".name") and grammar.get(path.removesuffix(".name")) == "part":
            named[path.removesuffix(".name")] = taken
        else:
            rest.append(f"--{path}={taken}")
    return [*_with_fresh_parts(files, named, grammar), *rest]


def _resolve(name: str, grammar: Mapping[str, str]) -> tuple[str, str]:
    """The path and kind of an option as typed."""
    path = name.replace("-", "_")
    path = ALIASES[path] if path not in grammar and ALIASES.get(path) in grammar else path
    if path == "config":
        return path, "value"
    if path in grammar:
        return path, grammar[path]
    for parent, kind in grammar.items():
        if kind == "free" and path.startswith(f"{parent}."):
            return path, "value"
    raise CrossModalError(f"--{name}: no such option{_nearest(path, grammar)}")


def _take_value(path: str, kind: str, queue: list[str]) -> str:
    """Takes an option's value from the words after it."""
    if kind == "switch":
        return _TRUTH[queue.pop(0).lower()] if queue and queue[0].lower() in _TRUTH else "true"
    if kind == "integers" and queue and re.fullmatch(r"[+-]?\d+", queue[0]):
        numbers = []
        while queue and re.fullmatch(r"[+-]?\d+", queue[0]):
            numbers.append(queue.pop(0))
        return f"[{','.join(numbers)}]"
    if kind == "words" and queue and not queue[0].startswith("--"):
        words = []
        while queue and not queue[0].startswith("--"):
            words.append(queue.pop(0))
        return _as_list(",".join(words), kind)
    if not queue or queue[0].startswith("--"):
        raise CrossModalError(f"--{path}: expected a value, found nothing")
    return queue.pop(0)


def _as_list(value: str, kind: str) -> str:
    """Words with commas or blanks between them as a list; a list as YAML writes it, and any other kind, stay."""
    if kind != "words" or value.startswith("["):
        return value
    return json.dumps([word for word in re.split(r"[,\s]+", value) if word])


def _with_fresh_parts(files: list[str], named: dict[str, str], grammar: Mapping[str, str]) -> list[str]:
    """The files and the parts' names as words; a part that takes another name loses the old one's arguments."""
    from cross_modal.configuration import ObjectiveConfig

    prefix = "objective."
    default = getattr(ObjectiveConfig(), "loss", None)
    current: dict[str, str | None] = {path: None for path, kind in grammar.items() if kind == "part"}
    if f"{prefix}loss" in current and default is not None:
        current[f"{prefix}loss"] = default.name
    words = []
    for file in files:
        words.append(f"--config={file}")
        for path, part in _parts_in(file, current).items():
            if part.get("name", current[path]) != current[path] and "arguments" not in part and current[path]:
                words.append(f"--{path}.arguments={{}}")
            current[path] = part.get("name", current[path])
    for path, name in named.items():
        words.append(f"--{path}.name={name}")
        if name != current[path]:
            words.append(f"--{path}.arguments={{}}")
    return words


def _parts_in(file: str, paths: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The parts that a YAML file names; a file that cannot be read is the parser's to complain about."""
    import yaml

    try:
        with open(file, encoding="utf-8") as stream:
            content = yaml.safe_load(stream)
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return {}
    found = {}
    for path in paths:
        node = content
        for key in path.split("."):
            node = node.get(key) if isinstance(node, dict) else None
        if isinstance(node, dict):
            found[path] = node
    return found


def _nearest(path: str, grammar: Mapping[str, str]) -> str:
    """What to say about an unknown option: the nearest known one, by its whole path or by its last word."""
    near = difflib.get_close_matches(path, grammar, n=1, cutoff=0.75)
    if not near:
        deepest_first = sorted(grammar, key=lambda known: -known.count("."))  # of equal words the shallowest is meant
        last = {known.rsplit(".", 1)[-1]: known for known in deepest_first}
        near = [last[word] for word in difflib.get_close_matches(path.rsplit(".", 1)[-1], last, n=1, cutoff=0.75)]
    return f" (did you mean --{near[0]}?)" if near else " (--help lists them)"


def _sentence(text: str, grammar: Mapping[str, str]) -> str:
    """Jsonargparse's complaint as one line of ours: which option, what was expected, what was found."""
    text = " ".join(text.split())
    key = re.match(r'Parser key "([^"]+)": (.*)', text)
    option, text = (f"--{key[1]}: ", key[2]) if key else ("", text)
    known = re.match(r"Expected an? (.*)\. Got value: (.*)$", text)
    if known:
        expected = re.sub(r"<class '([\w.]+)'>", r"\1", known[1])
        literal = re.match(r"typing\.Literal\[(.*)\]$", expected)
        expected = f"one of {literal[1]}" if literal else expected
        if key and grammar.get(key[1]) == "integers":
            expected = "whole numbers"
        return f"{option}expected {expected}, found {known[2]!r}"
    unknown = re.search(r"Group '(.*)' does not accept option '(.*)'", text)
    if unknown:
        path = f"{unknown[1]}.{unknown[2]}"
        return f"{path}: no such setting{_nearest(path, grammar)}"
    return f"{option}{text[:1].lower()}{text[1:]}"[:500]
