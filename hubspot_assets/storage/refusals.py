"""What S3 and STS say when they refuse, and what to do about it, where that is known.

Their own code and words are always told: what they mean for a person is known of some alone.
"""

from __future__ import annotations

from xml.etree.ElementTree import ParseError

from botocore.exceptions import (
    BotoCoreError,
    ChecksumError,
    ClientError,
    CredentialRetrievalError,
    FlexibleChecksumError,
    HTTPClientError,
    IncompleteReadError,
    NoCredentialsError,
    NoRegionError,
    ParamValidationError,
    PartialCredentialsError,
    ProfileNotFound,
    ResponseStreamingError,
    SSOError,
    TokenRetrievalError,
)
from botocore.exceptions import ConnectionError as UnreachableError
from botocore.parsers import ResponseParserError

from hubspot_assets.storage.errors import NotFoundError, StoreError

#: Codes, a text that the words hold (of any case; "" any), and what to do. The first that fits.
Rules = tuple[tuple[str, str, str], ...]

_LONGEST = 400  # of AWS's words, which name principal, action and resource

_ABSENT = {"NoSuchKey", "NoSuchVersion", "404", "NotFound"}
_PASSING = {
    *("SlowDown", "Throttling", "ThrottlingException", "KMS.ThrottlingException"),
    *("RequestLimitExceeded", "RequestTimeout", "InternalError", "ServiceUnavailable"),
    *("BadDigest", "IncompleteBody", "XAmzContentSHA256Mismatch", "OperationAborted", "429"),
}
_UNABLE = {501, 505, 507}  # statuses from 500 up that asking again does not change

_CLOCK = "the clock of this machine is wrong; set it"
_DAMAGED = "the content was damaged on the way; write it again"
_EXPIRED = "the AWS credentials have expired; renew them"
_KEY = "the KMS key may not be used; allow it to these credentials, by their policy and the key's"
_UNKNOWN_KEY = "the access key is unknown; correct the AWS credentials"
_WRONG_SECRET = "the secret key is wrong; correct the AWS credentials"  # noqa: S105  (is none)
_NO_CREDENTIALS = (
    "no AWS credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, a profile or a role"
)

_S3: Rules = (
    ("AccessDenied", "object lock", "the object is locked; it stays until its lock ends"),
    ("AccessDenied", "kms:", _KEY),
    (
        "AccessDenied",
        "explicit deny",
        (
            "a policy denies it, whatever others allow; change that one, or meet what it asks for,"
            " as an encryption (S3_SSE)"
        ),
    ),
    ("AccessDenied", "has expired", _CLOCK),
    ("AccessDenied", "mfa", "the bucket asks for an MFA device; remove it as its owner"),
    (
        "AccessDenied",
        "",
        "access denied; allow it to these credentials, by their policy or the bucket's",
    ),
    (
        "403",
        "",
        (
            "access denied; without a reason, as a proxy may do it; else allow it to these"
            " credentials, by their policy or the bucket's"
        ),
    ),
    ("RequestTimeTooSkewed RequestExpired RequestInTheFuture", "", _CLOCK),
    ("ExpiredToken ExpiredTokenException TokenRefreshRequired", "", _EXPIRED),
    ("InvalidAccessKeyId", "", _UNKNOWN_KEY),
    ("SignatureDoesNotMatch", "", _WRONG_SECRET),
    ("InvalidToken", "", "AWS_SESSION_TOKEN does not belong to the access key; correct it"),
    ("NoSuchBucket", "", "the bucket does not exist; create it, or correct the export URL"),
    ("InvalidBucketName", "", "that is no bucket name; correct the export URL"),
    ("AccountProblem", "", "the AWS account has a problem; its owner must ask AWS's support"),
    ("AllAccessDisabled", "", "AWS has closed the bucket; its owner must ask AWS's support"),
    ("NotSignedUp OptInRequired", "", "the AWS account has no S3; its owner must sign up for it"),
    (
        "InvalidObjectState",
        "",
        "the object is archived; restore it, and let no lifecycle rule archive the export",
    ),
    ("QuotaExceeded", "", "the store's quota is used up; raise it, or purge old days"),
    ("XMinioStorageFull InsufficientStorage 507", "", "the store is full; free space there"),
    ("BadDigest IncompleteBody XAmzContentSHA256Mismatch", "", _DAMAGED),
    (
        "InvalidRequest",
        "object lock",
        "a bucket that locks objects needs checksums; unset AWS_REQUEST_CHECKSUM_CALCULATION",
    ),
    ("KMS.NotFoundException", "", "the KMS key does not exist; correct S3_SSE_KMS_KEY_ID"),
    (
        "KMS.DisabledException",
        "",
        "the KMS key is disabled; enable it, or correct S3_SSE_KMS_KEY_ID",
    ),
    (
        "KMS.KMSInvalidStateException KMS.InvalidStateException",
        "",
        "the KMS key is about to be deleted or not ready; keep it, or correct S3_SSE_KMS_KEY_ID",
    ),
    (
        "PermanentRedirect AuthorizationHeaderMalformed IllegalLocationConstraintException",
        "",
        "the bucket is in another region; set the region",
    ),
)

_STS: Rules = (
    (
        "AccessDenied",
        "",
        (
            "let its trust policy allow sts:AssumeRole to these credentials, which need it"
            " allowed too, and set EXPORT_EXTERNAL_ID to the external id that it asks for"
        ),
    ),
    (
        "ValidationError",
        "role chaining",
        (
            "these credentials are a role's themselves, and such sessions last an hour at most; set"
            " EXPORT_ROLE_DURATION to 3600 or less"
        ),
    ),
    (
        "ValidationError",
        "durationseconds",
        "set EXPORT_ROLE_DURATION to no more than the role's maximum session duration",
    ),
    (
        "ValidationError",
        "",
        (
            "correct EXPORT_ROLE_ARN, or set EXPORT_ROLE_DURATION to no more than the role's"
            " maximum session duration"
        ),
    ),
    (
        "RegionDisabledException",
        "",
        "STS is off in that region; set S3_REGION to one where it is on",
    ),
    ("InvalidClientTokenId", "", _UNKNOWN_KEY),
    ("SignatureDoesNotMatch", "signature expired", _CLOCK),
    ("SignatureDoesNotMatch", "signature not yet current", _CLOCK),
    ("SignatureDoesNotMatch", "", _WRONG_SECRET),
    ("RequestExpired", "", _CLOCK),
    (
        "ExpiredToken ExpiredTokenException",
        "",
        "the AWS credentials that assume it have expired; renew them",
    ),
)

#: What boto3 raises besides `ClientError`.
BotoError = BotoCoreError | ResponseParserError | ParseError
BOTO_ERRORS = (BotoCoreError, ResponseParserError, ParseError)

_CREDENTIALS = (NoCredentialsError, PartialCredentialsError, CredentialRetrievalError)
#: What boto3 itself runs into: its errors, whether they pass, and what to do.
_OF_BOTO: tuple[tuple[tuple[type[Exception], ...], bool, str], ...] = (
    (_CREDENTIALS, False, _NO_CREDENTIALS),
    ((ProfileNotFound,), False, "correct AWS_PROFILE"),
    ((SSOError, TokenRetrievalError), False, "the login has expired; run: aws sso login"),
    ((NoRegionError,), False, "no region is known; set S3_REGION"),
    ((IncompleteReadError, ResponseStreamingError), True, "the answer broke off; ask again"),
    ((FlexibleChecksumError, ChecksumError), True, "the content was damaged on the way; ask again"),
    (
        (UnreachableError, HTTPClientError),
        True,
        "cannot reach {service}; check the endpoint and the network",
    ),
    (
        (ResponseParserError, ParseError),
        False,
        "that is no answer of {service}'s; check the endpoint",
    ),
    ((ParamValidationError,), False, "correct the export URL"),
    ((Exception,), False, "{service} cannot be asked; correct AWS's settings"),
)


def of_s3(where: str, error: ClientError | BotoError) -> StoreError:
    """What went wrong at `where`, an object's URL, in one line."""
    if isinstance(error, ClientError):
        return _refused(where, error, _S3, "S3 refused")
    return _of_boto(where, error, "S3")


def of_sts(role_arn: str, error: ClientError | BotoError) -> StoreError:
    """Why a role could not be assumed, in one line."""
    where = f"cannot assume EXPORT_ROLE_ARN {role_arn}"
    if isinstance(error, ClientError):
        return _refused(where, error, _STS, "STS refused")
    if isinstance(error, _CREDENTIALS):
        where += ": credentials that may assume it are needed"
    return _of_boto(where, error, "STS")


def code_of(error: BaseException | None) -> str:
    """The code of a refusal, its status where it has none; "" for what is no refusal."""
    if not isinstance(error, ClientError):
        return ""
    return str(error.response.get("Error", {}).get("Code") or _status(error))


def words_of(error: ClientError) -> str:
    """What a refusal says in words, in one line.

    Without the canonical request, which STS shows with all headers where a signature is wrong.
    """
    said = str(error.response.get("Error", {}).get("Message") or "")
    return _one_line(said.split("The Canonical String")[0])


def _refused(where: str, error: ClientError, rules: Rules, unknown: str) -> StoreError:
    code, words, status = code_of(error), words_of(error), _status(error)
    if code in _ABSENT:
        return NotFoundError(f"there is no object {where}")
    told = f"{error.operation_name}: {code}" + (f": {words}" if words else "")
    if code.isdigit():
        unknown += ", or a proxy on the way, without a reason; check the endpoint"
    said = words.lower()
    known = (do for codes, held, do in rules if code in codes.split() and held in said)
    passing = code in _PASSING or (status >= 500 and status not in _UNABLE)
    return StoreError(f"{where}: {next(known, unknown)} ({told})", passing=passing)


def _of_boto(where: str, error: BotoError, service: str) -> StoreError:
    passing, advice = next(
        (passing, advice) for kinds, passing, advice in _OF_BOTO if isinstance(error, kinds)
    )
    said = str(error).split("Further retries")[0]  # what follows is the answer, whoever's it is
    return StoreError(
        f"{where}: {advice.format(service=service)} ({_one_line(said)})", passing=passing
    )


def _status(error: ClientError) -> int:
    return int(error.response.get("ResponseMetadata", {}).get("HTTPStatusCode") or 0)


def _one_line(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST else f"{line[:_LONGEST]}..."
