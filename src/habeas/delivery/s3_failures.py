"""What failures of an S3 store mean: whether trying again helps, and what mends them otherwise.

Words of the driver are not repeated: only the store's code and the bucket's name, which hold no secret.
"""

from habeas.domain.errors import HabeasError, NeedsHuman, SystemUnavailable

_BUSY = frozenset({"SlowDown", "RequestTimeout", "OperationAborted", "NoSuchUpload", "InternalError", "Throttling"})
_ELSEWHERE = frozenset(
    {"PermanentRedirect", "AuthorizationHeaderMalformed", "IllegalLocationConstraintException", "301", "307"}
)


def explain(error: Exception, bucket: str) -> HabeasError | None:
    """The error of ours that says it; None for one of ours already and for one that is not of the store."""
    if isinstance(error, HabeasError):
        return None
    from botocore.exceptions import (
        BotoCoreError,
        ClientError,
        ConnectionError,  # noqa: A004  # the driver's own
        CredentialRetrievalError,
        HTTPClientError,
        NoCredentialsError,
        PartialCredentialsError,
        ProfileNotFound,
    )

    cause = error if isinstance(error, ClientError) else error.__cause__
    if isinstance(cause, ClientError):
        return _explain_answer(cause.response, bucket)
    if isinstance(error, ConnectionError | HTTPClientError):
        return SystemUnavailable(
            f"the store of bucket {bucket} does not answer ({type(error).__name__})",
            hint="check that it runs and can be reached, and details.endpoint_url",
        )
    if isinstance(error, NoCredentialsError | PartialCredentialsError | CredentialRetrievalError | ProfileNotFound):
        return NeedsHuman(
            f"the server has no credentials for bucket {bucket}",
            hint='give its machine a role, set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or use "secret_keys"',
        )
    if isinstance(error, BotoCoreError):
        return NeedsHuman(
            f"bucket {bucket} cannot be used as it is configured ({type(error).__name__})",
            hint="check the details and secrets of the storage",
        )
    return None


def _explain_answer(answer: object, bucket: str) -> HabeasError:
    parts = answer if isinstance(answer, dict) else {}
    code = str(parts.get("Error", {}).get("Code", "?"))
    status = int(parts.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))
    if code in _BUSY or status >= 500 or status == 429:
        return SystemUnavailable(f"the store of bucket {bucket} asks for patience ({code})", hint="retry later")
    if code in ("NoSuchBucket", "404"):
        return NeedsHuman(f"there is no bucket {bucket}", hint="make it, or correct details.bucket of the storage")
    if code in _ELSEWHERE:
        return NeedsHuman(f"bucket {bucket} is in another region ({code})", hint="set region_name in its secrets")
    if status in (401, 403):
        return NeedsHuman(
            f"the store refuses us bucket {bucket} ({code})",
            hint="check the storage's secrets; they must allow PutObject, GetObject and AbortMultipartUpload",
        )
    return NeedsHuman(f"the store refuses what we do in bucket {bucket} ({code})", hint="check the storage's details")
