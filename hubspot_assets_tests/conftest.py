"""A sandbox portal, and an environment that reaches it and nothing else."""

import gc
import json
import os
import signal
import tempfile
import time
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import botocore.httpsession
import botocore.session
import duckdb
import httpx
import moto.backends
import pytest
from botocore.retries.standard import ExponentialBackoff
from dagster._core.storage import event_log, runs
from xdist.scheduler import LoadScopeScheduling

from hubspot_assets.assets.resources import s3_resource
from hubspot_assets.catalog_place import catalog_place
from hubspot_assets.deliver import deliver
from hubspot_assets.hubspot import client
from hubspot_assets.progress import Display
from hubspot_assets.sandbox import PortalConfig, serve
from hubspot_assets.sandbox.event_types import Rate
from hubspot_assets.settings import Settings, load_settings
from hubspot_assets_tests.documents import held_against_documents
from hubspot_assets_tests.stores import bucket, endpoint, folder, s3, store  # noqa: F401

DAY = "2026-11-22"
START = datetime(2026, 11, 22, tzinfo=UTC)
END = datetime(2026, 11, 23, tzinfo=UTC)
READ_AT = datetime(2026, 11, 23, 6, tzinfo=UTC)
#: Contacts of the portal whose whole day is delivered.
RECORDS = 300
#: Custom events of it that happen often enough for a contact to have several on one day.
OFTEN = {"trial_started": {"lead_source": "string"}, "purchase_made": {"price": "number"}}
#: HubSpot's own ones that do so there, too: elsewhere a small portal has hardly any.
OFTEN_OF_ADS = ("e_ad_interaction", "e_ad_metrics_imported_v0")
#: Event types that are enough for most tests.
FEW_EVENTS = "e_visited_page,e_opened_email_v2"
OURS = (
    "BUDGET_",
    "HUBSPOT_",
    "EXPORT_",
    "AWS_",
    "S3_",
    "DAGSTER_HOME",
    "OBJECT_TYPES",
    "EVENT_TYPES",
    "EXCLUDE_",
    "STATE_",
    "CATALOG_",
    "ASSOCIATION_",
    "PORTAL",
    "ALERT_",
    "CELERY_",
    "KEEP_",
)


@pytest.fixture(scope="session", autouse=True)
def brisk():
    """Who is refused tries again at once; what libraries read from disk is read once, what they
    make in memory is stamped with no version, and what is there by now is no garbage."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(20_000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(client, "BACKOFF", 0.0)
        patch.setattr(ExponentialBackoff, "delay_amount", lambda *_: 0)
        for module, name in (
            (botocore.session, "create_loader"),
            (botocore.httpsession, "create_urllib3_context"),
            (httpx._transports.default, "create_ssl_context"),
        ):
            patch.setattr(module, name, cache(getattr(module, name)))
        modules = list(moto.backends.list_of_moto_modules())
        patch.setattr(moto.backends, "list_of_moto_modules", lambda: modules)
        for module in (event_log.in_memory, runs.in_memory):
            patch.setattr(module, "stamp_alembic_rev", lambda *_: None)
        yield
    gc.unfreeze()


@pytest.fixture(scope="session", autouse=True)
def interruptible():
    """What tests start can be told to stop, though they run in the background: a shell has Ctrl+C
    ignored there, by whatever is started, and Dagster lets SIGTERM do what that does."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def documents():
    """What the sandbox has answered otherwise than HubSpot documents."""
    with held_against_documents() as breaches:
        yield breaches


@pytest.fixture(autouse=True)
def as_documented(documents):
    """Every answer that a test sees is one that HubSpot could give, by its documents."""
    yield
    breaches = sorted(documents)
    documents.clear()
    assert not breaches


@pytest.fixture(scope="session")
def shared_sandbox():
    """A portal that no test changes, and whose merges leave the survivor's id."""
    config = PortalConfig(records=120, now=READ_AT, burst=100_000, primary_ids_last=True)
    with serve(config) as sandbox:
        yield sandbox


@pytest.fixture
def sandbox():
    """A portal of the test's own, for faults and counts of requests."""
    with serve(PortalConfig(records=120, now=READ_AT, burst=100_000)) as own:
        yield own


@pytest.fixture
def reach(monkeypatch, tmp_path):
    """Sets an environment that reaches a sandbox, and exports to a folder, which it gives."""

    def set_up(sandbox, **more):
        everything = more.get("OBJECT_TYPES") == ""
        events = "" if everything else FEW_EVENTS
        few = {"OBJECT_TYPES": "deals,companies", "EVENT_TYPES": events}
        return set_environment(monkeypatch, sandbox, tmp_path, **(few | more))

    return set_up


def place():
    """Where the environment says that the catalog is."""
    settings = load_settings()
    return catalog_place(settings, s3_resource(settings).get_client)


def set_environment(patch, sandbox, root, **more):
    """Sets an environment that reaches a sandbox and exports below `root`; gives where to."""
    for name in os.environ:
        if name.startswith(OURS):
            patch.delenv(name)
    work = root / "work"
    work.mkdir(exist_ok=True)
    patch.chdir(work)
    patch.setattr(tempfile, "tempdir", str(work))
    settings = {
        "HUBSPOT_BASE_URL": sandbox.url,
        "HUBSPOT_ACCESS_TOKEN": sandbox.token,
        "EXPORT_URL": str(root / "export"),
        "EXPORT_START": "2024-01-01",  # portals are discovered after the days of which they tell
    }
    for name, value in (settings | more).items():
        patch.setenv(name, value)
    return root / "export"


@pytest.fixture(scope="session")
def portal():
    """The portal whose whole day is delivered; no test changes it."""
    config = PortalConfig(records=RECORDS, now=READ_AT, burst=100_000)
    with serve(config) as sandbox:
        for name, properties in OFTEN.items():
            sandbox.portal.define_event(name, per_day=1.5, properties=properties)
        happens = sandbox.portal.event_life
        for name in OFTEN_OF_ADS:
            kind = happens.kinds[name]
            happens.add(replace(kind, rates=(Rate(kind.rates[0].object_type_id, per_day=0.8),)))
        yield sandbox


@pytest.fixture(scope="session")
def exported(portal, tmp_path_factory):
    """The export folder of a whole day, delivered once for all tests."""
    with pytest.MonkeyPatch.context() as patch:
        root = tmp_path_factory.mktemp("day")
        folder = set_environment(patch, portal, root, EXPORT_FORMATS="csv,parquet")
        deliver(Settings(), DAY, [], Display())
    return folder


@pytest.fixture
def sql(exported):
    """Runs SQL in which $TABLE stands for the text rows of a table of the day."""
    connection = duckdb.connect()
    tables = sorted((exported / DAY).iterdir(), key=lambda path: -len(path.name))

    def run(query: str):
        for path in tables:
            rows = (
                f"read_csv('{path}/**/*.csv.gz', header=true, all_varchar=true, "
                "allow_quoted_nulls=false, parallel=false, delim=',', quote='\"', escape='\"', "
                "max_line_size=64000000)"
            )
            query = query.replace(f"${path.name} ", f"{rows} ")
        return connection.sql(query).fetchall()

    return run


@pytest.fixture
def clock_of():
    """Sets the machine's own time zone, which is to make no difference to anything."""
    with pytest.MonkeyPatch.context() as patch:

        def set_zone(zone):
            patch.setenv("TZ", zone)
            time.tzset()

        yield set_zone
    time.tzset()


@pytest.fixture
def patient(monkeypatch):
    """Retries come when they are due, as they do outside of tests."""
    monkeypatch.setattr(client, "BACKOFF", 1.0)


@pytest.fixture
def change(monkeypatch):
    """Changes answers to requests of a `method`: `edit` gets the path, what was asked (None by a
    GET) and the answer's body, to be edited."""

    def run(edit, method="GET", patch=monkeypatch):
        send = httpx.HTTPTransport.handle_request

        def handle(self, request):
            answer = send(self, request)
            content = answer.read()
            if request.method != method or not answer.is_success:
                return httpx.Response(answer.status_code, headers=answer.headers, content=content)
            body = json.loads(content)
            edit(request.url.path, json.loads(request.content or "null"), body)
            return httpx.Response(answer.status_code, json=body)

        patch.setattr(httpx.HTTPTransport, "handle_request", handle)

    return run


class ByFixtures(LoadScopeScheduling):
    """Keeps in one process what shares costly fixtures: a module, all that asks of the day, and
    all that forgets."""

    def _split_scope(self, nodeid):
        path = nodeid.split("::")[0]
        of_the_day = "/acceptance/" in path or path.endswith("/test_day.py")
        return "the day" if of_the_day else "forgetting" if "/forget/" in path else path


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items):
    """The cases that samples stand for are slow; and what takes long comes first, as it would keep
    one process waiting at the end."""
    seen = Counter()
    for item in items:
        if of := item.get_closest_marker("samples"):
            first = [each for each in of.args if isinstance(each, int)]
            if item.callspec.id not in of.args and seen[item.function] >= sum(first):
                item.add_marker("slow")
            seen[item.function] += 1
    here = Path(__file__).parent
    long = [here / "acceptance", here / "forget", here / "sources", here]
    items.sort(key=lambda item: item.path.parent not in long)


def pytest_xdist_make_scheduler(config, log):
    """Distributes the tests where several processes run them."""
    return ByFixtures(config, log)
