"""Airflow: investigate the service every night, with the notebook as papermill runs it.

PapermillOperator accepts a misspelt parameter and goes on without it; the task before it asks
leaklab for the notebook's parameters, so that a wrong name fails the run at once.
"""

from datetime import datetime, timedelta

from airflow import DAG
from airflow.providers.papermill.operators.papermill import PapermillOperator
from airflow.providers.standard.operators.bash import BashOperator

NOTEBOOK = "notebooks/99-your-own-script.ipynb"
PARAMETERS = {"command": "smoke_load.py --requests 500", "duration_seconds": 900.0}

with DAG(
    "leaklab_nightly",
    schedule="30 2 * * *",
    start_date=datetime(2026, 1, 1),
    catchup=False,
    default_args={"retries": 1, "execution_timeout": timedelta(hours=1)},
):
    check = BashOperator(
        task_id="check_parameters",
        bash_command=f"leaklab run {NOTEBOOK} --help-notebook | grep -q '^command '",
    )
    investigate = PapermillOperator(
        task_id="investigate",
        input_nb=NOTEBOOK,
        output_nb="data/reports/nightly-{{ ds }}.ipynb",
        parameters=PARAMETERS,
    )
    verdict = BashOperator(
        task_id="fail_on_leak",
        bash_command="leaklab show smoke_load --fail-on leak",
    )
    check >> investigate >> verdict
