"""The files of `deploy/`: what reads them takes them, and they agree with one another."""

import importlib
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Any

import dagster as dg
import pytest
import yaml
from dagster._config import process_config, resolve_to_config_type
from dagster._core.instance.config import dagster_instance_config
from dagster._core.instance.ref import InstanceRef
from dagster._core.workspace.config_schema import process_workspace_config

from hubspot_assets.portals_file import LOCATION
from hubspot_assets.settings import load_settings
from hubspot_assets_tests.deployment import DEPLOY, ROOT, containers, image, read, variables

BIN = Path(sys.executable).parent
#: What a person sets, in whatever way.
GIVEN = {"HUBSPOT_ACCESS_TOKEN": "pat-1", "AWS_SECRET_ACCESS_KEY": "pw", "POSTGRES_PASSWORD": "pg"}
#: Of the chart's values of this version of Dagster, those that there are where we set some.
CHART = {
    "": {
        *("global", "generatePostgresqlPasswordSecret", "postgresql", "dagster-user-deployments"),
        *("runLauncher", "dagsterWebserver", "dagsterDaemon", "concurrency", "computeLogManager"),
        *("retention", "pythonLogs", "telemetry", "rabbitmq", "redis", "serviceAccount"),
    },
    "postgresql": {
        *("enabled", "postgresqlHost", "postgresqlUsername", "postgresqlPassword"),
        *("postgresqlDatabase", "postgresqlParams", "postgresqlScheme", "service", "image"),
    },
    "dagsterDaemon": {
        *("enabled", "image", "runCoordinator", "env", "envSecrets", "securityContext", "volumes"),
        *("podSecurityContext", "resources", "runMonitoring", "runRetries", "volumeMounts"),
    },
    "dagsterWebserver": {
        *("replicaCount", "image", "service", "workspace", "env", "envSecrets", "securityContext"),
        *("podSecurityContext", "resources", "enableReadOnly", "volumes", "volumeMounts"),
    },
    "deployment": {
        *("name", "image", "port", "codeServerArgs", "includeConfigInLaunchedRuns", "env"),
        *("envSecrets", "securityContext", "resources", "volumes", "volumeMounts"),
    },
    "k8sRunLauncher": {
        *("image", "imagePullPolicy", "jobNamespace", "loadInclusterConfig", "envSecrets"),
        *("envVars", "runK8sConfig", "securityContext", "resources", "volumes", "volumeMounts"),
    },
}


@pytest.fixture(scope="module")
def compose():
    return read("compose.yaml", GIVEN)


@pytest.fixture(scope="module")
def helm():
    return yaml.safe_load((DEPLOY / "helm.yaml").read_text())


def ours(compose):
    """The services that are of our image."""
    services = compose["services"].items()
    return {name: each for name, each in services if each["image"].startswith("hubspot-assets:")}


def environment_of(compose, monkeypatch):
    """Sets what the code server is given."""
    for name, value in compose["services"]["code"]["environment"].items():
        monkeypatch.setenv(name, value or "")


def test_the_dockerfile_is_one_that_its_linter_has_nothing_against():
    done = subprocess.run(
        [BIN / "hadolint", DEPLOY / "Dockerfile"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_image_has_all_that_is_copied_into_it_and_nothing_that_is_secret():
    first, *rules = (ROOT / ".dockerignore").read_text().splitlines()[1:]
    assert first == "*"
    of_the_context = {each.removeprefix("!") for each in rules if each.startswith("!")}
    text = (DEPLOY / "Dockerfile").read_text()
    lines = [each.split()[1:-1] for each in text.splitlines() if each.startswith("COPY")]
    copied = {word for words in lines for word in words if not word.startswith(("--", "/"))}
    assert copied == of_the_context
    assert all((ROOT / each).exists() for each in copied)


@pytest.mark.parametrize("name", ["compose.yaml", "portals.yaml"])
def test_compose_takes_the_file(name):
    command = [str(BIN / "check-jsonschema"), "--builtin-schema", "vendor.compose-spec"]
    done = subprocess.run([*command, DEPLOY / name], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_all_that_is_ours_sees_the_portals_each_of_which_has_a_code_server(compose):
    services = read("portals.yaml", {"ACME_TOKEN": "pat-1", "GLOBEX_TOKEN": "pat-2"})["services"]
    assert services.keys() == {*ours(compose), "code-globex"}
    for each in services.values():
        assert each["environment"]["PORTALS_FILE"] in each["volumes"][0].split(":")
    *start, _ = image()["command"]
    for name, portal in ("code", "acme"), ("code-globex", "globex"):
        location = ["hubspot_assets.locations", "--attribute", f"{LOCATION}{portal}"]
        assert services[name]["command"] == [*start, *location]


def test_the_page_has_the_commands_of_all_services(compose):
    page = (ROOT / "docs" / "machines.md").read_text("utf-8")
    for each in ours(compose).values():
        assert f"    {shlex.join(each.get('command', image()['command']))}\n" in page


def test_services_wait_for_services_that_there_are_and_that_tell_how_they_are(compose):
    services, kept = compose["services"], set(compose["volumes"])
    for name, each in services.items():
        for other, how in each.get("depends_on", {}).items():
            healthy = how["condition"] == "service_healthy"
            assert ("healthcheck" in services[other]) == (healthy and other != "code"), name
        named = {volume.split(":")[0] for volume in each.get("volumes", ())}
        assert named <= kept, name
        assert "healthcheck" in each or name in ("code", "bucket")


def test_what_we_run_has_no_rights_and_writes_nowhere_but_below_tmp(compose):
    assert set(ours(compose)) == {"code", "webserver", "daemon", "worker"}
    for each in ours(compose).values():
        assert each["read_only"]
        assert each["user"] == "10001:10001"
        assert each["cap_drop"] == ["ALL"]
        assert each["stop_grace_period"] == "60s"
        assert "volumes" not in each
    assert "\nVOLUME /tmp\n" in (DEPLOY / "Dockerfile").read_text()


def test_no_password_has_a_default():
    secret = {name for name in variables("compose.yaml") if "PASSWORD" in name or "SECRET" in name}
    assert secret == {"AWS_SECRET_ACCESS_KEY", "POSTGRES_PASSWORD"}
    assert {name for name, must in variables("compose.yaml").items() if must} == set(GIVEN)


def test_the_environment_of_all_services_is_one_and_right(compose, monkeypatch, tmp_path):
    first, *others = (each["environment"] for each in ours(compose).values())
    assert all(each == first for each in others)
    monkeypatch.chdir(tmp_path)
    environment_of(compose, monkeypatch)
    settings = load_settings()
    assert settings.export_url == "s3://hubspot/export"
    assert settings.s3_endpoint_url == "http://store:9000"
    assert settings.budget_url.get_secret_value() == "redis://redis:6379/0"
    assert settings.export_executor == "in_process"


def test_a_bucket_of_amazons_is_some_variables_away(monkeypatch, tmp_path):
    of_amazons = {
        "EXPORT_URL": "s3://mine/hubspot",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "S3_ENDPOINT_URL": "",
    }
    environment_of(read("compose.yaml", GIVEN | of_amazons), monkeypatch)
    monkeypatch.chdir(tmp_path)
    settings = load_settings()
    assert (settings.export_url, settings.s3_region) == ("s3://mine/hubspot", "eu-central-1")
    assert settings.s3_endpoint_url is None


def test_dagster_takes_the_instance(compose, monkeypatch):
    environment_of(compose, monkeypatch)
    ref = InstanceRef.from_dir(str(DEPLOY))
    kinds = ("run_storage", "event_storage", "schedule_storage", "run_launcher")
    for kind in (*kinds, "run_coordinator", "compute_logs", "local_artifact_storage"):
        data = getattr(ref, f"{kind}_data")
        found = getattr(importlib.import_module(data.module_name), data.class_name)
        result = process_config(resolve_to_config_type(found.config_type()), data.config_dict)
        assert result.success, (kind, result.errors)
    assert ref.run_storage_data.class_name == "PostgresRunStorage"
    launcher: Any = ref.run_launcher
    assert launcher.default_queue in compose["services"]["worker"]["command"]


def test_the_instance_is_that_of_one_machine_but_for_what_is_about_machines():
    many, one = (dagster_instance_config(str(each))[0] for each in (DEPLOY, ROOT))
    of_machines = {"storage", "compute_logs", "local_artifact_storage", "run_launcher"}
    of_one_machine = {"code_servers", "event_log_storage"}
    assert set(many) - of_machines == set(one) - of_one_machine
    for name in set(many) & set(one):
        assert many[name] == one[name], name


def test_as_many_runs_are_under_way_as_workers_have_processes(compose):
    instance, _ = dagster_instance_config(str(DEPLOY))
    worker = compose["services"]["worker"]
    of_each = int(worker["command"][worker["command"].index("--concurrency") + 1])
    together = of_each * worker["deploy"]["replicas"]
    assert instance["concurrency"]["runs"]["max_concurrent_runs"] == together


def test_dagster_takes_the_workspace(monkeypatch):
    monkeypatch.setenv("CODE_SERVER_HOST", "code")
    result: Any = process_workspace_config(yaml.safe_load((DEPLOY / "workspace.yaml").read_text()))
    assert result.success, result.errors
    (server,) = result.value["load_from"]
    port = str(server["grpc_server"]["port"])
    assert port in image()["command"]
    assert port in image()["health"]


@pytest.mark.slow
def test_cloudformation_takes_the_template_for_ecs():
    from cfnlint.api import lint  # which takes a second that other tests need not wait

    assert lint((DEPLOY / "ecs.yaml").read_text(), regions=["eu-central-1"]) == []


def test_containers_on_ecs_are_the_services_of_compose(compose):
    first, *others = containers()
    for each in others:
        assert each["Environment"] == first["Environment"]
        assert each["Secrets"] == first["Secrets"]
    given = {item["Name"] for item in (*first["Environment"], *first["Secrets"])}
    services = ours(compose)
    of_compose = set(services["code"]["environment"])
    # A store of one's own needs to be told where it is, and a role needs no key.
    assert of_compose - given == {
        *("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL_S3"),
        *("S3_ENDPOINT_URL", "EXPORT_TIMEZONE", "EXPORT_EXECUTOR", "AWS_DEFAULT_REGION"),
    }
    assert given <= of_compose
    assert {each["Name"] for each in (first, *others)} == set(services)
    for each in (first, *others):
        service = services[each["Name"]]
        assert each.get("Command") == service.get("command")
        health = service.get("healthcheck", {"test": ["CMD", *image()["health"]]})["test"]
        assert each["HealthCheck"]["Command"] == [part.replace("$$", "$") for part in health]
        assert (each["ReadonlyRootFilesystem"], each["User"]) == (True, service["user"])
        assert each["StopTimeout"] == 60


def test_the_values_for_helm_are_ones_that_the_chart_knows(helm):
    (deployment,) = helm["dagster-user-deployments"]["deployments"]
    launcher = helm["runLauncher"]["config"]["k8sRunLauncher"]
    known = {
        "": helm,
        "deployment": deployment,
        "k8sRunLauncher": launcher,
        **{name: helm[name] for name in ("postgresql", "dagsterDaemon", "dagsterWebserver")},
    }
    for name, values in known.items():
        assert set(values) <= CHART[name], name
    assert f"--version {dg.__version__} " in (DEPLOY / "helm.yaml").read_text()


def test_helm_says_of_the_instance_what_compose_does(helm):
    instance, _ = dagster_instance_config(str(DEPLOY))
    assert helm["concurrency"] == {
        "enabled": True,
        "pools": {"defaultLimit": 1, "granularity": "run"},
        "runs": {"maxConcurrentRuns": instance["concurrency"]["runs"]["max_concurrent_runs"]},
    }
    daemon = helm["dagsterDaemon"]
    assert daemon["runRetries"] == camel(instance["run_retries"])
    assert daemon["runCoordinator"] == {
        "enabled": True,
        "type": "CustomRunCoordinator",
        "config": {"customRunCoordinator": {**instance["run_coordinator"], "config": {}}},
    }
    waits_for_a_node = {"startTimeoutSeconds": 300, "maxResumeRunAttempts": 0}
    assert daemon["runMonitoring"] == camel(instance["run_monitoring"]) | waits_for_a_node
    assert helm["retention"] == {"enabled": True, **camel(instance["retention"])}
    assert helm["pythonLogs"] == camel(instance["python_logs"])


def test_on_kubernetes_nothing_is_root_or_writes_but_below_tmp(helm):
    (deployment,) = helm["dagster-user-deployments"]["deployments"]
    for each in (deployment, helm["dagsterDaemon"], helm["dagsterWebserver"]):
        assert each["securityContext"]["runAsUser"] == 10001
        assert each["securityContext"]["readOnlyRootFilesystem"]
        (mount,) = each["volumeMounts"]
        assert mount["mountPath"] == "/tmp"


def test_what_helm_gives_the_code_is_right(helm, monkeypatch, tmp_path):
    (deployment,) = helm["dagster-user-deployments"]["deployments"]
    monkeypatch.chdir(tmp_path)
    for name, value in deployment["env"].items():
        monkeypatch.setenv(name, value)
    assert load_settings().export_url == "s3://a-bucket/hubspot"


def camel(values):
    """Names as the chart has them."""
    if not isinstance(values, dict):
        return values
    words = {name: name.split("_") for name in values}
    return {
        "".join([first, *(word.capitalize() for word in more)]): camel(values[name])
        for name, (first, *more) in words.items()
    }
