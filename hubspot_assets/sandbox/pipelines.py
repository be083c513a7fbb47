"""Pipelines and their stages."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from hubspot_assets.sandbox.facts import rows
from hubspot_assets.sandbox.stamps import DAY, iso

_MADE_AT = 1_685_600_000_000


@dataclass(frozen=True, slots=True)
class Stage:
    """A stage; metadata values are text."""

    stage_id: str
    label: str
    metadata: dict[str, str]


@dataclass(frozen=True, slots=True)
class Pipeline:
    """A pipeline with its stages, in display order."""

    pipeline_id: str
    label: str
    stages: tuple[Stage, ...]


@cache
def _pipelines(object_type_id: str) -> tuple[Pipeline, ...]:
    labels: dict[str, str] = {}
    stages: dict[str, list[Stage]] = {}
    for row in rows("pipelines.csv"):
        if row["object_type_id"] == object_type_id:
            labels[row["pipeline_id"]] = row["label"]
            pairs = (
                (key, value)
                for key, _, value in (p.partition("=") for p in row["metadata"].split(";"))
            )
            stage = Stage(row["stage_id"], row["stage_label"], dict(pairs))
            stages.setdefault(row["pipeline_id"], []).append(stage)
    return tuple(Pipeline(key, label, tuple(stages[key])) for key, label in labels.items())


def pipelines_of(object_type_id: str) -> list[Pipeline]:
    """Pipelines of a type, in display order."""
    return list(_pipelines(object_type_id))


def pipeline_told(pipeline: Pipeline, order: int) -> dict[str, Any]:
    """A pipeline as the pipelines API tells it."""
    return {
        "label": pipeline.label,
        "displayOrder": order,
        "id": pipeline.pipeline_id,
        "stages": [stage_told(stage, number) for number, stage in enumerate(pipeline.stages)],
        "createdAt": iso(_MADE_AT + order),
        "updatedAt": iso(_MADE_AT + order + 30 * DAY),
        "archived": False,
    }


def stage_told(stage: Stage, order: int) -> dict[str, Any]:
    """A stage as the pipelines API tells it."""
    return {
        "label": stage.label,
        "displayOrder": order,
        "metadata": stage.metadata,
        "id": stage.stage_id,
        "createdAt": iso(_MADE_AT + order),
        "updatedAt": iso(_MADE_AT + order + DAY),
        "writePermissions": "CRM_PERMISSIONS_ENFORCEMENT",
        "archived": False,
    }
