"""Break the pair of a config of another organisation and one of the caller."""

from shared.bootstrap.api import serve
from shared.bootstrap.catalogue import catalogue
from shared.bootstrap.downstream import caller_repository
from shared.bootstrap.lineage import lineage_store
from shared.entrypoints.request import Request, checked_id
from shared.use_cases.break_lineage import break_lineage


def operation(request: Request) -> dict[str, bool]:
    """Answer breakLineage."""
    return break_lineage(
        catalogue(),
        lineage_store(),
        caller_repository(request),
        type_name=request.query("type") or "",
        source_id=checked_id(request.query("source_id") or "", "source_id"),
        source_org_id=request.query("source_org_id"),
    )


lambda_handler = serve(operation)
