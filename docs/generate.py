"""Write the pages of docs/ that follow from the code: `python -m docs.generate`."""

from collections.abc import Callable, Iterator
from pathlib import Path

from docs.costs import write_costs
from docs.machines import insert_drawings
from docs.openapi import write_openapi
from shared.catalog.registry import RESOURCE_TYPES
from shared.domain.api_operation import ListOperation
from shared.domain.resource_type import ResourceType

_OPERATIONS = ("list", "get", "create", "update", "delete")
_HEADINGS = (
    "type",
    "API host",
    *_OPERATIONS,
    "paging",
    "natural key",
    "not copied (secrets)",
    "left to the platform",
)
_DOCS = Path(__file__).parent


def write_types() -> str:
    """Return docs/types.md: what each resource type supports, and what was assumed of it."""
    notes: list[str] = []
    rows = [_row(entry, notes) for entry in RESOURCE_TYPES.values()]
    return "\n".join(
        [
            "# Resource types",
            "",
            "This page says what each resource type supports, and what was assumed of it. `make docs` writes it from",
            "`shared/catalog/`: one row per type, in the order of the contract. ✓ means that the API has the operation",
            "and the hub uses it; where it says *no*, the note gives the reason.",
            "",
            f"| {' | '.join(_HEADINGS)} |",
            "|---" * len(_HEADINGS) + "|",
            *rows,
            "",
            "## Notes",
            "",
            *(f"{number}. {note}" for number, note in enumerate(notes, start=1)),
            "",
            "*Natural key*: the fields by which a config of another organisation is taken for the same one; of several",
            "alternatives the first whose fields are all there counts. *Strong* ones are unique by contract; a match",
            "by a *weak* one says so in its event. Blanks around a text and its Unicode form do not count, in any",
            "type; case does: no API states that it ignores it.",
            "*Not copied*: secrets. They stay on the target and have to be set there by hand where a config is new.",
            "*Left to the platform*: kinds that a job matches but never creates, changes or deletes.",
            "",
            "## Assumptions",
            "",
            "What the published definitions leave open, and how the hub settles it.",
            "",
            *_assumptions(),
        ]
    )


def _row(entry: ResourceType, notes: list[str]) -> str:
    cells = [
        f"`{entry.name}`",
        _host(entry),
        *(_support(entry, name, notes) for name in _OPERATIONS),
        _paging(entry.list),
        _natural_key(entry),
        ", ".join(f"`{path}`" for path in entry.secrets) or "",
        _left_to_the_platform(entry),
    ]
    return f"| {' | '.join(cells)} |"


def _host(entry: ResourceType) -> str:
    main = entry.get or entry.list
    return main.host if main else ""


def _support(entry: ResourceType, name: str, notes: list[str]) -> str:
    operation = getattr(entry, name)
    reason = ""
    if operation is None:
        reason = entry.missing[name]
    elif name == "create" and entry.skip_sync:
        reason = entry.skip_sync
    elif name == "update" and entry.never_overwrite:
        reason = "What exists on the target is never changed by a job."
    elif name == "delete" and not entry.deletable:
        reason = entry.undeletable_reason
    mark = "✓" if not reason else "no"
    if not reason and operation.host != _host(entry):
        reason = f"By `{operation.operation_id}` of {operation.host}."
    if not reason:
        return mark
    if reason not in notes:
        notes.append(reason)
    return f"{mark} ({notes.index(reason) + 1})"


def _paging(operation: ListOperation | None) -> str:
    if operation is None:
        return ""
    words = {
        "none": "none",
        "from_size_query": "from + size",
        "from_size_body": "from + size in the body",
        "limit_offset": "limit + offset",
        "page_number": "page number",
        "entity_search": "from + size, then search_after",
    }
    size = f", {operation.page_size} a page" if operation.page_size else ""
    calls = f", {len(operation.variants)} calls" if operation.variants else ""
    details = "" if operation.whole else ", then one get each"
    return words[operation.paging] + size + calls + details


def _natural_key(entry: ResourceType) -> str:
    key = entry.natural_key
    if key is None:
        return "none"
    alternatives = ", else ".join(" + ".join(f"`{path}`" for path in fields) for fields in key.fields)
    return f"{alternatives} ({'strong' if key.strong else 'weak'})"


def _left_to_the_platform(entry: ResourceType) -> str:
    kinds: list[str] = []
    for managed in entry.system_managed:
        if managed.foreign_org:
            kind = f"`{managed.path}` of another organisation"
        elif managed.prefix:
            kind = f"`{managed.path}` begins with `{managed.prefix}`"
        elif managed.values:
            kind = f"`{managed.path}` is {' or '.join(f'`{value}`' for value in managed.values)}"
        else:
            kind = f"`{managed.path}` is set"
        kinds.append(kind + (" (may be updated)" if managed.update_allowed else ""))
    kinds += [f"`{guard.path}` is set (only never deleted)" for guard in entry.delete_guards]
    return "; ".join(kinds)


def _assumptions() -> Iterator[str]:
    for entry in RESOURCE_TYPES.values():
        yield f"### {entry.label} (`{entry.name}`)"
        yield ""
        if entry.secret_note:
            yield f"- By hand after a copy: {entry.secret_note}"
        for sentence in entry.assumptions:
            yield f"- {sentence}"
        if entry.natural_key and entry.natural_key.assumption:
            yield f"- Natural key: {entry.natural_key.assumption}"
        for sentence, paths in _reference_assumptions(entry).items():
            yield f"- {', '.join(f'`{path}`' for path in paths)}: {sentence}"
        yield ""


def _reference_assumptions(entry: ResourceType) -> dict[str, list[str]]:
    by_sentence: dict[str, list[str]] = {}
    for reference in entry.references:
        if reference.assumption:
            by_sentence.setdefault(reference.assumption, []).append(reference.path)
    return by_sentence


def write_architecture() -> str:
    """Return docs/architecture.md with the state machines as they are now; all else in it is written by hand."""
    return insert_drawings((_DOCS / "architecture.md").read_text(encoding="utf-8"))


#: Every generated page, with the function that returns its text.
PAGES: tuple[tuple[Path, Callable[[], str]], ...] = (
    (_DOCS / "architecture.md", write_architecture),
    (_DOCS / "types.md", write_types),
    (_DOCS / "openapi.json", write_openapi),
    (_DOCS / "costs.md", write_costs),
)

if __name__ == "__main__":
    for path, write in PAGES:
        path.write_text(write(), encoding="utf-8")
        print(f"wrote {path.relative_to(_DOCS.parent)}")
