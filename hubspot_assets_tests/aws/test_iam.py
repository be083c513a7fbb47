"""IAM documents and templates: what they grant, and that AWS's and Terraform's tools take them."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import uuid
from ast import literal_eval
from fnmatch import fnmatchcase

import hcl2
import pytest
from click.testing import CliRunner
from moto.server import ThreadedMotoServer

from hubspot_assets.assets.resources import s3_resource
from hubspot_assets.aws import iam
from hubspot_assets.check.bucket import check_bucket, check_role
from hubspot_assets.cli import main
from hubspot_assets.settings import load_settings
from hubspot_assets_tests.aws.iam_account import ACCOUNT, REGION, Account
from hubspot_assets_tests.test_commands import fails, run

KEY = "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-12ab-34cd-56ef-1234567890ab"
URL = ("--url", "s3://my-bucket/a/folder")
WHO = ("--principal", ACCOUNT, "--external-id", "an-external-id")


def printed(*arguments):
    """What a command of `iam` prints, parsed."""
    status, output = run("iam", *arguments)
    assert status == 0, output
    return json.loads(output)


def statements(document):
    return {each["Sid"]: each for each in document["Statement"]}


def test_the_policy_grants_one_folder_and_no_more():
    policy = statements(printed("policy", *URL))
    assert set(policy) == {"LocateBucket", "ListFolder", "ReadWriteObjects"}
    assert all(each["Effect"] == "Allow" for each in policy.values())
    assert {sid: each["Resource"] for sid, each in policy.items()} == {
        "LocateBucket": "arn:aws:s3:::my-bucket",
        "ListFolder": "arn:aws:s3:::my-bucket",
        "ReadWriteObjects": "arn:aws:s3:::my-bucket/a/folder/*",
    }
    assert policy["LocateBucket"]["Action"] == ["s3:GetBucketLocation"]
    assert policy["ListFolder"]["Action"] == ["s3:ListBucket"]
    assert set(policy["ReadWriteObjects"]["Action"]) == {
        *("s3:GetObject", "s3:GetObjectVersion", "s3:PutObject", "s3:AbortMultipartUpload"),
        *("s3:DeleteObject", "s3:DeleteObjectVersion"),
    }
    # A request for the region has no s3:prefix: any condition on it would deny the request.
    assert "Condition" not in policy["LocateBucket"]
    assert "Condition" not in policy["ReadWriteObjects"]


@pytest.mark.parametrize(
    ("listed", "allowed"),
    [
        *(("a/folder", True), ("a/folder/", True), ("a/folder/2026-11-22/OBJECTS/", True)),
        *(("", False), ("a", False), ("a/", False), ("a/folder2/", False), ("b/a/folder/", False)),
    ],
)
def test_only_the_folder_can_be_listed(listed, allowed):
    policy = statements(printed("policy", *URL, "--versions"))
    for sid in ("ListFolder", "ListVersions"):
        assert list(policy[sid]["Condition"]) == ["StringLike"]
        patterns = policy[sid]["Condition"]["StringLike"]["s3:prefix"]
        assert any(fnmatchcase(listed, pattern) for pattern in patterns) is allowed


def test_a_whole_bucket_has_no_condition():
    policy = statements(printed("policy", "--url", "s3://my-bucket", "--versions"))
    assert all("Condition" not in each for each in policy.values())
    assert policy["ReadWriteObjects"]["Resource"] == "arn:aws:s3:::my-bucket/*"


def test_versions_and_a_key_are_granted_where_asked_for():
    policy = statements(printed("policy", *URL, "--versions", "--kms-key-arn", KEY))
    assert policy["ListVersions"]["Action"] == ["s3:ListBucketVersions"]
    assert policy["ListVersions"]["Resource"] == "arn:aws:s3:::my-bucket"
    assert policy["UseKey"]["Action"] == ["kms:GenerateDataKey", "kms:Decrypt"]
    assert policy["UseKey"]["Resource"] == KEY


def test_the_trust_policy_always_asks_for_the_external_id():
    (statement,) = printed("trust", *WHO)["Statement"]
    assert statement["Principal"] == {"AWS": f"arn:aws:iam::{ACCOUNT}:root"}
    assert statement["Action"] == "sts:AssumeRole"
    # StringEquals, unlike StringEqualsIfExists, is false where the request shows none.
    assert statement["Condition"] == {"StringEquals": {"sts:ExternalId": "an-external-id"}}
    with pytest.raises(ValueError, match="expected an external id"):
        iam.trust_policy(f"arn:aws:iam::{ACCOUNT}:root", "")
    fails(2, "external-id: found 0 characters", "iam", "trust", *WHO[:2], "--external-id", "")


@pytest.mark.parametrize("partition", ["aws", "aws-us-gov", "aws-cn"])
def test_every_arn_is_of_one_partition(partition):
    given = printed("policy", *URL, "--partition", partition)
    user = f"arn:{partition}:iam::{ACCOUNT}:user/a/name"
    trust = printed("trust", "--principal", user, "--external-id", "an-id")
    template = printed("cloudformation", *URL, "--principal", user, "--external-id", "an-id")
    for document in (given, trust, template):
        found = set(re.findall(r"arn:(aws[a-z-]*):", json.dumps(document)))
        assert found == {partition}
    if partition != "aws":
        text = f"partition: found {partition} in principal, expected aws"
        fails(2, text, "iam", "trust", "--principal", user, *WHO[2:], "--partition", "aws")


@pytest.mark.parametrize(
    ("url", "text"),
    [
        ("my-bucket/prefix", "url: found 'my-bucket/prefix', expected s3://bucket/prefix"),
        ("s3://my", "url: found the bucket 'my', expected 3 to 63"),
        (f"s3://{'a' * 64}", "expected 3 to 63"),
        ("s3://My-Bucket", "expected 3 to 63 lower-case letters"),
        ("s3://my_bucket", "expected 3 to 63 lower-case letters"),
        ("s3://-bucket", "a letter or digit at both ends"),
        ("s3://bucket.", "a letter or digit at both ends"),
        ("s3://my..bucket", "single dots"),
        ("s3://192.168.5.4", "expected a name that is no IP address"),
        ("s3://xn--bucket", "expected a name that AWS does not reserve"),
        ("s3://bucket-s3alias", "expected a name that AWS does not reserve"),
        ("s3://bucket/a//b", "url: found the prefix 'a//b', expected at most 512"),
        ("s3://bucket/a/../b", "url: found the prefix 'a/../b'"),
        ("s3://bucket/a*", "url: found the prefix 'a*'"),
        ("s3://bucket/${aws:username}", "url: found the prefix"),
        (f"s3://bucket/{'a' * 513}", "url: found the prefix"),
    ],
)
def test_a_wrong_url_is_one_line(url, text):
    fails(2, text, "iam", "policy", "--url", url)


@pytest.mark.parametrize(
    ("option", "value", "text"),
    [
        ("--principal", "12345", "principal: found '12345', expected an account id of 12 digits"),
        ("--principal", "*", "principal: found '*', expected"),
        ("--principal", f"arn:aws:iam::{ACCOUNT}:role/*", "principal: found"),
        ("--principal", f"arn:aws:sts::{ACCOUNT}:assumed-role/a/b", "principal: found"),
        ("--external-id", "x", "external-id: found 1 characters, expected 2 to 1224"),
        ("--external-id", "with blanks", "external-id: found 11 characters"),
        ("--external-id", "x" * 1225, "external-id: found 1225 characters"),
        ("--role-name", "a/b", "role-name: found 'a/b', expected 1 to 64"),
        ("--kms-key-arn", "alias/key", "kms-key-arn: found 'alias/key', expected the ARN of a key"),
    ],
)
def test_a_wrong_option_is_one_line_that_shows_no_external_id(option, value, text):
    fails(2, text, "iam", "terraform", *URL, *WHO, option, value)
    if option == "--external-id" and len(value) > 1:
        assert value not in run("iam", "terraform", *URL, *WHO, option, value)[1]


def test_a_key_is_given_or_new_but_not_both():
    words = ("iam", "cloudformation", *URL, *WHO, "--new-kms-key")
    fails(2, "new-kms-key: found it with kms-key-arn", *words, "--kms-key-arn", KEY)
    fails(2, "new-kms-key: found it with existing-bucket", *words, "--existing-bucket")


SETUPS = [
    (),
    ("--versioned", "--versions", "--kms-key-arn", KEY),
    ("--new-kms-key", "--role-name", "another"),
    ("--existing-bucket", "--versions"),
]


@pytest.mark.samples(1)
@pytest.mark.parametrize("more", SETUPS)
def test_cloudformation_takes_the_template(more):
    status, output = run("iam", "cloudformation", *URL, *WHO, *more)
    assert status == 0
    from cfnlint.api import lint  # which takes a second that other tests need not wait

    assert lint(output, regions=[REGION]) == []
    template = json.loads(output)
    resources = template["Resources"]
    assert ("Bucket" in resources) is ("--existing-bucket" not in more)
    kept = [each for name, each in resources.items() if name != "Role"]
    assert all(each["DeletionPolicy"] == "Retain" for each in kept)
    role = resources["Role"]["Properties"]
    trust = role["AssumeRolePolicyDocument"]["Statement"][0]["Condition"]["StringEquals"]
    assert trust == {"sts:ExternalId": {"Fn::Sub": "${ExternalId}"}}
    assert template["Parameters"]["ExternalId"]["Default"] == "an-external-id"


@pytest.mark.parametrize("more", SETUPS)
def test_terraform_takes_the_text(more):
    status, output = run("iam", "terraform", *URL, *WHO, *more)
    assert status == 0
    parsed = hcl2.loads(output)
    kinds = {name.strip('"') for each in parsed["resource"] for name in each}
    assert ("aws_s3_bucket" in kinds) is ("--existing-bucket" not in more)
    assert ("aws_s3_bucket_versioning" in kinds) is ("--versioned" in more)
    assert ("aws_kms_key" in kinds) is ("--new-kms-key" in more)
    assert {"aws_iam_role", "aws_iam_role_policy"} <= kinds


@pytest.mark.skipif(not shutil.which("terraform"), reason="there is no terraform here")
@pytest.mark.parametrize("more", SETUPS)
def test_terraform_has_nothing_to_format(more):
    text = run("iam", "terraform", *URL, *WHO, *more)[1]
    done = subprocess.run(
        ["terraform", "fmt", "-"], input=text, capture_output=True, text=True, check=True
    )
    assert done.stdout == text


@pytest.mark.parametrize("more", SETUPS)
def test_both_templates_hold_the_documents_of_the_other_commands(more):
    text = run("iam", "terraform", *URL, *WHO, *more)[1]
    encoded = [
        json.loads(each) for each in re.findall(r"jsonencode\((\{.*?\n  \})\)", text, re.DOTALL)
    ]
    trust, policy = encoded[-2:]
    resources = printed("cloudformation", *URL, *WHO, *more)["Resources"]
    role = resources["Role"]["Properties"]
    granted = role["Policies"][0]["PolicyDocument"]["Statement"]
    options = [each for each in more if each in {"--versions", "--kms-key-arn", KEY}]
    expected = printed("policy", *URL, *options)["Statement"]
    for found in (policy["Statement"], granted):
        assert [each for each in found if each["Sid"] in statements({"Statement": expected})] == (
            expected
        )
    assert [each["Sid"] for each in policy["Statement"]] == [each["Sid"] for each in granted]
    expected = printed("trust", *WHO)
    expected["Statement"][0]["Principal"]["AWS"] = "${var.principal}"
    expected["Statement"][0]["Condition"]["StringEquals"]["sts:ExternalId"] = "${var.external_id}"
    assert trust == expected


@pytest.fixture
def account():
    server = ThreadedMotoServer("127.0.0.1", 0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    served = Account(f"http://{host}:{port}")
    yield served
    served.enforce(on=False)
    server.stop()


@pytest.mark.slow
def test_a_stack_of_the_template_passes_the_preflight(account, monkeypatch, tmp_path):
    bucket, role = f"export-{uuid.uuid4().hex}", f"role-{uuid.uuid4().hex}"
    caller = account.caller(role)
    words = ("--principal", caller.arn, "--external-id", "an-id", "--role-name", role)
    url = f"s3://{bucket}/a/folder"
    template = printed("cloudformation", "--url", url, *words, "--versions")
    stacks = account.client("cloudformation")
    stacks.create_stack(StackName="export", TemplateBody=json.dumps(template))
    (stack,) = stacks.describe_stacks(StackName="export")["Stacks"]
    told = {each["OutputKey"]: each["OutputValue"] for each in stack["Outputs"]}
    # moto keeps a stack's inline policy as Python's text: it can't judge by it until put again.
    roles = account.client("iam")
    made = roles.get_role_policy(RoleName=role, PolicyName=role)["PolicyDocument"]
    roles.put_role_policy(
        RoleName=role, PolicyName=role, PolicyDocument=json.dumps(literal_eval(made))
    )
    assert told["BucketUrl"] == url
    account.enforce(on=True)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EXPORT_URL", told["BucketUrl"])
    monkeypatch.setenv("EXPORT_ROLE_ARN", told["RoleArn"])
    monkeypatch.setenv("EXPORT_EXTERNAL_ID", "an-id")
    monkeypatch.setenv("AWS_ENDPOINT_URL_STS", account.endpoint)
    for name, value in caller.key.items():
        monkeypatch.setenv(name.upper(), value)
    settings = load_settings()
    found = list(check_role(settings, s3_resource(settings).get_client))
    session = account.session(caller, told["RoleArn"], "an-id")
    key = {name.lower(): value for name, value in session.items()}
    found += check_bucket(url, None, lambda: account.client("s3", **key))
    assert [str(each) for each in found if each.status != "ok"] == []
    assert {"external id", "PutObject", "DeleteObject"} <= {each.tried for each in found}


def test_connect_asks_and_tells_every_step_to_the_last_line():
    told = CliRunner().invoke(main, ["connect"], input=f"s3://my-bucket/a/folder\n{ACCOUNT}\n")
    assert told.exit_code == 0, told.output
    settings = dict(line.split("=", 1) for line in told.output.splitlines()[-3:])
    assert list(settings) == ["EXPORT_URL", "EXPORT_ROLE_ARN", "EXPORT_EXTERNAL_ID"]
    assert settings["EXPORT_URL"] == "s3://my-bucket/a/folder"
    assert settings["EXPORT_ROLE_ARN"] == f"arn:aws:iam::{ACCOUNT}:role/hubspot-assets"
    external_id = iam.checked_external_id(settings["EXPORT_EXTERNAL_ID"])
    assert len(external_id) > 40
    again = run("connect", *URL, *WHO[:2])[1]
    assert external_id not in again
    shown = [
        json.loads(each)
        for each in re.findall(r"^    \{.*?^    \}$", told.output, re.DOTALL | re.MULTILINE)
    ]
    assert shown == [
        printed("trust", *WHO[:2], "--external-id", external_id),
        printed("policy", *URL),
        iam.caller_policy(settings["EXPORT_ROLE_ARN"]),
    ]
    words = re.search(r"hubspot-assets (iam cloudformation .*) > ", told.output)[1].split()
    assert printed(*words[1:])["Outputs"]["BucketUrl"]["Value"] == settings["EXPORT_URL"]


def test_connect_needs_no_policy_for_a_role_of_the_same_account():
    role = f"arn:aws:iam::{ACCOUNT}:role/runs"
    same = run("connect", *URL, "--principal", role, "--external-id", "an-id")[1]
    assert iam.CALLER not in same
    other = run("connect", *URL, "--principal", role, "--account", "210987654321")[1]
    assert iam.CALLER in other
    assert "EXPORT_ROLE_ARN=arn:aws:iam::210987654321:role/hubspot-assets" in other
    fails(2, "account: found '1', expected", "connect", *URL, *WHO, "--account", "1")


def test_external_ids_are_long_and_never_the_same():
    made = {iam.new_external_id() for _ in range(100)}
    assert len(made) == 100
    for each in made:
        assert iam.checked_external_id(each) == each
        assert not each.startswith("-")


def test_the_url_is_that_of_the_settings_where_none_is_given(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EXPORT_URL", "s3://from-the-settings/hubspot")
    for command in ("policy", "cloudformation", "terraform"):
        who = () if command == "policy" else WHO
        status, output = run("iam", command, *who)
        assert status == 0, output
        assert "from-the-settings" in output
    monkeypatch.setenv("EXPORT_URL", "./export")
    fails(2, "EXPORT_URL: found ./export, nor --url; expected s3://", "iam", "policy")
