"""Failed runs and checks are told of at a webhook: what a person needs, once a day and cause."""

import json
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import dagster as dg
import pytest

from hubspot_assets.definitions import build_defs
from hubspot_assets.hubspot.catalog import standard_catalog
from hubspot_assets.settings import load_settings


class Webhook(BaseHTTPRequestHandler):
    taken: list[str]
    url: str
    status = 200

    def do_POST(self):
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.taken.append(json.loads(body)["text"])
        self.send_response(self.status)
        self.end_headers()

    def log_message(self, *_):
        pass


@pytest.fixture
def webhook():
    class Own(Webhook):
        """Of this test alone."""

    with HTTPServer(("127.0.0.1", 0), Own) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        Own.taken = []
        Own.url = f"http://127.0.0.1:{server.server_port}/services/a-5ecret"
        yield Own
        server.shutdown()
        thread.join()


@pytest.fixture
def fail(webhook, reach, shared_sandbox):
    """Fails a run for what is given, and lets the sensor hear of it."""
    reach(
        shared_sandbox,
        ALERT_WEBHOOK_URL=webhook.url,
        ALERT_WEBSERVER_URL="http://dagster.example:3000",
    )
    sensor = build_defs(standard_catalog(), load_settings()).resolve_sensor_def("alert")
    with dg.DagsterInstance.ephemeral() as instance:

        def run(error):
            @dg.op
            def breaks():
                raise error

            @dg.job
            def export_day():
                breaks()

            result = export_day.execute_in_process(
                instance=instance, raise_on_error=False, tags={"dagster/partition": "2026-11-22"}
            )
            sensor(
                dg.build_run_status_sensor_context(
                    "alert", result.get_run_failure_event(), instance, result.dagster_run
                )
            )
            return result.run_id

        yield run


@pytest.fixture
def check(webhook, reach, shared_sandbox):
    """Ends a run in which tables were checked, and lets the sensor of that end hear of it."""
    with dg.DagsterInstance.ephemeral() as instance:

        def run(*found, fails=False, **more):
            at = {"ALERT_WEBHOOK_URL": webhook.url, "ALERT_WEBSERVER_URL": "http://dagster.example"}
            reach(shared_sandbox, **(at | more))
            specs = [dg.AssetSpec(table) for table, _, _ in found]
            checks = [dg.AssetCheckSpec("published", asset=spec.key) for spec in specs]

            @dg.multi_asset(specs=specs, check_specs=checks, name="tables")
            def tables():
                for table, severity, words in found:
                    yield dg.MaterializeResult(asset_key=table)
                    yield dg.AssetCheckResult(
                        passed=severity is None,
                        asset_key=table,
                        severity=severity or dg.AssetCheckSeverity.WARN,
                        description=words,
                    )
                if fails:
                    raise dg.Failure("the bucket is gone")

            job = dg.define_asset_job("export_day")
            result = (
                dg.Definitions([tables], jobs=[job])
                .resolve_job_def("export_day")
                .execute_in_process(
                    instance=instance,
                    raise_on_error=False,
                    tags={"dagster/partition": "2026-11-22"},
                )
            )
            name = "alert" if fails else "alert_checks"
            ended = result.get_run_failure_event() if fails else result.get_run_success_event()
            sensor = build_defs(standard_catalog(), load_settings()).resolve_sensor_def(name)
            sensor(dg.build_run_status_sensor_context(name, ended, instance, result.dagster_run))
            return result.run_id

        yield run


def test_a_failed_run_is_told_of_once_a_day_and_cause(fail, webhook):
    first = fail(dg.Failure("HubSpot is down; it resumes at 10:15"))
    told = "export_day of 2026-11-22 failed: HubSpot is down; it resumes at 10:15"
    assert webhook.taken == [f"{told}\nhttp://dagster.example:3000/runs/{first}"]
    fail(dg.Failure("HubSpot is down; it resumes at 11:45"))
    assert len(webhook.taken) == 1
    fail(dg.Failure("the bucket is gone"))
    assert len(webhook.taken) == 2


def test_each_of_several_portals_is_told_of(webhook, reach, shared_sandbox, tmp_path):
    file = tmp_path / "portals.toml"
    file.write_text("".join(f"[{name}]\nEXPORT_URL = '/{name}'\n" for name in ("acme", "globex")))
    reach(shared_sandbox, ALERT_WEBHOOK_URL=webhook.url, PORTALS_FILE=str(file))
    with dg.DagsterInstance.ephemeral() as instance:

        @dg.op
        def breaks():
            raise dg.Failure("HubSpot is down")

        @dg.job
        def export_day():
            breaks()

        for name in ("acme", "globex"):
            result = export_day.execute_in_process(instance=instance, raise_on_error=False)
            sensor = build_defs(standard_catalog(), load_settings(name)).resolve_sensor_def("alert")
            event = result.get_run_failure_event()
            sensor(dg.build_run_status_sensor_context("alert", event, instance, result.dagster_run))
    assert webhook.taken == [
        f"{name}: export_day failed: HubSpot is down" for name in ("acme", "globex")
    ]


def test_a_customers_values_are_not_told(fail, webhook):
    fail(ValueError("ann@example.com"))
    assert "breaks failed as nobody foresaw" in webhook.taken[0]
    assert "ann" not in webhook.taken[0]


def test_what_was_not_taken_is_told_again(fail, webhook, capfd):
    webhook.status = 500
    fail(dg.Failure("the bucket is gone"))
    webhook.status = 200
    fail(dg.Failure("the bucket is gone"))
    fail(dg.Failure("the bucket is gone"))
    assert len(webhook.taken) == 2
    assert "a-5ecret" not in "".join(capfd.readouterr())


ERROR, WARN = dg.AssetCheckSeverity.ERROR, dg.AssetCheckSeverity.WARN
FINE = ("TEAMS", None, "12 rows")
EMPTY = "0 rows; the day before had 300"


def test_failed_checks_are_told_of_once_a_day_and_cause(check, webhook):
    rows = enumerate("ABCD", start=300)
    tables = [(f"OBJECTS_{x}", ERROR, f"0 rows; the day before had {n}") for n, x in rows]
    first = check(FINE, *tables, ("LISTS", WARN, "a scope is missing"))
    (told,) = webhook.taken
    assert told.splitlines() == [
        "export_day of 2026-11-22: checks failed",
        f"ERROR OBJECTS_A, OBJECTS_B, OBJECTS_C and 1 more (published): {EMPTY}",
        f"http://dagster.example/runs/{first}",
    ]
    check(("OBJECTS_E", ERROR, "0 rows; the day before had 5"))
    assert len(webhook.taken) == 1
    check(("OBJECTS_A", ERROR, EMPTY), ("LISTS", ERROR, "the columns are not those declared"))
    assert len(webhook.taken) == 2
    assert "the columns" in webhook.taken[1]
    assert EMPTY not in webhook.taken[1]


@pytest.mark.parametrize(("told_of", "lines"), [("all", ["ERROR", "WARN"]), ("errors", ["ERROR"])])
def test_warnings_are_told_of_by_a_setting(check, webhook, told_of, lines):
    check(("LISTS", WARN, "a scope"), ("OWNERS", ERROR, EMPTY), FINE, ALERT_CHECKS=told_of)
    assert [line.split()[0] for line in webhook.taken[0].splitlines()[1:-1]] == lines


def test_checks_that_pass_are_not_told_of(check, webhook):
    check(FINE, ALERT_CHECKS="all")
    assert webhook.taken == []


def test_no_check_is_told_of_by_a_setting(check, webhook):
    with pytest.raises(dg.DagsterInvariantViolationError, match="alert_checks"):
        check(("OWNERS", ERROR, EMPTY), ALERT_CHECKS="none")
    check(("OWNERS", ERROR, EMPTY), ALERT_CHECKS="none", fails=True)
    assert len(webhook.taken) == 1


def test_a_run_that_fails_tells_of_its_checks_too(check, webhook):
    check(("OWNERS", ERROR, EMPTY), fails=True)
    failure, checks = webhook.taken
    assert "the bucket is gone" in failure
    assert "OWNERS (published)" in checks


def test_checks_that_were_not_taken_are_told_of_again(check, webhook):
    webhook.status = 500
    check(("OWNERS", ERROR, EMPTY))
    webhook.status = 200
    check(("OWNERS", ERROR, EMPTY))
    assert len(webhook.taken) == 2


def test_of_many_causes_some_are_named(check, webhook):
    check(*((f"T{n}", ERROR, "abcdefghijkl"[n] * 9) for n in range(12)))
    _, *lines, _ = webhook.taken[0].splitlines()
    assert (len(lines), lines[-1]) == (11, "and 2 more")


def test_without_a_webhook_there_is_no_sensor(reach, shared_sandbox):
    reach(shared_sandbox, EXPORT_HEAL_DAYS="0")
    defs = build_defs(standard_catalog(), load_settings())
    assert not defs.get_repository_def().sensor_defs
