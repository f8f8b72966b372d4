import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from cross_modal.errors import CrossModalError
from cross_modal_mlflow import command_line
from cross_modal_mlflow.command_line import COMMANDS, Call, main, one_line

HEAVY = ("torch", "mlflow", "streamlit", "optuna", "pandas", "matplotlib", "PIL", "jsonargparse")


def python(code: str, cwd: Path | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    variables = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=variables, cwd=cwd)


def failure(argv: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    """The one line of an error."""
    assert main(argv) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    (line,) = captured.err.splitlines()
    assert line.startswith("cross-modal: ")
    assert "usage" not in line
    return line


def test_the_library_imports_no_platform() -> None:
    code = "import sys, cross_modal; print([m for m in ('mlflow', 'optuna', 'streamlit') if m in sys.modules])"
    assert python(code).stdout.strip() == "[]"


@pytest.mark.parametrize("argv", [["--help"], *([name, "--help"] for name in COMMANDS)])
def test_help_imports_nothing_heavy_and_little_at_all(argv: list[str]) -> None:
    code = (
        "import sys\nfrom cross_modal_mlflow.command_line import main\n"
        f"code = main({argv!r})\n"
        f"print('heavy:', [m for m in {HEAVY!r} if m in sys.modules], code, len(sys.modules))"
    )
    *told, modules = python(code).stdout.splitlines()[-1].split(" ")
    assert " ".join(told) == "heavy: [] 0"
    assert int(modules) < 300  # which makes it quick: NumPy alone would be some 150 more


def test_help_lists_every_command(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 0
    page = capsys.readouterr().out
    for name, (_, about) in COMMANDS.items():
        assert name in page
        assert about in page


def test_help_of_a_command_says_what_a_field_means(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["train", "--training.steps", "4", "--help"]) == 0
    page = capsys.readouterr().out
    assert "Optimizer steps. (default: " in page
    assert "--split-by" in page
    assert "examples:\n  cross-modal train --data" in page


def test_every_command_of_the_table_exists() -> None:
    import importlib

    for name, (module, _) in COMMANDS.items():
        assert callable(importlib.import_module(f"cross_modal_mlflow.commands.{module}").run), name


def test_unknown_command_lists_the_known_ones(capsys: pytest.CaptureFixture[str]) -> None:
    line = failure(["trian"], capsys)
    assert "demo, train, evaluate" in line
    assert "did you mean train?" in line


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["train", "--training.steps", "many"], "--training.steps: expected int, found 'many'"),
        (["train", "--training.stepz", "3"], "did you mean --training.steps?"),
        (["train", "--learning-rate", "3"], "did you mean --training.learning_rate?"),
        (["train", "--training.steps"], "--training.steps: expected a value"),
        (["train", "photos"], "found 'photos'"),
        (["train", "--training.precision", "8"], "expected one of '32-true', 'bf16-mixed'"),
        (["train", "--config", "absent.yaml"], "absent.yaml"),
        (["train", "--json"], "--json: expected a file"),
        (["evaluate"], "expected a MODEL"),
        (["evaluate", "absent-folder"], "found no such folder"),
    ],
)
def test_errors_are_one_line(argv: list[str], says: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert says in failure(argv, capsys)


def test_config_of_bad_yaml_is_one_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.yaml").write_text("objective:\n  loss: [\n")
    failure(["train", "--config", str(tmp_path / "bad.yaml")], capsys)
    (tmp_path / "unknown.yaml").write_text("training:\n  stepz: 3\n")
    assert "stepz" in failure(["train", "--config", str(tmp_path / "unknown.yaml")], capsys)


def test_data_that_does_not_exist_is_one_line(workplace: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "absent.csv" in failure(["train", "--data", "absent.csv"], capsys)


def placed(monkeypatch: pytest.MonkeyPatch, rank: int, local_rank: int) -> None:
    """As `torchrun` starts a process of four on two machines."""
    place = {"RANK": rank, "LOCAL_RANK": local_rank, "WORLD_SIZE": 4, "LOCAL_WORLD_SIZE": 2}
    for name, value in (place | {"MASTER_ADDR": "localhost", "MASTER_PORT": 1}).items():
        monkeypatch.setenv(name, str(value))


@pytest.mark.parametrize(("rank", "local_rank", "lines"), [(0, 0, 1), (1, 1, 0), (2, 0, 1), (3, 1, 0)])
@pytest.mark.parametrize("argv", [["train", "--training.stepss", "3"], ["sweep"], ["fly"]])
def test_of_several_processes_one_of_a_machine_says_what_is_wrong(
    argv: list[str],
    rank: int,
    local_rank: int,
    lines: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    placed(monkeypatch, rank, local_rank)
    assert main(argv) == 2
    assert len(capsys.readouterr().err.splitlines()) == lines


@pytest.mark.parametrize(("rank", "prints"), [(0, True), (1, False)])
def test_of_several_processes_the_first_prints_the_help(
    rank: int, prints: bool, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    placed(monkeypatch, rank, rank)
    assert main(["train", "--help"]) == 0
    assert ("usage:" in capsys.readouterr().out) is prints


def test_what_is_wrong_stands_in_the_report_of_torchrun(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TORCHELASTIC_ERROR_FILE", str(tmp_path / "error.json"))
    assert main(["fly"]) == 2
    assert json.loads((tmp_path / "error.json").read_text())["message"]["message"].startswith("expected a command")


def test_debug_shows_the_traceback_anywhere(capsys: pytest.CaptureFixture[str]) -> None:
    for argv in (["--debug", "fly"], ["fly", "--debug"]):
        assert main(argv) == 2
        shown = capsys.readouterr().err
        assert "Traceback" in shown
        assert shown.splitlines()[-1].startswith("cross-modal: ")


def test_unforeseen_errors_are_one_line(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    def fail(words: list[str]) -> int:
        raise RuntimeError("first line\nsecond line")

    monkeypatch.setattr(command_line, "_dispatch", fail)
    assert "unexpected RuntimeError: first line second line (--debug" in failure(["demo"], capsys)


def test_file_errors_name_the_file(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError) as caught:
        (tmp_path / "x").read_text()
    assert one_line(caught.value) == f"{tmp_path / 'x'}: no such file or directory"
    assert one_line(CrossModalError("a\nb")) == "a b"


def test_json_is_taken_out_and_its_folder_made(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from cross_modal_mlflow.commands import train

    calls: list[Call] = []
    monkeypatch.setattr(train, "run", calls.append)
    wanted = tmp_path / "deep" / "report.json"
    assert main(["train", "--json", str(wanted), "--data", "x"]) == 0
    assert main(["train", f"--json={wanted}"]) == 0
    assert calls == [Call("train", ["--data", "x"], wanted), Call("train", [], wanted)]
    assert wanted.parent.is_dir()


def test_print_config_is_yaml_that_config_reads(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ["--objective.miner", "AngularMiner", "--objective.miner.arguments.angle", "20", "--ways", "7"]
    options[4] = "--evaluation.ways"
    assert main(["train", *options, "--print_config"]) == 0
    first = capsys.readouterr().out
    (tmp_path / "all.yaml").write_text(first)
    assert main(["train", "--config", str(tmp_path / "all.yaml"), "--print-config"]) == 0
    assert capsys.readouterr().out == first
    assert "angle: 20" in first


def test_python_m_works() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cross_modal_mlflow", "--version"], capture_output=True, text=True, check=True
    )
    assert done.stdout.startswith("cross-modal ")


NAP = """
import sys, time, types
from cross_modal_mlflow import command_line
def run(call):
    from cross_modal_mlflow.store import open_store
    from cross_modal_mlflow.tracking import tracked_run
    with tracked_run("nap", open_store()) as run:
        run.metrics({"loss": 1.0})
        print(run.run_id, flush=True)
        time.sleep(60)
sys.modules["cross_modal_mlflow.commands.nap"] = types.SimpleNamespace(run=run)
command_line.COMMANDS["nap"] = ("nap", "sleeps")
sys.exit(command_line.main(["nap"]))
"""


@pytest.mark.parametrize(
    ("number", "code", "says"), [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "term")]
)
def test_an_interrupted_run_ends_killed(workplace: Path, number: int, code: int, says: str) -> None:
    from mlflow import MlflowClient

    process = subprocess.Popen(
        [sys.executable, "-c", NAP], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=workplace
    )
    assert process.stdout is not None
    run_id = process.stdout.readline().strip()
    process.send_signal(number)
    _, errors = process.communicate(timeout=60)
    assert process.returncode == code
    (line,) = errors.splitlines()
    assert line.startswith(f"cross-modal: {says}")
    run = MlflowClient(tracking_uri=f"sqlite:///{workplace}/mlruns/mlflow.db").get_run(run_id)
    assert run.info.status == "KILLED"
    assert run.data.metrics == {"loss": 1.0}


def test_an_unreachable_server_is_one_line_before_any_work(workplace: Path) -> None:
    code = (
        "import sys\nfrom cross_modal_mlflow.command_line import main\n"
        "import cross_modal.data.sources as s\n"
        "s.read_unsplit = lambda *a: sys.exit('data was read before the store was asked')\n"
        "sys.exit(main(['demo']))"
    )
    done = python(code, cwd=workplace, MLFLOW_TRACKING_URI="http://127.0.0.1:9")
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert "http://127.0.0.1:9" in line
    assert "connection refused" in line
