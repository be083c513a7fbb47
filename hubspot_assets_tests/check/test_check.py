"""The preflight against a bucket whose policies are evaluated, and a portal that lacks scopes."""

from __future__ import annotations

import copy
import io
import logging
import re
import uuid
from fnmatch import fnmatchcase
from urllib.parse import unquote

import dagster as dg
import pytest
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from moto.server import ThreadedMotoServer
from urllib3 import HTTPResponse

from hubspot_assets.assets.resources import s3_resource
from hubspot_assets.aws import iam
from hubspot_assets.check import preflight
from hubspot_assets.check.bucket import check_bucket
from hubspot_assets.definitions import build_defs
from hubspot_assets.hubspot.catalog import standard_catalog
from hubspot_assets.sandbox import PortalConfig, serve
from hubspot_assets.settings import load_settings
from hubspot_assets_tests.aws.iam_account import EXTERNAL_ID, REGION, Account
from hubspot_assets_tests.conftest import DAY, READ_AT
from hubspot_assets_tests.test_commands import fails, run

PREFIX = "a/folder"


@pytest.fixture(scope="module")
def server():
    moto = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    moto.start()
    host, port = moto.get_host_and_port()
    yield Account(f"http://{host}:{port}")
    moto.stop()


@pytest.fixture
def account(server):
    yield server
    server.enforce(on=False)


@pytest.fixture
def export_as(account, reach, shared_sandbox):
    """An environment that exports to a new bucket, in a role with a policy; gives the bucket."""

    def set_up(change=lambda policy: None, *, versioned=False, sandbox=shared_sandbox, **more):
        bucket, role = account.bucket(versioned=versioned), f"role-{uuid.uuid4().hex}"
        policy = copy.deepcopy(iam.permission_policy(iam.Grant(bucket, PREFIX, versions=versioned)))
        change(policy)
        caller = account.caller(role)
        trust = iam.trust_policy(caller.arn, EXTERNAL_ID)
        role_arn = account.role(role, trust, policy)
        account.enforce(on=True)
        reach(
            sandbox,
            EXPORT_URL=f"s3://{bucket}/{PREFIX}",
            OBJECT_TYPES="0-101",
            S3_ENDPOINT_URL=account.endpoint,
            S3_REGION=REGION,
            **(account.session(caller, role_arn, EXTERNAL_ID) | more),
        )
        return bucket

    return set_up


def without(sid):
    def change(policy):
        policy["Statement"] = [each for each in policy["Statement"] if each["Sid"] != sid]

    return change


def without_action(action):
    def change(policy):
        for each in policy["Statement"]:
            each["Action"] = [name for name in each["Action"] if name != action]
        policy["Statement"] = [each for each in policy["Statement"] if each["Action"]]

    return change


def rows():
    """Every row of the preflight by what was tried."""
    settings = load_settings()
    return {each.tried: each for each in preflight(settings, s3_resource(settings).get_client)}


def bucket_rows():
    """Those of S3's side."""
    return {tried: each for tried, each in rows().items() if each.where.startswith("s3://")}


def keys(account, bucket):
    account.enforce(on=False)
    versions = account.client("s3").list_object_versions(Bucket=bucket)
    return [
        each["Key"] for each in versions.get("Versions", []) + versions.get("DeleteMarkers", [])
    ]


@pytest.mark.samples(1)
@pytest.mark.parametrize("versioned", [False, True])
def test_the_generated_policy_is_enough_and_nothing_is_left_behind(account, export_as, versioned):
    bucket = export_as(versioned=versioned)
    status, output = run("check")
    assert status == 0, output
    found = bucket_rows()
    assert {each.status for each in found.values()} == {"ok"}, output
    tried = ["GetBucketLocation", "ListBucket", "PutObject", "GetObject", "HeadObject of none"]
    versions = ["GetObjectVersion", "DeleteObject", "ListBucketVersions", "DeleteObjectVersion"]
    last = versions if versioned else ["DeleteObject"]
    assert list(found) == [*tried, *last, "PutObject outside"]
    assert found["GetBucketLocation"].detail == REGION
    assert keys(account, bucket) == []


@pytest.mark.samples(1)
@pytest.mark.parametrize("sid", [iam.LOCATE, iam.LIST, iam.OBJECTS, iam.VERSIONS])
def test_a_missing_statement_is_named(export_as, sid):
    export_as(without(sid), versioned=True)
    status, output = run("check")
    named = [line for line in output.splitlines() if "is missing from the policy" in line]
    assert named, output
    assert all(f"the statement {sid} is missing" in line for line in named)
    # An export does without knowing the region and without purging old versions.
    assert status == (0 if sid in {iam.LOCATE, iam.VERSIONS} else 1), output


@pytest.mark.samples(2)
@pytest.mark.parametrize(
    ("action", "tried", "status"),
    [
        ("s3:GetBucketLocation", "GetBucketLocation", "warning"),
        ("s3:ListBucket", "ListBucket", "failed"),
        ("s3:PutObject", "PutObject", "failed"),
        ("s3:GetObject", "GetObject", "failed"),
        ("s3:DeleteObject", "DeleteObject", "failed"),
        ("s3:GetObjectVersion", "GetObjectVersion", "warning"),
        ("s3:ListBucketVersions", "ListBucketVersions", "warning"),
    ],
)
def test_every_permission_is_tried_on_its_own(export_as, action, tried, status):
    export_as(without_action(action), versioned=True)
    found = bucket_rows()
    assert [each.tried for each in found.values() if each.status != "ok"] == [tried]
    assert found[tried].status == status
    assert "access denied: the statement" in found[tried].detail


@pytest.mark.parametrize("sid", [iam.LIST, iam.OBJECTS])
def test_an_export_without_a_statement_fails_and_leaves_no_half_table(account, export_as, sid):
    bucket = export_as(without(sid))
    status, output = run("export", "--day", DAY)
    assert status == 1
    assert "access denied; allow it to these credentials" in output
    assert not [key for key in keys(account, bucket) if key.endswith("_manifest.json")]


@pytest.mark.slow
def test_an_export_with_the_generated_policy_is_delivered(account, export_as, caplog):
    bucket = export_as()
    with caplog.at_level(logging.INFO, "werkzeug"):
        status, output = run("export", "--day", DAY, "--select", "OBJECTS_PAYMENTS,OWNERS")
        assert run("check")[0] == 0
    assert status == 0, output
    assert f"{PREFIX}/{DAY}/OWNERS/_manifest.json" in keys(account, bucket)
    # moto takes no notice of s3:prefix, so what was asked for is held against the policy here.
    (listing,) = [
        each
        for each in iam.permission_policy(iam.Grant(bucket, PREFIX))["Statement"]
        if each["Sid"] == iam.LIST
    ]
    listed = {unquote(each) for each in re.findall(r"list-type=2&prefix=([^& ]*)", caplog.text)}
    assert len(listed) > 3
    for prefix in listed:
        patterns = listing["Condition"]["StringLike"]["s3:prefix"]
        assert any(fnmatchcase(prefix, pattern) for pattern in patterns), prefix


def test_a_policy_that_is_too_wide_is_a_warning_and_leaves_nothing(account, export_as):
    def widen(policy):
        (objects,) = [each for each in policy["Statement"] if each["Sid"] == iam.OBJECTS]
        objects["Resource"] = objects["Resource"].replace(f"{PREFIX}/", "")

    bucket = export_as(widen, versioned=True)
    found = rows()["PutObject outside"]
    assert found.status == "warning"
    assert f"narrow the Resource of {iam.OBJECTS} to s3://{bucket}/{PREFIX}/*" in found.detail
    assert run("check")[0] == 0
    assert keys(account, bucket) == []


def test_a_missing_bucket_and_a_wrong_region_are_told(account, export_as, monkeypatch):
    export_as()
    monkeypatch.setenv("S3_REGION", "us-east-1")
    account.enforce(on=False)
    assert "S3_REGION is us-east-1" in rows()["GetBucketLocation"].detail
    monkeypatch.setenv("EXPORT_URL", "s3://no-such-bucket/prefix")
    found = rows()
    assert found["GetBucketLocation"].status == "failed"
    assert "the bucket does not exist" in found["PutObject"].detail


@pytest.mark.parametrize(
    ("operation", "tried", "message", "told"),
    [
        ("PutObject", "PutObject", "perform: kms:GenerateDataKey", f"statement {iam.KEY} is miss"),
        ("GetObject", "GetObject", "perform: kms:Decrypt", f"statement {iam.KEY} is missing"),
        ("HeadObject", "HeadObject of none", "", f"the condition of {iam.LIST} is too narrow"),
    ],
)
def test_what_moto_does_not_judge_is_told_as_aws_answers(account, operation, tried, message, told):
    def refuse(**_):
        body = f"<Error><Code>AccessDenied</Code><Message>{message}</Message></Error>"
        raw = HTTPResponse(io.BytesIO(body.encode()), preload_content=False)
        return AWSResponse(account.endpoint, 403, HTTPHeaders(), raw)

    def client():
        s3 = account.client("s3")
        s3.meta.events.register(f"before-send.s3.{operation}", refuse)
        return s3

    found = {each.tried: each for each in check_bucket(f"s3://{account.bucket()}/a", None, client)}
    assert found[tried].status == "failed"
    assert told in found[tried].detail


@pytest.fixture
def assuming(account, export_as, monkeypatch):
    """An environment of a caller who is to assume a role of some trust policy; gives the role."""

    def set_up(external_id, change=lambda trust: None):
        bucket, role = account.bucket(), f"role-{uuid.uuid4().hex}"
        export_as()
        account.enforce(on=False)
        caller = account.caller(role)
        trust = iam.trust_policy(caller.arn, EXTERNAL_ID)
        change(trust)
        policy = iam.permission_policy(iam.Grant(bucket, PREFIX))
        arn = account.role(role, trust, policy)
        monkeypatch.delenv("AWS_SESSION_TOKEN")
        for name, value in (caller.key | {"aws_endpoint_url_sts": account.endpoint}).items():
            monkeypatch.setenv(name.upper(), value)
        monkeypatch.setenv("EXPORT_URL", f"s3://{bucket}/{PREFIX}")
        monkeypatch.setenv("EXPORT_ROLE_ARN", arn)
        monkeypatch.setenv("EXPORT_EXTERNAL_ID", external_id)
        account.enforce(on=True)
        return arn

    return set_up


def test_the_role_takes_the_external_id_and_no_other(assuming):
    role = assuming(EXTERNAL_ID)
    found = rows()
    assert found[f"AssumeRole {role}"].status == "ok"
    assert found["external id"].detail == "the role refuses any other"


def test_a_wrong_external_id_is_refused_and_nothing_more_is_tried(assuming):
    role = assuming("another-id")
    found = rows()
    assert found[f"AssumeRole {role}"].status == "failed"
    assert iam.TRUST in found[f"AssumeRole {role}"].detail
    assert "PutObject" not in found
    assert run("check")[0] == 1


@pytest.mark.slow
def test_a_trust_policy_without_the_condition_is_a_warning(assuming):
    assuming(EXTERNAL_ID, lambda trust: trust["Statement"][0].pop("Condition"))
    assert "lacks the condition" in rows()["external id"].detail
    assert rows()["external id"].status == "warning"


def test_a_folder_is_written_to_and_left_empty(reach, shared_sandbox):
    folder = reach(shared_sandbox)
    status, output = run("check")
    assert status == 0, output
    assert f"{folder}\n  ok       write, read and delete\n" in output
    assert list(folder.iterdir()) == []


def test_a_folder_that_can_not_be_written_is_told(reach, shared_sandbox, tmp_path):
    (tmp_path / "file").touch()
    reach(shared_sandbox, EXPORT_URL=str(tmp_path / "file" / "export"))
    status, output = run("check")
    assert status == 1
    assert "cannot write" in output


def test_a_state_elsewhere_is_tried_as_well(reach, shared_sandbox, tmp_path):
    reach(shared_sandbox, STATE_URL=str(tmp_path / "state"))
    assert f"\n{tmp_path}/state\n" in run("check")[1]


def test_every_source_of_a_table_is_a_row(reach, shared_sandbox):
    reach(shared_sandbox, OBJECT_TYPES="deals,contacts,0-30")
    found = rows()
    assert found["token"].status == "ok"
    assert found["portal"].detail.startswith(f"{shared_sandbox.portal.config.portal_id}: ")
    assert re.match(r"[\d,]+ of [\d,]+ left until ", found["calls of the day"].detail)
    for tried in (
        *("contacts (OBJECTS_CONTACTS)", "deals (OBJECTS_DEALS)"),
        *("pipelines of deals (PIPELINES, PIPELINE_STAGES)", "owners (OWNERS, OWNER_TEAM)"),
        *("teams (TEAMS)", "team tree (TEAMS)"),
    ):
        assert found[tried].status == "ok", tried
    (ads,) = [each for tried, each in found.items() if tried.startswith("ad_accounts")]
    assert ads.status == "ok"
    assert ads.detail.startswith("HubSpot serves this type to nobody")


def test_a_type_that_is_switched_off_is_a_warning(reach, shared_sandbox):
    reach(shared_sandbox, OBJECT_TYPES="courses")
    found = rows()["courses (OBJECTS_COURSES)"]
    assert found.status == "warning"
    assert found.detail.startswith("not enabled: ")
    assert run("check")[0] == 0


def test_a_type_with_an_api_of_its_own_is_asked_for_there(reach):
    config = PortalConfig(
        records=20, now=READ_AT, burst=100_000, without_scopes=frozenset({"crm.lists.read"})
    )
    with serve(config) as sandbox:
        reach(sandbox, OBJECT_TYPES="object_list,deal_split,engagement")
        found = rows()
    failed = {tried: each.detail for tried, each in found.items() if each.status == "failed"}
    assert set(failed) == {
        "lists (LISTS, LIST_MEMBERSHIPS)",
        *(tried for tried in found if "list" in tried and "OBJECTS_" in tried),
    }
    assert all("crm.lists.read" in each for each in failed.values())


def test_a_missing_scope_is_named_for_each_source_that_needs_it(reach):
    lacking = frozenset({
        "crm.objects.deals.read", "crm.schemas.deals.read", "settings.users.teams.read",
        "crm.objects.custom.read", "crm.schemas.custom.read",
    })  # fmt: skip
    config = PortalConfig(records=20, now=READ_AT, burst=100_000, without_scopes=lacking)
    with serve(config) as sandbox:
        reach(sandbox, OBJECT_TYPES="deals,companies")
        found = rows()
        status, output = run("check")
    assert status == 1
    failed = {tried: each.detail for tried, each in found.items() if each.status == "failed"}
    assert set(failed) == {
        "deals (OBJECTS_DEALS)",
        "pipelines of deals (PIPELINES, PIPELINE_STAGES)",
        "teams (TEAMS)",
        "team tree (TEAMS)",
        "custom object types (OBJECTS_...)",
    }
    assert "crm.objects.deals.read" in failed["deals (OBJECTS_DEALS)"]
    assert "EXCLUDE_OBJECT_TYPES" in failed["deals (OBJECTS_DEALS)"]
    assert "settings.users.teams.read" in failed["teams (TEAMS)"]
    assert output.count("missing scope: ") == 5


def test_a_type_whose_properties_can_not_be_read_is_a_failure(reach, sandbox):
    answer = {"status": 403, "form": "envelope", "message": "no", "category": "MISSING_SCOPES"}
    sandbox.faults.add("status", times=100, path="^GET /crm/properties/[^/]+/0-3$", **answer)
    reach(sandbox)
    found = rows()
    assert {tried for tried, each in found.items() if each.status == "failed"} == {
        "deals (OBJECTS_DEALS)"
    }
    told = found["deals (OBJECTS_DEALS)"].detail
    assert told.startswith("missing scope: GET /crm/properties/2026-09/0-3: ")


def test_an_answer_that_says_nothing_is_a_failure_of_its_row_alone(reach, sandbox):
    sandbox.faults.add("status", times=100, path="^GET /crm/owners/", status=403)
    reach(sandbox)
    found = rows()
    assert {tried for tried, each in found.items() if each.status == "failed"} == {
        "owners (OWNERS, OWNER_TEAM)"
    }
    assert "gave up after 6 attempts" in found["owners (OWNERS, OWNER_TEAM)"].detail


def test_a_token_that_is_not_accepted_is_a_row(reach, shared_sandbox):
    reach(shared_sandbox, HUBSPOT_ACCESS_TOKEN=shared_sandbox.token[:-1] + "0")
    found = rows()
    assert found["token"].status == "failed"
    assert "write, read and delete" in found
    assert run("check")[0] == 1


def test_a_wrong_setting_is_another_exit_status(reach, shared_sandbox):
    reach(shared_sandbox, HUBSPOT_ACCESS_TOKEN="")
    fails(2, "HUBSPOT_ACCESS_TOKEN: found nothing", "check")


def test_the_job_fails_with_the_rows_that_failed(export_as):
    export_as(without(iam.OBJECTS))
    job = build_defs(standard_catalog(), load_settings()).resolve_job_def("check")
    with dg.DagsterInstance.ephemeral() as instance:
        result = job.execute_in_process(instance=instance, raise_on_error=False)
    assert not result.success
    (failure,) = result.filter_events(lambda event: event.is_step_failure)
    told = failure.step_failure_data.user_failure_data.description
    assert f"PutObject: access denied: the statement {iam.OBJECTS} is missing" in told


@pytest.mark.parametrize(("zone", "cron"), [("UTC", "30 0 * * *"), ("Europe/Warsaw", "30 0 * * *")])
def test_the_job_runs_an_hour_before_the_export(reach, shared_sandbox, zone, cron):
    reach(shared_sandbox, EXPORT_TIMEZONE=zone)
    defs = build_defs(standard_catalog(), load_settings())
    schedule = defs.resolve_schedule_def("check_before_export")
    assert schedule.cron_schedule == cron
    assert schedule.execution_timezone == zone
    assert schedule.default_status == dg.DefaultScheduleStatus.RUNNING
    assert (
        defs.resolve_job_def("check")
        .execute_in_process(instance=dg.DagsterInstance.ephemeral())
        .success
    )


@pytest.mark.slow
def test_the_role_of_the_settings_is_enough_for_check_and_export(assuming):
    assuming(EXTERNAL_ID)
    assert run("check")[0] == 0
    assert run("export", "--day", DAY, "--select", "OBJECTS_PAYMENTS,OWNERS")[0] == 0
