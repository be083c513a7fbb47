"""IAM documents that let an exporter into one folder of one bucket, and nowhere else.

Pure functions of checked names; the documents are dicts as IAM's JSON has them. Every statement has
a Sid, by which `hubspot-assets check` names the one that is missing.

Functions that check raise ValueError: what was found, what is expected.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

Document = dict[str, Any]

VERSION = "2012-10-17"
PARTITIONS = ("aws", "aws-us-gov", "aws-cn")

#: The statements of the permission policy, of the trust policy and of its caller's own policy.
LOCATE, LIST, OBJECTS = "LocateBucket", "ListFolder", "ReadWriteObjects"
VERSIONS, KEY, GLUE = "ListVersions", "UseKey", "SyncTables"
TRUST, CALLER = "AssumeWithExternalId", "AssumeExportRole"

_GLUE_ACTIONS = [
    *("glue:GetDatabase", "glue:CreateDatabase"),
    *("glue:GetTables", "glue:CreateTable", "glue:UpdateTable"),
]
_DATABASE = re.compile(r"[a-z0-9_]{1,255}")
_BUCKET = re.compile(r"[a-z0-9](?:[a-z0-9-]|\.(?!\.)){1,61}[a-z0-9]")
_IP_ADDRESS = re.compile(r"\d+\.\d+\.\d+\.\d+")
_RESERVED_STARTS = ("xn--", "sthree-", "amzn-s3-demo-")
_RESERVED_ENDS = ("-s3alias", "--ola-s3", ".mrap", "--x-s3", "--table-s3")
# Without * ? and $, which policies read as wildcards and variables.
_PREFIX = re.compile(r"[A-Za-z0-9!_.'()=+@:,-]+(?:/[A-Za-z0-9!_.'()=+@:,-]+)*")
_PREFIX_LENGTH = 512  # of the 1024 bytes of a key, so that the tables' own paths fit
_ACCOUNT = re.compile(r"\d{12}")
_PRINCIPAL = re.compile(
    r"arn:(?P<partition>aws|aws-us-gov|aws-cn):iam::(?P<account>\d{12}):"
    r"(?:root|(?:user|role)/[\w+=,.@/-]+)",
    re.ASCII,
)
_ROLE_NAME = re.compile(r"[\w+=,.@-]{1,64}", re.ASCII)
_KEY = re.compile(
    r"arn:(?P<partition>aws|aws-us-gov|aws-cn):kms:[a-z0-9-]+:\d{12}:key/[A-Za-z0-9-]+"
)
_EXTERNAL_ID = re.compile(r"[\w+=,.@:/-]{2,1224}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Grant:
    """What is granted: one folder of one bucket, or all of it where `prefix` is "".

    `versions` also grants the listing of old versions, which purging them needs. `kms_key_arn` is
    the key that the bucket encrypts with, if it is not S3's own. `glue_database` is where tables
    are to be kept in the Glue catalog, in any region.
    """

    bucket: str
    prefix: str
    partition: str = "aws"
    kms_key_arn: str | None = None
    versions: bool = False
    glue_database: str | None = None

    @property
    def bucket_arn(self) -> str:
        """The bucket's ARN."""
        return f"arn:{self.partition}:s3:::{self.bucket}"

    @property
    def url(self) -> str:
        """`s3://bucket/prefix`."""
        return f"s3://{self.bucket}/{self.prefix}".rstrip("/")


def permission_policy(grant: Grant) -> Document:
    """The policy of the role that writes the export."""
    below = f"{grant.prefix}/" if grant.prefix else ""
    objects = [
        *("s3:GetObject", "s3:GetObjectVersion", "s3:PutObject", "s3:AbortMultipartUpload"),
        *("s3:DeleteObject", "s3:DeleteObjectVersion"),
    ]
    statements = [
        # Apart from the listing: its requests have no s3:prefix, so a condition would deny them.
        _allow(LOCATE, ["s3:GetBucketLocation"], grant.bucket_arn),
        _allow(LIST, ["s3:ListBucket"], grant.bucket_arn, _in_folder(grant.prefix)),
        _allow(OBJECTS, objects, f"{grant.bucket_arn}/{below}*"),
    ]
    if grant.versions:
        listing = ["s3:ListBucketVersions"]
        statements.append(_allow(VERSIONS, listing, grant.bucket_arn, _in_folder(grant.prefix)))
    if grant.kms_key_arn:
        statements.append(_allow(KEY, ["kms:GenerateDataKey", "kms:Decrypt"], grant.kms_key_arn))
    if grant.glue_database:
        statements.append(_allow(GLUE, _GLUE_ACTIONS, _glue_resources(grant)))
    return {"Version": VERSION, "Statement": statements}


def trust_policy(principal: str, external_id: str) -> Document:
    """The trust policy of that role: `principal` (an ARN) may assume it, by the external id.

    There is none without: the condition is what keeps others of that principal out. (IAM takes
    StringEquals with a key that the request lacks as false.)
    """
    if not external_id:
        raise ValueError("found nothing, expected an external id")
    return {
        "Version": VERSION,
        "Statement": [
            {
                "Sid": TRUST,
                "Effect": "Allow",
                "Principal": {"AWS": principal},
                "Action": "sts:AssumeRole",
                "Condition": {"StringEquals": {"sts:ExternalId": external_id}},
            }
        ],
    }


def caller_policy(role_arn: str) -> Document:
    """The policy of who runs the exporter: it may assume the role."""
    return {"Version": VERSION, "Statement": [_allow(CALLER, ["sts:AssumeRole"], role_arn)]}


def tls_policy(bucket_arn: str) -> Document:
    """The bucket's own policy: nobody reads or writes without TLS."""
    statement = {
        "Sid": "DenyWithoutTls",
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": [bucket_arn, f"{bucket_arn}/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return {"Version": VERSION, "Statement": [statement]}


def new_external_id() -> str:
    """An external id that nobody guesses: 256 random bits, behind letters, as no option starts."""
    return f"hs-{secrets.token_urlsafe(32)}"


def bucket_and_prefix(url: str) -> tuple[str, str]:
    """Both parts of `s3://bucket/prefix`; the prefix may be ""."""
    if not url.startswith("s3://"):
        raise ValueError(f"found {url!r}, expected s3://bucket/prefix")
    bucket, _, prefix = url.removeprefix("s3://").partition("/")
    return checked_bucket(bucket), checked_prefix(prefix)


def checked_bucket(name: str) -> str:
    """`name` itself, if S3 takes it for a general purpose bucket."""
    if not _BUCKET.fullmatch(name):
        raise ValueError(
            f"found the bucket {name!r}, expected 3 to 63 lower-case letters, digits, hyphens and "
            "single dots, a letter or digit at both ends"
        )
    if _IP_ADDRESS.fullmatch(name):
        raise ValueError(f"found the bucket {name!r}, expected a name that is no IP address")
    if name.startswith(_RESERVED_STARTS) or name.endswith(_RESERVED_ENDS):
        raise ValueError(f"found the bucket {name!r}, expected a name that AWS does not reserve")
    return name


def checked_prefix(prefix: str) -> str:
    """`prefix` without slashes at its ends, if it stands for itself in keys and policies."""
    prefix = prefix.strip("/")
    plain = not prefix or _PREFIX.fullmatch(prefix)
    if not plain or {".", ".."} & set(prefix.split("/")) or len(prefix) > _PREFIX_LENGTH:
        raise ValueError(
            f"found the prefix {prefix!r}, expected at most {_PREFIX_LENGTH} letters, digits, "
            "single slashes and any of !_.'()=+@:,-"
        )
    return prefix


def principal_arn(principal: str, partition: str = "aws") -> str:
    """The ARN of who may assume the role: an account's id stands for that whole account."""
    if _ACCOUNT.fullmatch(principal):
        return f"arn:{partition}:iam::{principal}:root"
    if not _PRINCIPAL.fullmatch(principal):
        raise ValueError(
            f"found {principal!r}, expected an account id of 12 digits, or the ARN of a role or "
            "user, as arn:aws:iam::123456789012:role/name"
        )
    return principal


def account_of(principal: str) -> str:
    """The account id in an id or ARN that `principal_arn` takes."""
    found = _PRINCIPAL.fullmatch(principal_arn(principal))
    return found["account"] if found else ""


def checked_account(account: str) -> str:
    """`account` itself, if it is an account id."""
    if not _ACCOUNT.fullmatch(account):
        raise ValueError(f"found {account!r}, expected an account id of 12 digits")
    return account


def checked_role_name(name: str) -> str:
    """`name` itself, if IAM takes it for a role."""
    if not _ROLE_NAME.fullmatch(name):
        raise ValueError(f"found {name!r}, expected 1 to 64 letters, digits and any of _+=,.@-")
    return name


def checked_key(arn: str) -> str:
    """`arn` itself, if it is that of a KMS key (not of an alias, which policies do not take)."""
    if not _KEY.fullmatch(arn):
        raise ValueError(
            f"found {arn!r}, expected the ARN of a key, as "
            "arn:aws:kms:eu-central-1:123456789012:key/1234abcd-..."
        )
    return arn


def checked_database(name: str) -> str:
    """`name` itself, if Athena takes it for a database of the Glue catalog."""
    if not _DATABASE.fullmatch(name):
        raise ValueError(
            f"found the database {name!r}, expected at most 255 lower-case letters, digits and _"
        )
    return name


def checked_external_id(external_id: str) -> str:
    """`external_id` itself, if STS takes it."""
    if not _EXTERNAL_ID.fullmatch(external_id):
        # Not shown: it is no secret to AWS, but it is to everybody else.
        raise ValueError(
            f"found {len(external_id)} characters, expected 2 to 1224 letters, digits and any of "
            "_+=,.@:/-"
        )
    return external_id


def partition_of(wanted: str | None, arns: Mapping[str, str | None]) -> str:
    """The partition that is `wanted`, or that of the ARNs, which must agree; else aws.

    `arns` are by the name of what they were given as; values that are no ARNs do not count.
    """
    partition = wanted
    for name, arn in arns.items():
        parts = (arn or "").split(":")
        if parts[0] == "arn" and len(parts) > 1:
            if partition and parts[1] != partition:
                raise ValueError(f"found {parts[1]} in {name}, expected {partition}")
            partition = parts[1]
    return partition or "aws"


def _glue_resources(grant: Grant) -> list[str]:
    """A database with its tables; Glue asks for leave on the catalog that it is in, too."""
    catalog, database = f"arn:{grant.partition}:glue:*:*", grant.glue_database
    return [f"{catalog}:catalog", f"{catalog}:database/{database}", f"{catalog}:table/{database}/*"]


def _in_folder(prefix: str) -> Document:
    """The condition that a listing is of the folder, or that a missing object would lie in it."""
    if not prefix:
        return {}
    return {"StringLike": {"s3:prefix": [prefix, f"{prefix}/", f"{prefix}/*"]}}


def _allow(
    sid: str, actions: list[str], resource: str | list[str], condition: Document | None = None
) -> Document:
    statement = {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resource}
    return statement | ({"Condition": condition} if condition else {})
