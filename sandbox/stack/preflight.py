"""Give the local engine the preflight answers that its import of the API definition leaves out."""

from typing import Any

from sandbox.stack.deployment import client, find_outputs, stack_name
from sandbox.stack.settings import StackSettings


def complete_preflight(settings: StackSettings) -> None:
    """Set the answer of every OPTIONS method to what the deployed template declares for it."""
    cloudformation = client(settings, "cloudformation")
    name = stack_name(settings)
    (stack,) = cloudformation.describe_stacks(StackName=name)["Stacks"]
    parameters = {parameter["ParameterKey"]: parameter["ParameterValue"] for parameter in stack["Parameters"]}
    template = cloudformation.get_template(StackName=name, TemplateStage="Processed")["TemplateBody"]
    declared = template["Resources"]["HubApi"]["Properties"]["Body"]["paths"]

    gateway = client(settings, "apigateway")
    api_id = (find_outputs(settings) or {})["ApiId"]
    for page in gateway.get_paginator("get_resources").paginate(restApiId=api_id, embed=["methods"]):
        for resource in page["items"]:
            if "OPTIONS" not in resource.get("resourceMethods", {}):
                continue
            integration = declared[resource["path"]]["options"]["x-amazon-apigateway-integration"]
            for answer in integration["responses"].values():
                gateway.put_integration_response(
                    restApiId=api_id,
                    resourceId=resource["id"],
                    httpMethod="OPTIONS",
                    statusCode=answer["statusCode"],
                    responseParameters={
                        header: _resolve(value, parameters) for header, value in answer["responseParameters"].items()
                    },
                    responseTemplates=answer["responseTemplates"],
                )


def _resolve(value: Any, parameters: dict[str, str]) -> str:
    text = value["Fn::Sub"] if isinstance(value, dict) else value
    for name, given in parameters.items():
        text = text.replace(f"${{{name}}}", given)
    return str(text)
