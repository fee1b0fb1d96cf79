"""Suggest which configs of the caller some configs of another organisation are."""

from shared.bootstrap.live import reading
from shared.entrypoints.http import http_handler
from shared.use_cases.suggest_matches import suggest_matches

lambda_handler = http_handler(lambda request: suggest_matches(reading(request), request.json()))
