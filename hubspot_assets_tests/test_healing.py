"""Days that failed or were missed are delivered later; what a person must mend is left alone."""

import os
import subprocess
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest

from hubspot_assets.assets import healing
from hubspot_assets.assets.healing import TRIES, next_to_heal
from hubspot_assets.assets.schedule import LATE_EVENTS, WHY, is_complete
from hubspot_assets.definitions import JOB, build_defs
from hubspot_assets.export import read_manifest
from hubspot_assets.settings import load_settings
from hubspot_assets.storage import open_store
from hubspot_assets_tests.conftest import DAY, place
from hubspot_assets_tests.test_commands import SCRIPT, run

BEFORE = "2026-11-21"
HOUR = timedelta(hours=1)


class House:
    """A portal's code location and its instance, at a time that moves with each look."""

    def __init__(self, instance, folder):
        self.days = [DAY]
        self.instance = instance
        self.store = open_store(str(folder))
        self.defs = build_defs(place().load(), load_settings())

    def deliver(self, day):
        return self.carry_out(dg.RunRequest(partition_key=day))

    def carry_out(self, request):
        """A run that was asked for, as Dagster's daemon would launch it."""
        job = self.defs.resolve_job_def(JOB)
        return job.execute_in_process(
            instance=self.instance,
            partition_key=request.partition_key,
            asset_selection=request.asset_selection,
            run_config=request.run_config,
            tags=request.tags,
            raise_on_error=False,
        ).success

    def of_the_schedule(self):
        """What the schedule asks for in the night after DAY."""
        at = datetime(2026, 11, 23, 1, 30, tzinfo=UTC)
        repository = self.defs.get_repository_def()
        context = dg.build_schedule_context(
            self.instance, scheduled_execution_time=at, repository_def=repository
        )
        schedule = self.defs.resolve_schedule_def("daily_export")
        return schedule.evaluate_tick(context).run_requests

    def due(self, later=timedelta(), events=()):
        runs = dg.RunsFilter(job_name=JOB)
        now = datetime.now(UTC) + later
        return next_to_heal(self.instance, runs, self.store, self.days, events, now)


@pytest.fixture
def house(sandbox, reach):
    folder = reach(sandbox, OBJECT_TYPES="companies")
    assert run("discover")[0] == 0
    with dg.DagsterInstance.ephemeral() as instance:
        yield House(instance, folder)


@pytest.mark.slow
def test_missed_nights_are_made_up_for_the_newest_first(house):
    house.days = [BEFORE, DAY]
    assert house.due().partition_key == DAY
    assert house.due().tags == {"hubspot/why": "missing"}
    assert house.deliver(DAY)
    assert house.due().partition_key == BEFORE
    assert house.deliver(BEFORE)
    assert house.due() == "the newest days are complete"


def test_a_fault_that_passes_is_tried_again_later_and_not_for_ever(house, sandbox):
    sandbox.faults.add("bad_gateway", times=10_000, path="/owners")
    assert not house.deliver(DAY)
    assert house.due().startswith(f"{DAY}: tried again at ")
    request = house.due(HOUR)
    assert (request.partition_key, request.tags) == (DAY, {"hubspot/why": "incomplete"})
    assert not house.deliver(DAY)
    assert house.due(HOUR * 0.9).startswith(f"{DAY}: tried again at ")
    assert house.due(HOUR * 1.1).run_key != request.run_key
    for _ in range(TRIES - 2):
        assert not house.deliver(DAY)
    assert house.due(HOUR * 20) == f"{DAY}: tried {TRIES} times within a day"
    assert house.due(HOUR * 25).partition_key == DAY
    sandbox.faults.clear()
    assert house.deliver(DAY)
    assert house.due() == "the newest days are complete"


def test_the_calls_of_the_day_are_waited_for(house, sandbox):
    sandbox.faults.add("rate_limited", times=10_000, policy="DAILY")
    assert not house.deliver(DAY)
    assert "HubSpot's calls of the day resume at " in house.due()
    assert house.due(HOUR * 25).partition_key == DAY


@pytest.mark.slow
def test_what_a_person_must_mend_is_left_until_a_run_succeeds(house, monkeypatch):
    token = os.environ["HUBSPOT_ACCESS_TOKEN"]
    monkeypatch.setenv("HUBSPOT_ACCESS_TOKEN", "pat-na1-of-nobody")
    assert not house.deliver(DAY)
    monkeypatch.setenv("HUBSPOT_ACCESS_TOKEN", token)
    assert house.due(HOUR * 30) == f"{DAY}: its run failed for what a person must mend"
    assert house.deliver(BEFORE)
    assert house.due(HOUR).partition_key == DAY


def test_a_run_that_is_under_way_is_not_joined(house):
    job = house.defs.resolve_job_def(JOB)
    house.instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED)
    assert house.due() == "a run is under way"


@pytest.mark.parametrize(
    ("now", "newest"),
    [
        ("2026-11-23T02:20:00+00:00", "2026-11-21"),
        ("2026-11-23T02:40:00+00:00", "2026-11-22"),
    ],
)
def test_the_newest_day_is_the_schedules_first(reach, shared_sandbox, monkeypatch, now, newest):
    reach(shared_sandbox)
    moment = datetime.fromisoformat(now)

    class Clock(datetime):
        @classmethod
        def now(cls, tz=None):
            return moment.astimezone(tz)

    defs = build_defs(place().load(), load_settings())
    monkeypatch.setattr(healing, "datetime", Clock)
    with dg.DagsterInstance.ephemeral() as instance:
        context = dg.build_sensor_context(instance, repository_def=defs.get_repository_def())
        tick = defs.resolve_sensor_def("heal_days").evaluate_tick(context)
    assert [each.partition_key for each in tick.run_requests] == [newest]


@pytest.mark.slow
def test_the_schedule_reads_the_events_of_former_days_again(house, sandbox):
    assert house.deliver(BEFORE)
    before = read_manifest(house.store, BEFORE, "EVENTS_VISITED_PAGE").observed_at
    newest, again = house.of_the_schedule()
    assert (newest.partition_key, newest.tags[WHY]) == (DAY, "newest")
    assert (again.partition_key, again.tags[WHY]) == (BEFORE, LATE_EVENTS)
    sandbox.requests.clear()
    assert house.carry_out(again)
    assert any("/events/" in path for path, _ in sandbox.requests)
    assert not any("/crm/objects" in path for path, _ in sandbox.requests)
    assert read_manifest(house.store, BEFORE, "EVENTS_VISITED_PAGE").observed_at > before
    assert is_complete(house.store, BEFORE)


@pytest.mark.slow
def test_late_events_that_could_not_be_read_are_read_later(house, sandbox):
    house.days = [BEFORE, DAY]
    assert house.deliver(BEFORE)
    assert house.deliver(DAY)
    _, again = house.of_the_schedule()
    events = again.asset_selection
    sandbox.faults.add("bad_gateway", times=10_000, path="/events/")
    assert not house.carry_out(again)
    assert is_complete(house.store, BEFORE)
    assert house.due(events=events).startswith(f"late events of {BEFORE}: tried again at ")
    assert house.due(HOUR) == "the newest days are complete"
    healing_run = house.due(HOUR, events)
    assert healing_run.run_key != again.run_key
    assert (healing_run.partition_key, healing_run.tags) == (BEFORE, {WHY: LATE_EVENTS})
    assert healing_run.asset_selection == events
    assert healing_run.run_config == again.run_config
    sandbox.faults.clear()
    assert house.carry_out(healing_run)
    assert house.due(HOUR, events) == "the newest days are complete"


@pytest.mark.slow
def test_several_commands_at_once_make_a_home_that_works(reach, sandbox, tmp_path):
    home = tmp_path / "home"
    home.mkdir()
    reach(sandbox, OBJECT_TYPES="companies", DAGSTER_HOME=str(home))
    command = [str(SCRIPT), "discover"]
    started = [
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        for _ in range(2)
    ]
    told = [each.communicate()[0] for each in started]
    assert [each.returncode for each in started] == [0, 0], told
    status, output = run("export", "--day", DAY, "--select", "OWNERS")
    assert status == 0, output
    with dg.DagsterInstance.get() as instance:
        assert len(instance.get_runs()) == 1
