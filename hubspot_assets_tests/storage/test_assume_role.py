"""Credentials: those of a role, and those that expire while they are in use."""

from __future__ import annotations

import json
import re
import uuid

import boto3
import pytest

from hubspot_assets.assets.resources import s3_resource
from hubspot_assets.check.bucket import check_role
from hubspot_assets.settings import load_settings
from hubspot_assets.storage import StoreError, open_store
from hubspot_assets_tests.conftest import DAY
from hubspot_assets_tests.storage.aws import served
from hubspot_assets_tests.stores import REGION
from hubspot_assets_tests.test_commands import fails, run

ROLE = "arn:aws:iam::123456789012:role/exporter"
SECRET = "the-5ecret-of-a-user"


@pytest.fixture
def aws(reach, shared_sandbox, monkeypatch):
    """AWS with a bucket, and an environment that exports to it as a role."""
    with served() as server:
        bucket = f"export-{uuid.uuid4().hex}"
        reach(
            shared_sandbox,
            EXPORT_URL=f"s3://{bucket}/prefix",
            S3_ENDPOINT_URL=server.url,
            S3_REGION=REGION,
            EXPORT_ROLE_ARN=ROLE,
            EXPORT_EXTERNAL_ID="an-external-id",
            AWS_ENDPOINT_URL_STS=server.url,
            AWS_ACCESS_KEY_ID="a-user",
            AWS_SECRET_ACCESS_KEY=SECRET,
            AWS_EC2_METADATA_DISABLED="true",
            AWS_CONFIG_FILE="/dev/null",
            AWS_SHARED_CREDENTIALS_FILE="/dev/null",
            AWS_MAX_ATTEMPTS="1",
        )
        session = boto3.session.Session()
        client = session.client("s3", endpoint_url=server.url, region_name=REGION)
        client.create_bucket(
            Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": REGION}
        )
        server.used.clear()
        server.puts.clear()
        yield server


def store():
    settings = load_settings()
    return open_store(settings.export_url, s3_resource(settings).get_client)


@pytest.mark.slow
def test_an_export_is_the_roles_and_outlives_its_credentials(aws):
    aws.external_id = "an-external-id"
    aws.uses = 6
    status, output = run("export", "--day", DAY, "--select", "OBJECTS_DEALS,OWNERS,PIPELINES")
    assert status == 0, output
    assert "a-user" not in aws.used
    assert aws.expired > 3
    assert {each["RoleArn"] for each in aws.assumed} == {ROLE}
    assert {each["DurationSeconds"] for each in aws.assumed} == {"3600"}
    names = {each["RoleSessionName"] for each in aws.assumed}
    of_runs = {name for name in names if re.fullmatch(r"hubspot-assets-[0-9a-f-]{36}", name)}
    assert len(of_runs) == 1
    assert names - of_runs == {"hubspot-assets"}
    table = json.loads(store().get(f"{DAY}/OBJECTS_DEALS/_manifest.json"))
    assert of_runs == {f"hubspot-assets-{table['run_id']}"}
    for secret in (SECRET, *aws.used):
        assert secret not in output


def test_credentials_are_renewed_before_they_expire(aws):
    aws.lifetime = 60
    opened = store()
    for number in range(5):
        opened.put(f"x{number}", b"1")
    assert len(aws.assumed) >= 5
    assert aws.expired == 0
    assert set(aws.used.values()) == {1}


def test_credentials_that_last_are_kept(aws):
    opened = store()
    for number in range(5):
        opened.put(f"x{number}", b"1")
    assert len(aws.assumed) == 1


@pytest.mark.parametrize("operation", ["put", "put a file", "get", "list", "exists", "delete"])
def test_expired_credentials_are_replaced_once(aws, operation, tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"1")
    opened = store()
    opened.put("x", b"1")
    aws.uses = 1
    {
        "put": lambda: opened.put("y", b"1"),
        "put a file": lambda: opened.put("y", file),
        "get": lambda: opened.get("x"),
        "list": lambda: list(opened.list()),
        "exists": lambda: opened.exists("x"),
        "delete": lambda: opened.delete(["x"]),
    }[operation]()
    assert aws.expired
    assert len(aws.assumed) == 2
    aws.uses = 0
    with pytest.raises(StoreError, match="credentials have expired; renew them"):
        opened.get("x")
    assert len(aws.assumed) == 3


def test_a_profile_that_someone_else_renews(aws, monkeypatch, tmp_path):
    def login(key):
        keys = f"aws_access_key_id={key}\naws_secret_access_key=x\n"
        (tmp_path / "credentials").write_text(f"[exporter]\n{keys}")

    for name in ("EXPORT_ROLE_ARN", "EXPORT_EXTERNAL_ID", "AWS_ACCESS_KEY_ID"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_PROFILE", "exporter")
    aws.valid = {"the-first"}
    login("the-first")
    opened = store()
    opened.put("x", b"1")
    aws.valid = {"the-second"}
    with pytest.raises(StoreError, match="credentials have expired; renew them"):
        opened.get("x")
    login("the-second")
    assert opened.get("x") == b"1"


def test_a_role_that_a_profile_assumes(aws, monkeypatch, tmp_path):
    (tmp_path / "credentials").write_text(
        f"[exporter]\naws_access_key_id=a-user\naws_secret_access_key={SECRET}\n"
    )
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.delenv(name)
    monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "credentials"))
    monkeypatch.setenv("AWS_PROFILE", "exporter")
    store().put("x", b"1")
    assert "a-user" not in aws.used


@pytest.mark.parametrize(
    ("role", "region", "asked"),
    [
        (ROLE, "eu-west-3", "eu-west-3"),
        (ROLE, "", "us-east-1"),
        (ROLE.replace("aws", "aws-us-gov", 1), "", "us-gov-west-1"),
        (ROLE.replace("aws", "aws-cn", 1), "", "cn-north-1"),
    ],
)
def test_sts_is_asked_in_the_buckets_region_or_the_partitions(
    aws, monkeypatch, role, region, asked
):
    monkeypatch.setenv("EXPORT_ROLE_ARN", role)
    monkeypatch.setenv("S3_REGION", region)
    s3_resource(load_settings()).get_client()
    assert aws.regions == {asked}


def test_a_role_that_is_denied_is_one_line(aws, monkeypatch):
    aws.external_id = "another-id"
    _, output = run("purge", "--keep-days", "1")
    assert SECRET not in output
    for command in (["purge", "--keep-days", "1"], ["export", "--day", DAY]):
        expected = f"cannot assume EXPORT_ROLE_ARN {ROLE}: let its trust policy allow"
        fails(1, expected, *command)


def test_a_role_that_is_denied_in_the_middle_is_told_too(aws, caplog):
    aws.lifetime = 60
    opened = store()
    opened.put("x", b"1")
    aws.external_id = "another-id"
    with pytest.raises(StoreError, match=f"cannot assume EXPORT_ROLE_ARN {ROLE}") as caught:
        opened.put("y", b"1")
    assert not caught.value.passing
    assert SECRET not in caplog.text


@pytest.mark.parametrize(
    ("settings", "said", "passing"),
    [
        ({"EXPORT_ROLE_DURATION": "7200"}, "set EXPORT_ROLE_DURATION to no more than", False),
        ({"AWS_ENDPOINT_URL_STS": "http://127.0.0.1:1"}, "cannot reach STS", True),
        ({"AWS_ACCESS_KEY_ID": ""}, "credentials that may assume it are needed", False),
    ],
)
def test_what_keeps_a_role_from_being_assumed(aws, monkeypatch, settings, said, passing):
    for name, value in settings.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(StoreError, match=said) as caught:
        store().put("x", b"1")
    assert ROLE in str(caught.value)
    assert "\n" not in str(caught.value)
    assert caught.value.passing == passing


CHAINED = (
    "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role "
)
LONG = "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
CANONICAL = f"It does not match.\n\nThe Canonical String was\n'POST\nx-amz-security-token:{SECRET}'"


@pytest.mark.parametrize(
    ("status", "code", "words", "advice"),
    [
        (403, "SignatureDoesNotMatch", "Signature expired: it is now earlier", "the clock of this"),
        (403, "SignatureDoesNotMatch", "Signature not yet current: it is later", "the clock of"),
        (403, "SignatureDoesNotMatch", CANONICAL, "the secret key is wrong"),
        (400, "ValidationError", f"{CHAINED}chaining.", "set EXPORT_ROLE_DURATION to 3600 or less"),
        (400, "ValidationError", LONG, ": set EXPORT_ROLE_DURATION to no more than the role's"),
        (400, "ValidationError", "'roleArn' is invalid", "correct EXPORT_ROLE_ARN"),
        (403, "AccessDenied", "not authorized to perform: sts:AssumeRole", "let its trust policy"),
        (403, "InvalidClientTokenId", "The token is invalid.", "the access key is unknown"),
        (400, "SomethingNew", "As nobody knows.", "STS refused"),
    ],
)  # fmt: skip
def test_what_sts_says_is_told_with_advice_where_it_is_known(aws, status, code, words, advice):
    aws.sts_faults = [(status, code, words)]
    with pytest.raises(StoreError) as caught:
        store().put("x", b"1")
    told = str(caught.value)
    assert ROLE in told
    assert f"(AssumeRole: {code}: {words.partition(chr(10))[0]})" in told
    assert advice in told
    assert ("let its trust policy" in told) == (code == "AccessDenied")
    assert "\n" not in told
    assert SECRET not in told
    assert not caught.value.passing


@pytest.mark.parametrize("fault", [(503, "ServiceUnavailable"), (400, "Throttling")])
def test_an_sts_that_is_busy_may_be_well_later(aws, fault):
    aws.sts_faults = [fault] * 9
    with pytest.raises(StoreError, match=fault[1]) as caught:
        store().put("x", b"1")
    assert caught.value.passing


def test_an_sts_that_is_none_is_one_line(aws, monkeypatch, shared_sandbox):
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", shared_sandbox.url)
    with pytest.raises(StoreError, match="no answer of STS's; check the endpoint") as caught:
        store().put("x", b"1")
    assert "\n" not in str(caught.value)
    assert "INVALID_AUTHENTICATION" not in str(caught.value)  # whoever answered


def external_id_row():
    settings = load_settings()
    *_, found = check_role(settings, s3_resource(settings).get_client)
    assert found.tried == "external id"
    return found


@pytest.mark.parametrize(
    "fault",
    [
        (400, "RegionDisabledException", "STS is not activated in this region"),
        (403, "SignatureDoesNotMatch", "Signature expired: it is now earlier"),
        (403, "", ""),  # a proxy
    ],
)
def test_an_sts_that_fails_proves_nothing_of_other_external_ids(aws, fault):
    aws.external_id = "an-external-id"
    assert (external_id_row().status, external_id_row().detail) == (
        "ok",
        "the role refuses any other",
    )
    aws.sts_faults = [None, fault]
    found = external_id_row()
    assert found.status == "warning"
    assert found.detail.startswith("whether others are refused is not known: cannot assume")
    assert fault[1] in found.detail


def test_check_assumes_the_role_as_an_export_does(aws, monkeypatch):
    monkeypatch.setenv("EXPORT_ROLE_DURATION", "7200")
    status, output = run("check")
    assert status == 1
    words = " ".join(output.split())
    assert re.search(rf"failed +AssumeRole {ROLE}: .*set EXPORT_ROLE_DURATION to no more", words)


def test_secrets_are_no_resource_config(aws):
    resource = s3_resource(load_settings())
    resource.get_client()
    for shown in (repr(resource), resource.model_dump_json(), str(resource.model_dump())):
        assert ROLE in shown
        assert SECRET not in shown
