"""The catalogue: every resource type by name, in the order of the contract."""

from types import MappingProxyType

from shared.catalog.access_token import ACCESS_TOKEN
from shared.catalog.app import APP
from shared.catalog.automation import AUTOMATION_FLOW
from shared.catalog.customer_portal import PORTAL_CONFIG
from shared.catalog.dashboard import DASHBOARD
from shared.catalog.design import DESIGNBUILDER
from shared.catalog.email_template import EMAIL_TEMPLATE
from shared.catalog.entity import (
    COUPON,
    PRICE,
    PRODUCT,
    PRODUCT_RECOMMENDATION,
    SAVED_VIEW,
    SCHEMA,
    TARGET,
    TAX,
    TAXONOMY,
    TAXONOMY_CLASSIFICATION,
)
from shared.catalog.entity_mapping import ENTITY_MAPPING
from shared.catalog.environments import ENVIRONMENT_VARIABLE
from shared.catalog.file import DOCUMENT_TEMPLATE, FILE
from shared.catalog.integration_toolkit import INTEGRATION
from shared.catalog.journey import JOURNEY
from shared.catalog.kanban import KANBAN
from shared.catalog.notification import NOTIFICATION_TEMPLATE
from shared.catalog.permissions import ROLE
from shared.catalog.template_variables import CUSTOM_VARIABLE
from shared.catalog.user import USERGROUP
from shared.catalog.validation_rules import VALIDATION_RULE
from shared.catalog.webhooks import WEBHOOK
from shared.catalog.workflow_definition import CLOSING_REASON, FLOW_TEMPLATE, WORKFLOW_DEFINITION
from shared.domain.resource_type import Catalogue

_IN_CONTRACT_ORDER = (
    JOURNEY,
    AUTOMATION_FLOW,
    WORKFLOW_DEFINITION,
    CLOSING_REASON,
    FLOW_TEMPLATE,
    SCHEMA,
    EMAIL_TEMPLATE,
    PRODUCT,
    PRICE,
    TAX,
    COUPON,
    FILE,
    DOCUMENT_TEMPLATE,
    WEBHOOK,
    SAVED_VIEW,
    DASHBOARD,
    KANBAN,
    ROLE,
    USERGROUP,
    VALIDATION_RULE,
    INTEGRATION,
    APP,
    DESIGNBUILDER,
    NOTIFICATION_TEMPLATE,
    CUSTOM_VARIABLE,
    ENVIRONMENT_VARIABLE,
    TAXONOMY,
    TAXONOMY_CLASSIFICATION,
    ENTITY_MAPPING,
    PORTAL_CONFIG,
    TARGET,
    PRODUCT_RECOMMENDATION,
    ACCESS_TOKEN,
)

RESOURCE_TYPES: Catalogue = MappingProxyType({entry.name: entry for entry in _IN_CONTRACT_ORDER})
