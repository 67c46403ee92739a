"""The examples of automation: each is parsed, and what it asks of leaklab exists."""

import ast
import re
import shlex
from pathlib import Path
from typing import Any

import pytest
import yaml

from leaklab.cli import command_parser
from leaklab.jobs import notebook_parameters
from leaklab.jobs.parameters import check_values

FOLDER = Path(__file__).parents[2] / "notebooks" / "automation"
NOTEBOOKS = FOLDER.parent


def check_leaklab_command(words: list[str]) -> None:
    """The command line is accepted by leaklab's own parser, its notebook parameters too."""
    name, arguments = words[0], words[1:]
    own = arguments[: arguments.index("--")] if "--" in arguments else arguments
    parsed = command_parser(name).parse_args(own)
    if name == "run":
        notebook = NOTEBOOKS / Path(parsed.notebook).name
        check_values(notebook_parameters(notebook), dict(parsed.parameters), notebook.stem)


def test_every_example_is_tested() -> None:
    assert {path.name for path in FOLDER.iterdir() if path.is_file()} == {
        "airflow_dag.py",
        "crontab",
        "github-actions.yml",
        "kubernetes-cronjob.yaml",
    }


def test_crontab() -> None:
    lines = [
        line
        for line in (FOLDER / "crontab").read_text().splitlines()
        if line and not line.startswith("#")
    ]
    settings = [line for line in lines if re.fullmatch(r"[A-Z]+=\S+", line)]
    jobs = [line for line in lines if line not in settings]
    assert len(jobs) == 2
    for job in jobs:
        *when, command = job.split(maxsplit=5)
        assert len(when) == 5
        assert all(re.fullmatch(r"[\d*,/-]+", field) for field in when)
        # An unescaped % ends a cron command.
        assert not re.search(r"(?<!\\)%", command)
        words = shlex.split(command.replace("\\%", "%"))
        check_leaklab_command(words[words.index(".venv/bin/leaklab") + 1 :])


def test_github_actions() -> None:
    workflow: dict[Any, Any] = yaml.safe_load((FOLDER / "github-actions.yml").read_text())
    assert {"name", True, "jobs"} <= set(workflow)  # YAML reads the key `on` as true
    steps = workflow["jobs"]["smoke-load"]["steps"]
    assert all(("uses" in step) != ("run" in step) for step in steps)
    commands = [shlex.split(step["run"]) for step in steps if "run" in step]
    ours = [words for words in commands if words[0] == "leaklab"]
    assert len(ours) == 1
    check_leaklab_command(ours[0][1:])


def test_kubernetes_cronjob() -> None:
    job = yaml.safe_load((FOLDER / "kubernetes-cronjob.yaml").read_text())
    assert (job["apiVersion"], job["kind"]) == ("batch/v1", "CronJob")
    pod = job["spec"]["jobTemplate"]["spec"]["template"]["spec"]
    assert pod["restartPolicy"] in ("Never", "OnFailure")
    (container,) = pod["containers"]
    assert all(isinstance(word, str) for word in container["args"])
    assert container["args"][0] == "leaklab"
    check_leaklab_command(container["args"][1:])


def test_airflow_dag() -> None:
    tree = ast.parse((FOLDER / "airflow_dag.py").read_text())
    constants = {
        node.targets[0].id: ast.literal_eval(node.value)
        for node in tree.body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Name)
    }
    notebook = NOTEBOOKS / Path(constants["NOTEBOOK"]).name
    check_values(notebook_parameters(notebook), constants["PARAMETERS"], notebook.stem)
    operators = [
        node.func.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    ]
    assert operators.count("PapermillOperator") == 1
    for keyword in ast.walk(tree):
        if isinstance(keyword, ast.keyword) and keyword.arg == "bash_command":
            text = "".join(
                part.value if isinstance(part, ast.Constant) else constants["NOTEBOOK"]
                for part in getattr(keyword.value, "values", [keyword.value])
                if isinstance(part, (ast.Constant, ast.FormattedValue))
            )
            check_leaklab_command(shlex.split(text.split("|")[0])[1:])


@pytest.mark.parametrize(
    "path", sorted(path for path in FOLDER.rglob("*") if path.is_file()), ids=lambda path: path.name
)
def test_no_example_names_a_machine_of_ours(path: Path) -> None:
    assert not re.search(r"/(work|root|tmp)/", path.read_text())
