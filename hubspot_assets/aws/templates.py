"""The bucket, the role and its policies as templates: CloudFormation (JSON) and Terraform (HCL)."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace

from hubspot_assets.aws import iam
from hubspot_assets.aws.iam import Document, Grant

#: Days after which S3 drops the parts of uploads that never ended.
UNFINISHED_DAYS = 7
_RETAINED = {"DeletionPolicy": "Retain", "UpdateReplacePolicy": "Retain"}


@dataclass(frozen=True, slots=True)
class Setup:
    """What a template creates: the role for `principal`, and the bucket unless it exists.

    `new_key` has the bucket encrypt with a key of its own, made with it; where the grant names a
    key, with that one; else with S3's own.
    """

    grant: Grant
    principal: str
    external_id: str
    role_name: str = "hubspot-assets"
    existing_bucket: bool = False
    versioned: bool = False
    new_key: bool = False


def cloudformation(setup: Setup) -> Document:
    """The stack's template; its principal and external id are parameters, set to those given."""
    grant = replace(setup.grant, kms_key_arn="${Key.Arn}") if setup.new_key else setup.grant
    resources: Document = {}
    if not setup.existing_bucket:
        resources |= _bucket_resources(setup)
    resources["Role"] = {
        "Type": "AWS::IAM::Role",
        "Properties": {
            "RoleName": setup.role_name,
            "Description": f"Writes the HubSpot export to {grant.url}",
            "AssumeRolePolicyDocument": _substituted(
                iam.trust_policy("${Principal}", "${ExternalId}")
            ),
            "Policies": [
                {
                    "PolicyName": setup.role_name,
                    "PolicyDocument": _substituted(iam.permission_policy(grant)),
                }
            ],
        },
    }
    return {
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": f"Where the HubSpot export is written, and who may: {grant.url}",
        "Parameters": {
            "Principal": {
                "Type": "String",
                "Description": "ARN of who runs the exporter",
                "Default": setup.principal,
            },
            "ExternalId": {
                "Type": "String",
                "Description": "What the exporter shows to be let in (EXPORT_EXTERNAL_ID)",
                "Default": setup.external_id,
                "AllowedPattern": "[A-Za-z0-9_+=,.@:/-]{2,1224}",
            },
        },
        "Resources": resources,
        "Outputs": {
            "RoleArn": {
                "Description": "EXPORT_ROLE_ARN",
                "Value": {"Fn::GetAtt": ["Role", "Arn"]},
            },
            "BucketUrl": {"Description": "EXPORT_URL", "Value": grant.url},
        },
    }


def _bucket_resources(setup: Setup) -> Document:
    rule: Document = {"ServerSideEncryptionByDefault": {"SSEAlgorithm": "AES256"}}
    if setup.new_key or setup.grant.kms_key_arn:
        key = {"Fn::GetAtt": ["Key", "Arn"]} if setup.new_key else setup.grant.kms_key_arn
        rule = {
            "ServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": key},
            "BucketKeyEnabled": True,
        }
    bucket: Document = {
        "BucketName": setup.grant.bucket,
        "BucketEncryption": {"ServerSideEncryptionConfiguration": [rule]},
        "PublicAccessBlockConfiguration": {
            "BlockPublicAcls": True,
            "BlockPublicPolicy": True,
            "IgnorePublicAcls": True,
            "RestrictPublicBuckets": True,
        },
        "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerEnforced"}]},
        "LifecycleConfiguration": {
            "Rules": [
                {
                    "Id": "drop-unfinished-uploads",
                    "Status": "Enabled",
                    "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": UNFINISHED_DAYS},
                }
            ]
        },
    }
    if setup.versioned:
        bucket["VersioningConfiguration"] = {"Status": "Enabled"}
    resources: Document = {
        "Bucket": {"Type": "AWS::S3::Bucket", **_RETAINED, "Properties": bucket},
        "BucketPolicy": {
            "Type": "AWS::S3::BucketPolicy",
            **_RETAINED,
            "Properties": {
                "Bucket": {"Ref": "Bucket"},
                "PolicyDocument": iam.tls_policy(setup.grant.bucket_arn),
            },
        },
    }
    return resources | (_key_resource(setup.grant.partition) if setup.new_key else {})


def _key_resource(partition: str) -> Document:
    # The account's own policies say who may use it: that of the role does.
    statement = {
        "Sid": "LeaveToPolicies",
        "Effect": "Allow",
        "Principal": {"AWS": {"Fn::Sub": f"arn:{partition}:iam::${{AWS::AccountId}}:root"}},
        "Action": "kms:*",
        "Resource": "*",
    }
    return {
        "Key": {
            "Type": "AWS::KMS::Key",
            **_RETAINED,
            "Properties": {
                "Description": "Encrypts the HubSpot export",
                "EnableKeyRotation": True,
                "KeyPolicy": {"Version": iam.VERSION, "Statement": [statement]},
            },
        }
    }


def _substituted(value: object) -> object:
    """The document with every text that names a parameter or resource as `Fn::Sub`."""
    if isinstance(value, dict):
        return {name: _substituted(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_substituted(each) for each in value]
    return {"Fn::Sub": value} if isinstance(value, str) and "${" in value else value


def terraform(setup: Setup) -> str:
    """The same as HCL, as `terraform fmt` has it."""
    grant = setup.grant
    if setup.new_key:
        grant = replace(grant, kms_key_arn="${aws_kms_key.export.arn}")
    blocks = [
        _HEAD,
        _variable("principal", "ARN of who runs the exporter", setup.principal),
        _variable(
            "external_id",
            "What the exporter shows to be let in (EXPORT_EXTERNAL_ID)",
            setup.external_id,
        ),
    ]
    if not setup.existing_bucket:
        blocks += _bucket_blocks(setup)
    blocks += [
        _ROLE.format(
            name=setup.role_name,
            url=grant.url,
            trust=_encoded(iam.trust_policy("${var.principal}", "${var.external_id}")),
        ),
        _POLICY.format(name=setup.role_name, policy=_encoded(iam.permission_policy(grant))),
        _OUTPUTS.format(url=grant.url),
    ]
    return "\n".join(blocks)


def _bucket_blocks(setup: Setup) -> Iterator[str]:
    yield _BUCKET.format(bucket=setup.grant.bucket, days=UNFINISHED_DAYS)
    yield _BUCKET_POLICY.format(policy=_encoded(iam.tls_policy(setup.grant.bucket_arn)))
    if setup.new_key:
        yield _NEW_KEY
        yield _ENCRYPTED_BY_KEY.format(key="aws_kms_key.export.arn")
    elif setup.grant.kms_key_arn:
        yield _ENCRYPTED_BY_KEY.format(key=json.dumps(setup.grant.kms_key_arn))
    else:
        yield _ENCRYPTED_BY_S3
    if setup.versioned:
        yield _VERSIONED


def _variable(name: str, description: str, default: str) -> str:
    return (
        f'variable "{name}" {{\n  type        = string\n'
        f"  description = {json.dumps(description)}\n  default     = {json.dumps(default)}\n}}\n"
    )


def _encoded(document: Document) -> str:
    """A call of jsonencode: JSON is HCL, and what stands in ${} is worked out by Terraform."""
    text = json.dumps(document, indent=2, separators=(",", " : ")).replace("\n", "\n  ")
    return f"jsonencode({text})"


_HEAD = """\
terraform {
  required_providers {
    aws = {
      source  = "hashicorp/aws"
      version = ">= 4.9"
    }
  }
}
"""

_BUCKET = """\
resource "aws_s3_bucket" "export" {{
  bucket = "{bucket}"

  lifecycle {{
    prevent_destroy = true
  }}
}}

resource "aws_s3_bucket_public_access_block" "export" {{
  bucket                  = aws_s3_bucket.export.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}}

resource "aws_s3_bucket_ownership_controls" "export" {{
  bucket = aws_s3_bucket.export.id

  rule {{
    object_ownership = "BucketOwnerEnforced"
  }}
}}

resource "aws_s3_bucket_lifecycle_configuration" "export" {{
  bucket = aws_s3_bucket.export.id

  rule {{
    id     = "drop-unfinished-uploads"
    status = "Enabled"

    filter {{}}

    abort_incomplete_multipart_upload {{
      days_after_initiation = {days}
    }}
  }}
}}
"""

_BUCKET_POLICY = """\
resource "aws_s3_bucket_policy" "export" {{
  bucket = aws_s3_bucket.export.id
  policy = {policy}
}}
"""

_NEW_KEY = """\
resource "aws_kms_key" "export" {
  description         = "Encrypts the HubSpot export"
  enable_key_rotation = true

  lifecycle {
    prevent_destroy = true
  }
}
"""

_ENCRYPTED_BY_KEY = """\
resource "aws_s3_bucket_server_side_encryption_configuration" "export" {{
  bucket = aws_s3_bucket.export.id

  rule {{
    bucket_key_enabled = true

    apply_server_side_encryption_by_default {{
      sse_algorithm     = "aws:kms"
      kms_master_key_id = {key}
    }}
  }}
}}
"""

_ENCRYPTED_BY_S3 = """\
resource "aws_s3_bucket_server_side_encryption_configuration" "export" {
  bucket = aws_s3_bucket.export.id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}
"""

_VERSIONED = """\
resource "aws_s3_bucket_versioning" "export" {
  bucket = aws_s3_bucket.export.id

  versioning_configuration {
    status = "Enabled"
  }
}
"""

_ROLE = """\
resource "aws_iam_role" "export" {{
  name        = "{name}"
  description = "Writes the HubSpot export to {url}"

  assume_role_policy = {trust}
}}
"""

_POLICY = """\
resource "aws_iam_role_policy" "export" {{
  name = "{name}"
  role = aws_iam_role.export.id

  policy = {policy}
}}
"""

_OUTPUTS = """\
output "role_arn" {{
  description = "EXPORT_ROLE_ARN"
  value       = aws_iam_role.export.arn
}}

output "bucket_url" {{
  description = "EXPORT_URL"
  value       = "{url}"
}}
"""
