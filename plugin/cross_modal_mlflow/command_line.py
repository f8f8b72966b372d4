"""``cross-modal COMMAND``: finds the command, runs it, and turns every error into one line.

Answering fast is part of the interface: this module imports nothing but the standard library, a command's ``--help``
adds jsonargparse, and torch and MLflow are imported by the work that needs them.
"""

from __future__ import annotations

import difflib
import importlib
import io
import json
import os
import signal
import sys
import time
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType
from typing import NoReturn

from cross_modal.errors import CrossModalError

#: Command → (its module under `cross_modal_mlflow.commands`, what it does). A new command is one line here.
COMMANDS: dict[str, tuple[str, str]] = {
    "demo": ("demo", "train on the built-in glyphs, evaluate on unseen characters, log all to MLflow"),
    "train": ("train", "train a twin on --data SOURCE, evaluate on its test split, log the run and the model"),
    "evaluate": ("evaluate", "measure a MODEL on unseen classes: episodes, retrieval, strangers, few-shot classifiers"),
    "verify": ("verify", "same or not: two items, or a file of pairs, with a threshold and the errors to expect"),
    "index": ("index", "write the reference embeddings of a MODEL and --data SOURCE into a --gallery on disk"),
    "search": ("search", "nearest items of a GALLERY to a picture, a text, an item, or a weighted mix of them"),
    "classify": ("classify", "name the class of new items by the labelled ones of a GALLERY, or say unknown"),
    "identify": ("identify", "who of a GALLERY is it, or nobody: 1:N with a threshold made for its size"),
    "duplicates": ("duplicates", "near-duplicate pictures or texts of a GALLERY: pairs, groups, across splits"),
    "sweep": ("sweep", "let Optuna find margin, loss and miner: every trial a run, the winner a model"),
    "worker": ("worker", "join a sweep that was started elsewhere, from any machine"),
    "explore": ("explore", "open the dashboard: matches, few-shot sandbox, thresholds, runs and sweeps"),
    "doctor": ("doctor", "check the installation and the places that commands write to, and say what to do"),
    "cache": ("cache", "list and prune the feature store: what frozen trunks gave, kept on disk"),
}
SEVERAL = ("train", "demo")  # what several processes of `torchrun` do together
GENERAL_OPTIONS = """\
every command takes:
  --config FILE.yaml    settings from a file; options on the command line win over it
  --print_config        print all settings as such a file, and stop
  --json FILE           write protocol, metrics and run id to FILE as one JSON object
  --debug               show the traceback of an error"""
ERROR, INTERRUPTED, TERMINATED = 2, 130, 143


@dataclass(frozen=True)
class Call:
    """What the user typed, past the command's name.

    Attributes:
        command: The command's name.
        arguments: The words after it, general options taken out.
        json: Where the report goes as JSON; None does not write one.
    """

    command: str
    arguments: list[str] = field(default_factory=list)
    json: Path | None = None


class Terminated(KeyboardInterrupt):
    """SIGTERM (a scheduler, `docker stop`): handled as an interrupt, so that the run ends KILLED and not RUNNING."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs one command.

    Args:
        argv: The words after ``cross-modal``; None takes the process's own.

    Returns:
        The exit code: 0, 1 where `doctor` finds something broken or `verify` something different, 2 after an error, 130
        or 143 after an interrupt.

    Example:
        >>> main(["fly"])
        2
    """
    words = list(sys.argv[1:] if argv is None else argv)
    debug = "--debug" in words
    try:
        with _sigterm_as_interrupt(), redirect_stdout(io.StringIO()) if _follows() else nullcontext():
            return _dispatch([word for word in words if word != "--debug"])
    except SystemExit as leaving:  # --help and --print_config
        return leaving.code if isinstance(leaving.code, int) else 0
    except KeyboardInterrupt as interrupt:
        if debug:
            traceback.print_exc()
        what, code = ("terminated", TERMINATED) if isinstance(interrupt, Terminated) else ("interrupted", INTERRUPTED)
        return code if _follows() else _say(": ".join([what, *map(str, interrupt.args)]), code)
    except BrokenPipeError:  # cross-modal train --help | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except Exception as error:
        if debug:
            traceback.print_exc()
        return _say(one_line(error), ERROR) if _says(error) else ERROR


def one_line(error: BaseException) -> str:
    """What an error says, in one line; one that nobody foresaw names its type and how to see more.

    >>> one_line(CrossModalError("a.csv row 3: label is empty"))
    'a.csv row 3: label is empty'
    >>> one_line(KeyError("x"))
    "unexpected KeyError: 'x' (--debug shows the traceback)"
    """
    text = " ".join(str(error).split())
    if isinstance(error, CrossModalError):
        return text
    if isinstance(error, OSError) and error.filename is not None and error.strerror:
        return f"{error.filename}: {error.strerror[0].lower()}{error.strerror[1:]}"
    return f"unexpected {type(error).__name__}: {text[:400]} (--debug shows the traceback)"


def help_text() -> str:
    """What ``cross-modal --help`` prints."""
    lines = [f"  {name:<12}{about}" for name, (_, about) in COMMANDS.items()]
    return "\n".join(
        [
            "usage: cross-modal COMMAND [options]",
            "",
            "Few-shot image–text twins: train them, evaluate them on unseen classes, see every run in MLflow.",
            "",
            "commands:",
            *lines,
            "",
            GENERAL_OPTIONS,
            "",
            "first steps:",
            "  cross-modal demo",
            "  cross-modal train --data photos/ --training.steps 300",
            "  cross-modal COMMAND --help",
        ]
    )


def _dispatch(words: list[str]) -> int:
    """Runs the command that the words name."""
    if not words or words[0] in {"-h", "--help", "help"}:
        print(help_text())
        return 0
    if words[0] == "--version":
        from cross_modal import __version__

        print(f"cross-modal {__version__}")
        return 0
    words, json_file = _take_json(words)
    name, *arguments = words or [""]
    if name not in COMMANDS:
        near = difflib.get_close_matches(name, COMMANDS, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        raise CrossModalError(f"expected a command ({', '.join(COMMANDS)}), found {name!r}{hint}")
    if name not in SEVERAL:
        from cross_modal.training.launched import refuse_several

        refuse_several(name)
    command = importlib.import_module(f"cross_modal_mlflow.commands.{COMMANDS[name][0]}")
    return command.run(Call(name, arguments, json_file)) or 0


def _take_json(words: list[str]) -> tuple[list[str], Path | None]:
    """Takes ``--json FILE`` out of the words, and makes sure now that FILE can be written after hours of training."""
    kept, file, waiting = [], None, iter(words)
    for word in waiting:
        name, equals, value = word.partition("=")
        if name != "--json":
            kept.append(word)
            continue
        value = value if equals else next(waiting, "")
        if not value or value.startswith("--"):
            raise CrossModalError("--json: expected a file, found nothing")
        file = Path(value)
        if file.is_dir():
            raise CrossModalError(f"--json: expected a file, found the folder {file}")
        file.parent.mkdir(parents=True, exist_ok=True)
        if not os.access(file.parent, os.W_OK):
            raise CrossModalError(f"--json: expected a folder that can be written to, found {file.parent}")
    return kept, file


def _say(text: str, code: int) -> int:
    print(f"cross-modal: {text}", file=sys.stderr, flush=True)
    if "TORCHELASTIC_ERROR_FILE" in os.environ:  # torchrun shows it at the end of its own report
        said = {"message": {"message": text, "extraInfo": {"timestamp": str(int(time.time()))}}}
        with suppress(OSError):
            Path(os.environ["TORCHELASTIC_ERROR_FILE"]).write_text(json.dumps(said), encoding="utf-8")
    return code


def _follows() -> bool:
    """Whether this is one of several processes and not the first: all it has to say, the first says."""
    return os.environ.get("WORLD_SIZE", "1") != "1" and os.environ.get("RANK", "0") != "0"


def _says(error: BaseException) -> bool:
    """Whether this process says an error: of several, one does."""
    if not _follows():
        return True
    from cross_modal.training.launched import says

    return says(error)


@contextmanager
def _sigterm_as_interrupt() -> Iterator[None]:
    """Raises `Terminated` in the main thread on SIGTERM; signals can be set from there only."""

    def terminate(signum: int, frame: FrameType | None) -> NoReturn:
        raise Terminated

    try:
        previous = signal.signal(signal.SIGTERM, terminate)
    except ValueError:  # not the main thread: somebody else's signals
        yield
        return
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, previous)
