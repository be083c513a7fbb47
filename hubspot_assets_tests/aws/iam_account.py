"""An AWS account (moto's, over real HTTP) that evaluates IAM policies."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from functools import cache
from typing import Any

import boto3
import httpx

from hubspot_assets.aws import iam

ACCOUNT = "123456789012"
REGION = "eu-central-1"
EXTERNAL_ID = "an-external-id"


@cache
def _session() -> boto3.Session:
    """Loads what boto3 knows of a service once."""
    return boto3.Session()


@dataclass(frozen=True)
class Caller:
    """Who runs the exporter, by an access key; may assume `role`."""

    arn: str
    key: dict[str, str]


@dataclass(frozen=True)
class Account:
    """A moto server as an AWS account, without IAM's judgement until `enforce`."""

    endpoint: str

    def client(self, service: str, **key: str) -> Any:
        """A boto3 client, of an administrator unless `key` is given."""
        admin = {"aws_access_key_id": "admin", "aws_secret_access_key": "admin"}
        make: Any = _session().client  # which service it is, is known at run time
        return make(service, endpoint_url=self.endpoint, region_name=REGION, **(key or admin))

    def enforce(self, *, on: bool) -> None:
        """Whether every request is judged by its caller's policies."""
        httpx.post(f"{self.endpoint}/moto-api/reset-auth", content="0" if on else "inf")

    def bucket(self, *, versioned: bool = False) -> str:
        """The name of a new bucket."""
        name = f"export-{uuid.uuid4().hex}"
        s3 = self.client("s3")
        s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
        if versioned:
            status = {"Status": "Enabled"}
            s3.put_bucket_versioning(Bucket=name, VersioningConfiguration=status)
        return name

    def caller(self, role: str) -> Caller:
        """A new user with nothing but the policy that lets them assume the role `role`."""
        client, name = self.client("iam"), f"exporter-{uuid.uuid4().hex}"
        arn = client.create_user(UserName=name)["User"]["Arn"]
        document = iam.caller_policy(f"arn:aws:iam::{ACCOUNT}:role/{role}")
        client.put_user_policy(
            UserName=name, PolicyName="assume", PolicyDocument=json.dumps(document)
        )
        made = client.create_access_key(UserName=name)["AccessKey"]
        return Caller(
            arn,
            {
                "aws_access_key_id": made["AccessKeyId"],
                "aws_secret_access_key": made["SecretAccessKey"],
            },
        )

    def role(self, name: str, trust: iam.Document, policy: iam.Document) -> str:
        """The ARN of a new role."""
        client = self.client("iam")
        arn = client.create_role(RoleName=name, AssumeRolePolicyDocument=json.dumps(trust))
        client.put_role_policy(
            RoleName=name, PolicyName="export", PolicyDocument=json.dumps(policy)
        )
        return str(arn["Role"]["Arn"])

    def session(self, caller: Caller, role_arn: str, external_id: str) -> dict[str, str]:
        """The environment of who has assumed the role."""
        sts = self.client("sts", **caller.key)
        answer = sts.assume_role(RoleArn=role_arn, RoleSessionName="test", ExternalId=external_id)[
            "Credentials"
        ]
        return {
            "AWS_ACCESS_KEY_ID": answer["AccessKeyId"],
            "AWS_SECRET_ACCESS_KEY": answer["SecretAccessKey"],
            "AWS_SESSION_TOKEN": answer["SessionToken"],
        }
