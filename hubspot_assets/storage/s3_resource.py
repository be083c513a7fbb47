"""S3 as the settings describe it: whose credentials, which store, how it encrypts."""

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import TYPE_CHECKING, Any, Literal

import boto3
import botocore.session
import dagster as dg
from botocore import UNSIGNED
from botocore.config import Config
from botocore.credentials import (
    CredentialProvider,
    CredentialResolver,
    RefreshableCredentials,
    create_assume_role_refresher,
)
from botocore.exceptions import BotoCoreError, ClientError
from botocore.loaders import JSONFileLoader
from dagster_aws.s3 import S3Resource
from pydantic import Field, PrivateAttr

from hubspot_assets.storage.errors import StoreError
from hubspot_assets.storage.refusals import BOTO_ERRORS, of_sts

if TYPE_CHECKING:
    from mypy_boto3_glue import GlueClient
    from mypy_boto3_s3 import S3Client

_CONNECTIONS = 32  # more than the threads that share a client
_WRITES = ("PutObject", "CreateMultipartUpload")

#: Where STS is asked when no region is set: a region of the role's partition.
_STS_REGIONS = {"aws": "us-east-1", "aws-us-gov": "us-gov-west-1", "aws-cn": "cn-north-1"}


def sts_region(role_arn: str) -> str:
    """Where STS is asked for a role when no region is set."""
    return _STS_REGIONS.get(role_arn.split(":")[1], _STS_REGIONS["aws"])


@contextmanager
def aws_settings() -> Iterator[None]:
    """Turns what boto3 says of its own settings, where they are wrong, into a `StoreError`."""
    try:
        yield
    except (BotoCoreError, ValueError) as error:  # ValueError: an endpoint that is no address
        raise StoreError(
            f"boto3's own settings are wrong: {str(error).rstrip('.')}; correct the environment's "
            "AWS_PROFILE, AWS_ENDPOINT_URL and other AWS_ variables, or the files in ~/.aws"
        ) from error


class ExportS3Resource(S3Resource):
    """dagster-aws' S3, with a role to assume, an addressing style and encryption.

    Without a role, credentials are found as boto3 finds them. With one, they assume it, and
    the role's temporary credentials are renewed before they expire.
    """

    role_arn: str | None = Field(default=None, description="The role to assume.")
    external_id: str | None = Field(
        default=None, description="What the role's trust policy asks for. It is no secret."
    )
    role_duration: int = Field(default=3600, description="Seconds of a session of the role.")
    addressing_style: Literal["auto", "path", "virtual"] = Field(
        default="auto",
        description="Where the bucket's name goes: into the path, or the host (virtual)."
        " auto is path where an endpoint is set, else as AWS wants it.",
    )
    sse: str | None = Field(
        default=None, description="Server-side encryption: AES256, aws:kms or aws:kms:dsse."
    )
    sse_kms_key_id: str | None = Field(default=None, description="The KMS key to encrypt with.")
    timeout: int | None = Field(
        default=None, description="Seconds in which to connect, and to be answered; else boto3's."
    )

    _run_id: str | None = PrivateAttr(default=None)

    def setup_for_execution(self, context: dg.InitResourceContext) -> None:
        """Keep the run's id, which names the role's session."""
        self._run_id = context.run.run_id if context.run else None

    def get_client(self) -> "S3Client":
        """A client of its own session.

        Raises `StoreError` where the role can't be assumed, or boto3's own settings are wrong.
        """
        with aws_settings():
            client = self._session().client(
                "s3",
                region_name=self.region_name,
                endpoint_url=self.endpoint_url,
                use_ssl=self.use_ssl,
                verify=self.verify,
                config=Config(
                    retries={"mode": "standard", "max_attempts": self.max_attempts},
                    max_pool_connections=_CONNECTIONS,
                    **self._timeouts,
                    s3={"addressing_style": self.addressing_style},
                    signature_version=UNSIGNED if self.use_unsigned_session else None,
                ),
            )
        self._encrypt(client)
        return client

    def get_glue_client(self) -> "GlueClient":
        """A client of the Glue catalog, by the same credentials. Raises `StoreError`."""
        with aws_settings():
            return self._session().client(
                "glue",
                region_name=self.region_name,
                verify=self.verify,
                config=Config(retries={"mode": "standard", "max_attempts": self.max_attempts}),
            )

    def _session(self) -> boto3.session.Session:
        session = boto3.session.Session(
            botocore_session=_core_session(),
            profile_name=self.profile_name,
            aws_access_key_id=self.aws_access_key_id,
            aws_secret_access_key=self.aws_secret_access_key,
            aws_session_token=self.aws_session_token,
        )
        return self._as_role(session, self.role_arn) if self.role_arn else session

    @property
    def _timeouts(self) -> dict[str, Any]:
        if self.timeout is None:
            return {}
        return {"connect_timeout": self.timeout, "read_timeout": self.timeout}

    def _as_role(self, session: boto3.session.Session, role_arn: str) -> boto3.session.Session:
        """A session whose only credentials are the role's."""
        sts = session.client(
            "sts",
            region_name=self.region_name or session.region_name or sts_region(role_arn),
            verify=self.verify,
            config=Config(**self._timeouts),
        )
        name = f"hubspot-assets-{self._run_id}" if self._run_id else "hubspot-assets"
        asked = {
            "RoleArn": role_arn,
            "RoleSessionName": name[:64],
            "DurationSeconds": self.role_duration,
        }
        if self.external_id:
            asked["ExternalId"] = self.external_id
        ask = create_assume_role_refresher(sts, asked)

        def assume() -> dict[str, Any]:
            try:
                credentials: dict[str, Any] = ask()
            except (ClientError, *BOTO_ERRORS) as error:
                raise of_sts(role_arn, error) from error
            return credentials

        of_role = _core_session(self.profile_name)
        provider = _RoleProvider(
            RefreshableCredentials.create_from_metadata(
                assume(),
                assume,
                _RoleProvider.METHOD,
                advisory_timeout=self.role_duration // 4,
                mandatory_timeout=self.role_duration // 6,
            )
        )
        of_role.register_component("credential_provider", CredentialResolver([provider]))
        return boto3.session.Session(botocore_session=of_role)

    def _encrypt(self, client: "S3Client") -> None:
        """Let every write of the client ask for encryption."""
        if self.sse is None:
            return
        more = {"ServerSideEncryption": self.sse}
        if self.sse_kms_key_id:
            more["SSEKMSKeyId"] = self.sse_kms_key_id

        def add(params: dict[str, Any], **_: object) -> None:
            params.update(more)

        for operation in _WRITES:
            client.meta.events.register(f"provide-client-params.s3.{operation}", add)


class _ReadOnce(JSONFileLoader):
    """Reads what boto3 knows of AWS once in a process, not for each client: it is megabytes."""

    def load_file(self, file_path: str) -> object:
        return _read(file_path)


@cache
def _read(path: str) -> object:
    return JSONFileLoader().load_file(path)


def _core_session(profile: str | None = None) -> botocore.session.Session:
    session = botocore.session.Session(profile=profile)
    session.get_component("data_loader").file_loader = _ReadOnce()
    return session


class _RoleProvider(CredentialProvider):
    METHOD = "assume-role"

    def __init__(self, credentials: RefreshableCredentials) -> None:
        super().__init__()
        self._credentials = credentials

    def load(self) -> RefreshableCredentials:
        return self._credentials
