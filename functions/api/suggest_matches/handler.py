"""Suggest which configs of the caller some configs of another organisation are."""

from shared.bootstrap.api import serve
from shared.bootstrap.live import reading
from shared.use_cases.suggest_matches import suggest_matches

lambda_handler = serve(lambda request: suggest_matches(reading(request), request.json()))
