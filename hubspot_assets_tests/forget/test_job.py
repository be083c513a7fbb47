"""The job that forgets, in Dagster."""

import re

import dagster as dg
import pytest

from hubspot_assets.definitions import build_defs
from hubspot_assets.settings import load_settings
from hubspot_assets_tests.conftest import READ_AT, place, set_environment
from hubspot_assets_tests.forget.delivered import DAYS, TYPES, holds, mentions


def definitions():
    return build_defs(place().load(), load_settings())


def ran(instance, **config):
    """The job's result and all that its event log holds."""
    result = (
        definitions()
        .resolve_job_def("forget")
        .execute_in_process(
            instance=instance,
            run_config={"ops": {"forget_records": {"config": config}}},
            raise_on_error=False,
        )
    )
    log = "\n".join(str(each) for each in instance.all_logs(result.run_id))
    return result, log


@pytest.mark.slow
def test_the_job_and_what_its_log_tells(delivered, export, people, tmp_path):
    sandbox, folder = delivered[0], export
    live = next(each for each in sandbox.portal.live_ids("0-1", READ_AT) if each not in people.ids)
    with dg.DagsterInstance.ephemeral() as instance:
        result, log = ran(instance, object_type="contacts", ids=[str(live)])
        assert not result.success
        assert "1 of 1 records are still in HubSpot" in log
        file = tmp_path / "people.txt"
        file.write_text("\n".join([*map(str, people.ids), *people.addresses]))
        before = mentions(folder, people.words)
        who = {"object_type": "contacts", "from_file": str(file)}
        result, log = ran(instance, **who, dry_run=True, redact_references=True)
        assert result.success
        assert re.search("would redact [1-9]", log)
        assert mentions(folder, people.words) == before
        result, log = ran(instance, erased=True)
        assert result.success
    assert not [word for word in people.words if str(word) in log.lower()]
    assert not [path for path, _ in mentions(folder, people.ids) if "CONTACTS" in path]
    assert all(holds(folder, day) for day in DAYS)


def test_the_schedule_is_weekly_of_what_is_erased_and_off(delivered, monkeypatch):
    sandbox, folder, _ = delivered
    set_environment(monkeypatch, sandbox, folder.parent, EXPORT_TIMEZONE="Europe/Warsaw", **TYPES)
    schedule = definitions().resolve_schedule_def("weekly_forget_erased")
    assert schedule.default_status == dg.DefaultScheduleStatus.STOPPED
    assert schedule.execution_timezone == "Europe/Warsaw"
    assert schedule.cron_schedule.split()[-1] == "0"
    data = schedule.evaluate_tick(dg.build_schedule_context())
    (request,) = data.run_requests
    assert request.run_config["ops"]["forget_records"]["config"]["erased"] is True
