"""The files of `deploy/`, as what reads them understands them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).parents[1]
DEPLOY = ROOT / "deploy"

#: `${NAME}`, with a default or what is said where there is none.
_VARIABLE = re.compile(r"\$\{(?P<name>\w+)(?:(?P<how>:?[-?])(?P<more>[^}]*))?\}")


def read(name: str, variables: dict[str, str]) -> Any:
    """A file of Compose's, with its variables filled in as Compose does it."""

    def filled(match: re.Match[str]) -> str:
        value = variables.get(match["name"])
        how = match["how"] or ""
        if value is None or (not value and how.startswith(":")):
            assert "?" not in how, f"{match['name']}: {match['more']}"
            return match["more"] or ""
        return value

    return yaml.safe_load(_VARIABLE.sub(filled, (DEPLOY / name).read_text()))


def variables(name: str) -> dict[str, bool]:
    """The variables of a file of Compose's, and whether each must be set wherever it is used."""
    musts: dict[str, bool] = {}
    for each in _VARIABLE.finditer((DEPLOY / name).read_text()):
        must = (each["how"] or "").endswith("?")
        musts[each["name"]] = must and musts.get(each["name"], True)
    return musts


def image() -> dict[str, list[str]]:
    """What the image does of itself: the command, and the check of its health."""
    text = _dockerfile()
    form = re.compile(r"CMD (\[.*\])$", re.MULTILINE)
    health, command = (json.loads(each) for each in form.findall(text))
    return {"health": health, "command": command}


def image_environment() -> dict[str, str]:
    """What the image sets for all of its processes, but for its own places."""
    (told,) = re.findall(r"^ENV ((?:.*\\\n)*.*)$", _dockerfile(), re.MULTILINE)
    pairs = dict(each.split("=", 1) for each in told.replace("\\\n", "").split())
    return {name: text for name, text in pairs.items() if "/" not in text}


def _dockerfile() -> str:
    return (DEPLOY / "Dockerfile").read_text()


def containers() -> list[Any]:
    """Those of the template for ECS."""
    from cfnlint.decode.cfn_yaml import load as load_template  # a second, for who needs it

    resources = load_template(str(DEPLOY / "ecs.yaml"))["Resources"]
    return [
        container
        for each in resources.values()
        if each["Type"] == "AWS::ECS::TaskDefinition"
        for container in each["Properties"]["ContainerDefinitions"]
    ]
