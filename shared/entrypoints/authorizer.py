"""The token authorizer of the API: a bearer token in, a policy with the caller's identity out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from shared.domain.redaction import token_digest
from shared.observability import flush_metrics, logger, record, record_start

if TYPE_CHECKING:
    from collections.abc import Callable

    from aws_lambda_powertools.utilities.typing import LambdaContext


class _Identity(Protocol):
    @property
    def org_id(self) -> str: ...
    @property
    def user_id(self) -> str: ...
    @property
    def expires_at(self) -> int | None: ...


def token_authorizer(verify: Callable[[str], _Identity]) -> Callable[[dict[str, Any], LambdaContext], dict[str, Any]]:
    """Return the Lambda handler of a TOKEN authorizer.

    Args:
        verify: returns who a token speaks for, or raises.

    Raises:
        Exception: `Unauthorized`, exactly: the gateway answers 401 to this text and 500 to any other.
    """

    @logger.inject_lambda_context(clear_state=True)
    def handler(event: dict[str, Any], _context: LambdaContext) -> dict[str, Any]:
        record_start("authorizer")
        try:
            scheme, _, token = str(event.get("authorizationToken") or "").partition(" ")
            identity = verify(token.strip()) if scheme.lower() == "bearer" else None
        except Exception as error:  # noqa: BLE001 - whatever went wrong, nobody gets in
            logger.info("Token refused", reason=str(error))
            identity = None
        record("TokensRefused", 1 if identity is None else 0)
        flush_metrics()
        if identity is None:
            raise Exception("Unauthorized")  # noqa: TRY002 - the text is all that counts
        return {
            "principalId": identity.user_id,
            "policyDocument": {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Action": "execute-api:Invoke",
                        "Effect": "Allow",
                        # The gateway caches the policy per token, not per route: it must allow the whole stage.
                        "Resource": "/".join(event["methodArn"].split("/")[:2]) + "/*",
                    }
                ],
            },
            "context": {
                "org_id": identity.org_id,
                "user_id": identity.user_id,
                "exp": identity.expires_at or 0,
                "token_digest": token_digest(token.strip()),
            },
        }

    return handler
