"""Which executor a setting gives, and what it takes."""

import sys

import dagster as dg
import pytest

from hubspot_assets.definitions import JOB, build_defs
from hubspot_assets.executors import celery_app_arguments
from hubspot_assets.hubspot.catalog import standard_catalog
from hubspot_assets.settings import SettingsError, load_settings

SHARED = {"EXPORT_URL": "s3://a-bucket/x", "BUDGET_URL": "redis://u:a-5ecret@redis.example/0"}


@pytest.fixture
def defs(reach, shared_sandbox):
    def build(executor, **more):
        reach(shared_sandbox, EXPORT_EXECUTOR=executor, **SHARED | more)
        return build_defs(standard_catalog(), load_settings())

    return build


@pytest.mark.parametrize("executor", ["in_process", "multiprocess", "celery", "k8s"])
def test_a_setting_gives_the_executor_of_all_jobs(defs, executor):
    found = defs(executor)
    for job in found.resolve_all_job_defs():
        if job.name != "purge_runs":
            assert job.executor_def.name == executor, job.name


@pytest.mark.parametrize(
    ("executor", "package", "extra"),
    [("celery", "dagster_celery", "celery"), ("k8s", "dagster_k8s", "k8s")],
)
def test_what_is_not_installed_is_told_in_a_line(defs, monkeypatch, executor, package, extra):
    for name in [package, *(each for each in sys.modules if each.startswith(f"{package}."))]:
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(SettingsError) as error:
        defs(executor)
    assert str(error.value).startswith(f"EXPORT_EXECUTOR: found {executor}, expected in_process")
    assert str(error.value).endswith(f"pip install 'hubspot-assets[{extra}]'")


def test_the_brokers_password_is_no_config_of_a_run(defs):
    schema = defs("celery").resolve_job_def(JOB).get_config_schema_snapshot()
    assert "a-5ecret" not in dg.serialize_value(schema)


def test_steps_go_through_the_broker_that_is_set_else_through_that_of_budgets(
    defs,
):
    defs("celery")
    assert celery_app_arguments(load_settings())["broker"] == SHARED["BUDGET_URL"]
    defs("celery", CELERY_BROKER_URL="redis://another.example")
    assert celery_app_arguments(load_settings())["broker"] == "redis://another.example"


def test_steps_that_others_wait_for_come_first(defs):
    def first(executor):
        ops = defs(executor).resolve_job_def(JOB).nodes
        reading = [each for each in ops if each.name.startswith("hubspot__")]
        return max(reading, key=lambda each: int(each.tags["dagster/priority"])).name

    for executor in ("celery", "multiprocess", "in_process"):
        assert first(executor) == "hubspot__companies"
