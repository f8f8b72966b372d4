"""Is everything installed, at versions that go together, and does MLflow find the plugin?"""

from __future__ import annotations

import json
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import EntryPoint, PackageNotFoundError, entry_points, requires, version
from pathlib import Path

from cross_modal_mlflow.doctor import Check

DISTRIBUTION = "cross-modal"
PACKAGE = "cross_modal_mlflow"
#: Entry-point group → what is missing without it.
GROUPS = {
    "mlflow.model_evaluator": "mlflow.models.evaluate(…, evaluators='few_shot')",
    "mlflow.dataset_source": "mlflow.data.get_source for logged items",
    "mlflow.dataset_constructor": "mlflow.data.from_few_shot",
    "mlflow.run_context_provider": "tags of trunk, ways and shots",
}
_REINSTALL = f"python -m pip install --force-reinstall --no-deps {DISTRIBUTION}"
_PATIENCE = 120  # seconds that another Python may take
_TORCH = """
import json, torch, torchvision
torchvision.ops.nms(torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.ones(1), 0.5)
print(json.dumps([torch.__version__, torchvision.__version__, torch.version.cuda, torch.cuda.is_available(),
                  torch.cuda.get_device_name() if torch.cuda.is_available() else ""]))
"""
_MLFLOW = """
import json, sys, time
began = time.perf_counter()
import mlflow, mlflow.data
print(json.dumps([mlflow.__version__, time.perf_counter() - began, "torch" in sys.modules]))
"""


def installation_checks() -> Iterator[Check]:
    """Python, packages, torch with torchvision, MLflow with the plugin."""
    python = platform.python_version()
    yield Check("python", "ok", f"{python} on {platform.system()} {platform.machine()}, {sys.executable}")
    yield from package_checks()
    yield from torch_checks()
    yield mlflow_check()
    for group, purpose in GROUPS.items():
        yield entry_point_check(group, purpose)
    yield command_check()


def package_checks() -> Iterator[Check]:
    """Every package that the distribution requires: installed, and new enough?"""
    from packaging.requirements import Requirement

    try:
        wanted = [Requirement(line) for line in requires(DISTRIBUTION) or []]
        own = version(DISTRIBUTION)
    except PackageNotFoundError:
        yield Check("packages", "broken", f"{DISTRIBUTION} is not installed", f"python -m pip install {DISTRIBUTION}")
        return
    wanted = [each for each in wanted if each.marker is None or each.marker.evaluate({"extra": ""})]
    bad = 0
    for requirement in wanted:
        need = f"{requirement.name}{requirement.specifier}"
        install = f"python -m pip install --upgrade '{need}'"
        try:
            present = version(requirement.name)
        except PackageNotFoundError:
            yield Check("packages", "broken", f"{need} is required, found it not installed", install)
            bad += 1
            continue
        if not requirement.specifier.contains(present, prereleases=True):
            yield Check("packages", "broken", f"{need} is required, found {present}", install)
            bad += 1
    if not bad:
        yield Check("packages", "ok", f"{DISTRIBUTION} {own}; all {len(wanted)} packages that it requires")


def installed_versions() -> dict[str, str]:
    """The packages that the distribution requires, as they are installed; "-" where one is not."""
    from packaging.requirements import Requirement

    found = {DISTRIBUTION: _version(DISTRIBUTION)}
    try:
        lines = requires(DISTRIBUTION) or []
    except PackageNotFoundError:
        lines = []
    for requirement in map(Requirement, lines):
        if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
            found[requirement.name] = _version(requirement.name)
    return found


def torch_checks() -> Iterator[Check]:
    """Whether torch and torchvision were built for each other, and what they run on; a bad pair may crash Python."""
    output, error = fresh_python(_TORCH)
    if output is None:
        pair = f"torch {_version('torch')}, torchvision {_version('torchvision')}"
        again = "python -m pip install --force-reinstall torch torchvision   # both from one index"
        yield Check("torch", "broken", f"{pair}: {error}", again)
        return
    torch, torchvision, cuda, usable, device = json.loads(output)
    yield Check("torch", "ok", f"torch {torch} with torchvision {torchvision}")
    if usable:
        yield Check("accelerator", "ok", f"{device}, CUDA {cuda}")
    else:
        build = f"torch is built for CUDA {cuda}, which finds no usable GPU" if cuda else "torch is built without CUDA"
        yield Check("accelerator", "ok", f"CPU ({build})")


def mlflow_check() -> Check:
    """Whether ``import mlflow`` works in a fresh process, and stays free of torch."""
    output, error = fresh_python(_MLFLOW)
    if output is None:
        again = "python -m pip install --force-reinstall mlflow"
        return Check("import mlflow", "broken", f"mlflow {_version('mlflow')}: {error}", again)
    number, seconds, heavy = json.loads(output)
    if heavy:
        said = f"mlflow {number}: in {seconds:.1f} s, because some MLflow plugin imports torch"
        return Check("import mlflow", "warning", said, "uninstall MLflow plugins that are not needed, one by one")
    return Check("import mlflow", "ok", f"mlflow {number}, in {seconds:.1f} s")


def entry_point_check(group: str, purpose: str) -> Check:
    """Whether the plugin's entry point of a group is found, and loads.

    Args:
        group: The group.
        purpose: What is missing without it.
    """
    own = [point for point in entry_points(group=group) if point.module.partition(".")[0] == PACKAGE]
    if not own:
        return Check(group, "broken", f"no entry point of {DISTRIBUTION} found: {purpose} is missing", _REINSTALL)
    failures = [f"{point.name}: {error}" for point in own if (error := _load_error(point))]
    if failures:
        return Check(group, "broken", "; ".join(failures), _REINSTALL)
    return Check(group, "ok", ", ".join(sorted(point.name for point in own)))


def command_check() -> Check:
    """Whether the shell finds ``mlflow``, which serves models, and whether it is this Python's."""
    found = shutil.which("mlflow")
    beside = Path(sys.executable).parent
    if found is None:
        activate = f"export PATH={beside}:$PATH   # or activate the environment"
        return Check("mlflow command", "warning", "not on the PATH", activate)
    if Path(found).parent.resolve() != beside.resolve():
        said = f"{found} belongs to another Python than {sys.executable}"
        return Check("mlflow command", "warning", said, f"export PATH={beside}:$PATH   # or activate the environment")
    return Check("mlflow command", "ok", found)


def fresh_python(code: str) -> tuple[str | None, str]:
    """Runs code in a Python of its own.

    Args:
        code: What to run; its last line of output counts.

    Returns:
        That line and an empty text; or None and what went wrong.

    Example:
        >>> fresh_python("print(1 + 1)")
        ('2', '')
    """
    try:
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=_PATIENCE)
    except subprocess.TimeoutExpired:
        return None, f"no answer within {_PATIENCE} s"
    if done.returncode == 0 and done.stdout.strip():
        return done.stdout.strip().splitlines()[-1], ""
    said = done.stderr.strip().splitlines()
    return None, said[-1][:300] if said else f"Python ended with code {done.returncode}"


def _load_error(point: EntryPoint) -> str:
    try:
        point.load()
    except Exception as error:
        return f"{type(error).__name__}: {' '.join(str(error).split())[:200]}"
    return ""


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "-"
