"""Who may import whom: the library knows no tracker, the plugin no page, and a command is nobody's ingredient."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
LIBRARY, PLUGIN = ROOT / "cross_modal", ROOT / "plugin" / "cross_modal_mlflow"


def imported(file: Path) -> set[str]:
    """All modules that a file imports, at its top or inside a function."""
    tree = ast.parse(file.read_text(encoding="utf-8"))
    names = {alias.name for node in ast.walk(tree) if isinstance(node, ast.Import) for alias in node.names}
    froms = [node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom) and node.module]
    return names | {str(node.module) for node in froms} | {f"{n.module}.{a.name}" for n in froms for a in n.names}


def offences(folder: Path, forbidden: str) -> list[str]:
    """Files below a folder that import a module or something in it."""
    files = sorted(folder.rglob("*.py"))
    assert files
    return [
        str(file.relative_to(ROOT))
        for file in files
        if any(name == forbidden or name.startswith(f"{forbidden}.") for name in imported(file))
    ]


@pytest.mark.parametrize("outside", ["mlflow", "optuna", "streamlit", "cross_modal_mlflow", "cross_modal_dashboards"])
def test_the_library_stands_alone(outside: str) -> None:
    assert offences(LIBRARY, outside) == []


@pytest.mark.parametrize("outside", ["streamlit", "cross_modal_dashboards"])
def test_the_plugin_knows_no_page(outside: str) -> None:
    assert offences(PLUGIN, outside) == []


@pytest.mark.parametrize("folder", [LIBRARY, PLUGIN, ROOT / "dashboards"])
def test_commands_are_doors_that_nothing_else_goes_through(folder: Path) -> None:
    assert offences(folder, "cross_modal_mlflow.commands") == []


def test_an_import_inside_a_function_is_seen(tmp_path: Path) -> None:
    (tmp_path / "hidden.py").write_text("def f():\n    from mlflow.entities import Run\n    import optuna.trial\n")
    assert {"mlflow.entities", "mlflow.entities.Run", "optuna.trial"} <= imported(tmp_path / "hidden.py")
