"""Failed runs are told of at a webhook: what a person needs, once a day and cause."""

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


def test_a_failed_run_is_told_of_once_a_day_and_cause(fail, webhook):
    first = fail(dg.Failure("HubSpot is down; it resumes at 10:15"))
    told = "export_day of 2026-11-22 failed: HubSpot is down; it resumes at 10:15"
    assert webhook.taken == [f"{told}\nhttp://dagster.example:3000/runs/{first}"]
    fail(dg.Failure("HubSpot is down; it resumes at 11:45"))
    assert len(webhook.taken) == 1
    fail(dg.Failure("the bucket is gone"))
    assert len(webhook.taken) == 2


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


def test_without_a_webhook_there_is_no_sensor(reach, shared_sandbox):
    reach(shared_sandbox, EXPORT_HEAL_DAYS="0")
    defs = build_defs(standard_catalog(), load_settings())
    assert not defs.get_repository_def().sensor_defs
