"""What a person creates in AWS for the export: from checked options to documents and steps.

Nothing here calls AWS. Functions raise SettingsError, which names the option that is wrong.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable, Iterator
from textwrap import indent
from typing import TypeVar

from hubspot_assets.aws import iam
from hubspot_assets.aws.iam import Document, Grant
from hubspot_assets.aws.templates import Setup
from hubspot_assets.settings import SettingsError

Given = TypeVar("Given")
Value = TypeVar("Value")


def grant(
    url: str,
    *,
    partition: str | None = None,
    kms_key_arn: str | None = None,
    versions: bool = False,
    principal: str | None = None,
    glue_database: str | None = None,
) -> Grant:
    """The folder of the bucket at `url`; the partition is that of the ARNs, unless given."""
    bucket, prefix = _checked("url", iam.bucket_and_prefix, url)
    key = _checked("kms-key-arn", iam.checked_key, kms_key_arn) if kms_key_arn else None
    database = _checked("glue", iam.checked_database, glue_database) if glue_database else None
    return Grant(
        bucket, prefix, _partition(partition, principal, key), key, versions, glue_database=database
    )


def glue_database(name: str | None) -> str:
    """The name of a database of the Glue catalog."""
    if not name:
        raise SettingsError("GLUE_DATABASE: found nothing, nor --database; expected one of them")
    return _checked("database", iam.checked_database, name)


def trust(principal: str, external_id: str, partition: str | None = None) -> Document:
    """The trust policy for `principal`: an account id, or the ARN of a role or user."""
    arn = _principal(principal, _partition(partition, principal, None))
    return iam.trust_policy(arn, _checked("external-id", iam.checked_external_id, external_id))


def setup(
    *,
    url: str,
    principal: str,
    external_id: str,
    role_name: str = "hubspot-assets",
    partition: str | None = None,
    kms_key_arn: str | None = None,
    new_kms_key: bool = False,
    versions: bool = False,
    versioned: bool = False,
    existing_bucket: bool = False,
) -> Setup:
    """What is to be created, from the options of the same names."""
    if new_kms_key and (existing_bucket or kms_key_arn):
        other = "existing-bucket" if existing_bucket else "kms-key-arn"
        raise SettingsError(f"new-kms-key: found it with {other}, expected one of them")
    granted = grant(
        url,
        partition=partition,
        kms_key_arn=kms_key_arn,
        versions=versions,
        principal=principal,
    )
    return Setup(
        granted,
        _principal(principal, granted.partition),
        _checked("external-id", iam.checked_external_id, external_id),
        role_name=_checked("role-name", iam.checked_role_name, role_name),
        existing_bucket=existing_bucket,
        versioned=versioned,
        new_key=new_kms_key,
    )


def as_json(document: Document) -> str:
    """The document as the console and the CLI of AWS take it."""
    return json.dumps(document, indent=2)


def steps(
    *,
    url: str,
    principal: str,
    account: str | None = None,
    external_id: str | None = None,
    role_name: str = "hubspot-assets",
    partition: str | None = None,
    kms_key_arn: str | None = None,
    versions: bool = False,
    existing_bucket: bool = False,
) -> str:
    """Everything to do, in order, from the options of the same names. Ends with `.env`.

    `account` owns the bucket and the role; by default it is that of `principal`. The external id
    is a new one by default.
    """
    created = setup(
        url=url,
        principal=principal,
        external_id=iam.new_external_id() if external_id is None else external_id,
        role_name=role_name,
        partition=partition,
        kms_key_arn=kms_key_arn,
        versions=versions,
        existing_bucket=existing_bucket,
    )
    owner = _checked("account", iam.checked_account, account or iam.account_of(created.principal))
    return "\n".join(_steps(created, owner))


def _steps(created: Setup, account: str) -> Iterator[str]:
    granted, role = created.grant, created.role_name
    role_arn = f"arn:{granted.partition}:iam::{account}:role/{role}"
    yield f"Nothing has been created yet. Do the following in the AWS account {account}.\n"
    yield "Either let a template create it all, and go on with step 4:\n"
    yield f"    hubspot-assets iam cloudformation {_options(created)} > {role}.json"
    yield f"    aws cloudformation deploy --stack-name {role} --template-file {role}.json \\"
    yield "      --capabilities CAPABILITY_NAMED_IAM\n"
    yield "Or do it by hand.\n"
    if created.existing_bucket:
        yield f"1. You have the bucket {granted.bucket}: see that Block Public Access is on.\n"
    else:
        yield f"1. Create the bucket {granted.bucket}. Leave Block Public Access on and ACLs off,"
        yield "   as a new bucket has them:\n"
        yield f"    aws s3 mb s3://{granted.bucket}\n"
    yield f"2. Create the role {role}, for who runs the exporter and shows the external id."
    yield "   Its trust policy, trust.json:\n"
    yield _shown(iam.trust_policy(created.principal, created.external_id))
    yield f"    aws iam create-role --role-name {role} \\"
    yield "      --assume-role-policy-document file://trust.json\n"
    yield f"3. Let the role write to {granted.url} and nowhere else. Its policy, policy.json:\n"
    yield _shown(iam.permission_policy(granted))
    yield f"    aws iam put-role-policy --role-name {role} --policy-name {role} \\"
    yield "      --policy-document file://policy.json\n"
    if created.principal.endswith(":root") or account != iam.account_of(created.principal):
        yield "4. Let who runs the exporter assume the role: attach this to their user or role.\n"
        yield _shown(iam.caller_policy(role_arn))
    else:
        yield f"4. Nothing more for {created.principal}:"
        yield "   the trust policy of a role in their own account is enough.\n"
    yield "5. Put these lines into .env, and try them with: hubspot-assets check\n"
    yield f"EXPORT_URL={granted.url}"
    yield f"EXPORT_ROLE_ARN={role_arn}"
    yield f"EXPORT_EXTERNAL_ID={created.external_id}"


def _options(created: Setup) -> str:
    granted = created.grant
    words = [
        *("--url", granted.url, "--principal", created.principal),
        *("--external-id", created.external_id, "--role-name", created.role_name),
        *(["--kms-key-arn", granted.kms_key_arn] if granted.kms_key_arn else []),
        *(["--versions"] if granted.versions else []),
        *(["--existing-bucket"] if created.existing_bucket else []),
    ]
    return shlex.join(words)


def _shown(document: Document) -> str:
    return f"{indent(as_json(document), '    ')}\n"


def _principal(principal: str, partition: str) -> str:
    return _checked("principal", lambda text: iam.principal_arn(text, partition), principal)


def _partition(wanted: str | None, principal: str | None, key: str | None) -> str:
    arns = {"principal": principal, "kms-key-arn": key}
    return _checked("partition", lambda name: iam.partition_of(name, arns), wanted)


def _checked(option: str, check: Callable[[Given], Value], value: Given) -> Value:
    try:
        return check(value)
    except ValueError as error:
        raise SettingsError(f"{option}: {error}") from None
