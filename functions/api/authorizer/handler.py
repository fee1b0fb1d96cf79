"""Authorize a request: verify its bearer token and hand on organisation, user and expiry."""

from shared.bootstrap.security import token_verifier
from shared.entrypoints.authorizer import token_authorizer

lambda_handler = token_authorizer(lambda token: token_verifier().verify(token))
