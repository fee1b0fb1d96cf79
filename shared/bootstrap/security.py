"""Build what decides who is calling."""

from functools import cache

from shared import settings
from shared.adapters.tokens import Issuer, TokenVerifier


@cache
def token_verifier() -> TokenVerifier:
    """Return the verifier of user and access tokens; its key cache lives as long as the Lambda."""
    issuers = [Issuer(settings.token_issuer(), settings.token_jwks_url(), audiences=settings.token_audiences())]
    if name := settings.access_token_issuer():
        issuers.append(
            Issuer(
                name,
                settings.access_token_jwks_url(),
                # Journey, portal, app, assume and other tokens are public, or speak for no user of the organisation.
                kinds=frozenset({"api"}),
                list_url=settings.access_token_list_url(),
            )
        )
    return TokenVerifier(issuers)
