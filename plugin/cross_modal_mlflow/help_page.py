"""The help of a command, from the docstrings of its configuration dataclasses.

jsonargparse could write it, but importing that alone takes a quarter of a second and more on a busy machine, and help
that hesitates is not asked for. This page is made by the standard library: what each setting means (the dataclass's
own Attributes section), what it takes, its default, and the short names.
"""

from __future__ import annotations

import dataclasses
import inspect
import re
import shutil
import textwrap
import typing
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from cross_modal.configuration import PartConfig
from cross_modal_mlflow.option_kinds import without_none

_INDENT, _WIDEST = 6, 110


def help_page(
    cls: type,
    *,
    command: str,
    usage: str,
    general: str,
    examples: str,
    positionals: Sequence[str] = (),
    aliases: Mapping[str, str] | None = None,
) -> str:
    """Writes the page.

    Args:
        cls: The dataclass whose fields are the options; every field has a default.
        command: The command's name.
        usage: What stands behind it in the first line.
        general: What every command takes.
        examples: The end of the page.
        positionals: Fields that are given without their name.
        aliases: Short name → path.

    Returns:
        The page, as wide as the terminal.
    """
    short = {path: name for name, path in (aliases or {}).items()}
    width = min(shutil.get_terminal_size((100, 24)).columns, _WIDEST)
    lines = [f"usage: cross-modal {command} {usage}", ""]
    for title, options in _sections(cls()):
        lines.append(f"{title}:")
        for path, hint, default, text in sorted(options, key=lambda option: option[0] not in positionals):
            lines.append(f"  {_names(path, hint, default, short, positionals)}")
            lines += textwrap.wrap(
                f"{text} {_default(default)}".strip(),
                width,
                initial_indent=" " * _INDENT,
                subsequent_indent=" " * _INDENT,
                break_on_hyphens=False,
            )
        lines.append("")
    return "\n".join([*lines, general, "", examples])


def attribute_docs(cls: type) -> dict[str, str]:
    """Field → what its class's docstring says of it, base classes included.

    >>> from cross_modal.configuration import EvaluationConfig
    >>> attribute_docs(EvaluationConfig)["ways"]
    'N, classes in an episode.'
    """
    docs: dict[str, str] = {}
    for base in reversed(cls.__mro__):
        _, _, body = inspect.cleandoc(base.__dict__.get("__doc__") or "").partition("Attributes:\n")
        name = None
        for line in body.splitlines():
            entry = re.match(r"    (\w+): (.*)", line)
            if entry:
                name = entry[1]
                docs[name] = entry[2]
            elif name and line.startswith("        "):
                docs[name] += f" {line.strip()}"
            elif line.strip():
                break
    return docs


_Option = tuple[str, Any, Any, str]  # path, type, default, text


def _sections(values: Any, prefix: str = "", title: str = "") -> Iterator[tuple[str, list[_Option]]]:
    """The dataclass's own fields (parts among them), then each nested dataclass as a section of its own."""
    cls = type(values)
    hints, docs = typing.get_type_hints(cls), attribute_docs(cls)
    own: list[_Option] = []
    nested: list[tuple[Any, str, str]] = []
    for each in dataclasses.fields(cls):
        inner, path, value = without_none(hints[each.name]), f"{prefix}{each.name}", getattr(values, each.name)
        text = docs.get(each.name, "")
        if inner is PartConfig:
            own.append((path, PartConfig, value, text))
            own.append((f"{path}.arguments", dict[str, Any], value.arguments if value else {}, ""))
        elif dataclasses.is_dataclass(inner):
            nested.append((value, f"{path}.", text.rstrip(".")))
        else:
            own.append((path, hints[each.name], value, text))
    if own:
        yield title or (inspect.getdoc(cls) or cls.__name__).splitlines()[0].rstrip("."), own
    for value, path, name in nested:
        yield from _sections(value, path, name)


def _names(path: str, hint: Any, default: Any, short: Mapping[str, str], positionals: Sequence[str]) -> str:
    if path in positionals:
        return path.upper()
    option = f"--{path.replace('_', '-')}{_takes(hint, default)}"
    return f"{option}, --{short[path].replace('_', '-')}" if path in short else option


def _takes(hint: Any, default: Any) -> str:
    """What stands behind an option: its choices, or what kind of value."""
    inner = without_none(hint)
    if inner is bool:
        return " {yes,no}" if default else ""
    if inner is PartConfig:
        return " NAME"
    if typing.get_origin(inner) is typing.Literal:
        return f" {{{','.join(map(str, typing.get_args(inner)))}}}"
    if inner == list[int]:
        return " N [N …]"
    if inner == list[str]:
        return " NAME [NAME …]"
    if typing.get_origin(inner) is dict:
        return ".KEY VALUE"
    return f" {({int: 'N', float: 'X'}).get(inner, 'TEXT')}"


def _default(value: Any) -> str:
    if isinstance(value, PartConfig):
        value = value.name
    if value is None or value in ("", {}, []):
        return ""
    if isinstance(value, bool):
        return f"(default: {'yes' if value else 'no'})"
    if isinstance(value, dict):
        return f"(default: {', '.join(f'{key} {inner}' for key, inner in value.items())})"
    if isinstance(value, list):
        return f"(default: {' '.join(map(str, value))})"
    return f"(default: {value:,})" if isinstance(value, int) and value >= 10_000 else f"(default: {value})"
