"""Everything that can go wrong, as one tree: whether to try again is the class."""

from __future__ import annotations

from typing import ClassVar


class HubError(Exception):
    """Base of all errors that the hub raises itself.

    Args:
        message: one clear sentence for a person; never a token, a payload or a stack trace.
    """

    code: ClassVar[str] = "INTERNAL"

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class TransientError(HubError):
    """The same call may succeed later.

    Args:
        message: one clear sentence.
        retry_after: seconds to wait before the next try, where the other side named them.
    """

    code = "TRANSIENT"

    def __init__(self, message: str, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class DownstreamThrottledError(TransientError):
    """A downstream API kept answering 429 until the tries ran out."""

    code = "DOWNSTREAM_THROTTLED"


class DownstreamUnavailableError(TransientError):
    """A downstream API failed (5xx, connection refused) and nothing was written."""

    code = "DOWNSTREAM_UNAVAILABLE"


class DownstreamTimeoutError(DownstreamUnavailableError):
    """A downstream API did not answer in time on a read."""

    code = "DOWNSTREAM_TIMEOUT"


class UnknownOutcomeError(TransientError):
    """A write left and its answer never came: it may or may not have been done. Never simply sent again.

    Args:
        message: one clear sentence.
        ended: the other side said that it failed, or answered something unreadable: what is not done by now never is.
        outlived: it took longer than anybody waits for it, and may be at work still.
    """

    code = "UNKNOWN_OUTCOME"

    def __init__(self, message: str, *, ended: bool = False, outlived: bool = False) -> None:
        super().__init__(message)
        self.ended = ended
        self.outlived = outlived


class StorageThrottledError(TransientError):
    """Our own storage refused a request for its rate or for a transaction conflict."""

    code = "STORAGE_THROTTLED"


class TooManyJobsError(TransientError):
    """As many jobs as allowed are running: into the target, of the organisation that asks, or in all."""

    code = "TOO_MANY_JOBS"


class TooManyRequestsError(TransientError):
    """The calling organisation has asked more often than it may."""

    code = "TOO_MANY_REQUESTS"


class TerminalError(HubError):
    """The same call will fail again: somebody has to change something first."""

    code = "TERMINAL"


class InvalidRequestError(TerminalError):
    """The caller's request breaks the contract; the message names the field and what it expects."""

    code = "INVALID_REQUEST"


class UnauthorizedError(TerminalError):
    """The caller's own token is missing, expired or does not verify."""

    code = "UNAUTHORIZED"


class ForbiddenError(TerminalError):
    """A token for another organisation than the one stated, or no organisation of the caller's."""

    code = "FORBIDDEN"


class NotFoundError(TerminalError):
    """There is no such thing in this organisation."""

    code = "NOT_FOUND"


class ConflictError(TerminalError):
    """The state of the thing forbids what was asked."""

    code = "CONFLICT"


class PayloadTooLargeError(TerminalError):
    """A body, an answer or a stored value is over its limit."""

    code = "PAYLOAD_TOO_LARGE"


class TooDeepError(TerminalError):
    """A payload is nested deeper than the hub goes."""

    code = "TOO_DEEP"


class CredentialsExpiredError(TerminalError):
    """The token of a run is gone or a downstream API no longer accepts it."""

    code = "CREDENTIALS_EXPIRED"


class DownstreamRejectedError(TerminalError):
    """A downstream API refused a request (4xx); the message says which API and what it answered."""

    code = "DOWNSTREAM_REJECTED"


class DownstreamMalformedError(DownstreamRejectedError):
    """A downstream API refused a request for its form (400, 422), such as an id that none of its configs can have."""


class OperationUnsupportedError(TerminalError):
    """The API that owns a resource type has no such operation."""

    code = "OPERATION_UNSUPPORTED"


class AmbiguousMatchError(TerminalError):
    """A natural key matches several configs of the target: a person has to confirm one."""

    code = "AMBIGUOUS_MATCH"


class TargetTakenError(TerminalError):
    """The target config that a source config would become is another source config's."""

    code = "TARGET_TAKEN"


class TargetChangedError(TerminalError):
    """Somebody changed the target config since the job looked at it: it is not written over unseen."""

    code = "TARGET_CHANGED"


class DependencyFailedError(TerminalError):
    """Something that this resource needs could not be written; the message names the root cause."""

    code = "DEPENDENCY_FAILED"


class DependencyNotSelectedError(TerminalError):
    """A hard reference leads outside of the selection and to nothing on the target."""

    code = "DEPENDENCY_NOT_SELECTED"


class DanglingReferenceError(TerminalError):
    """A required reference names a config that does not exist in the source organisation."""

    code = "DANGLING_REFERENCE"


class CycleNotBreakableError(TerminalError):
    """Every reference of a cycle is required at creation."""

    code = "CYCLE_NOT_BREAKABLE"


class ClosureTooLargeError(TerminalError):
    """A selection with its dependencies has more resources than one job takes."""

    code = "CLOSURE_TOO_LARGE"
