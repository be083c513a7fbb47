"""What Celery's workers run with EXPORT_EXECUTOR=celery: the app for `celery -A`.

A step is delivered again if it takes longer than CELERY_VISIBILITY_TIMEOUT, as its worker may be
gone. Whoever gets it then executes it only if nobody is at it any more.
"""

from __future__ import annotations

from typing import Any

from celery import Task
from celery.exceptions import Ignore
from dagster import DagsterInstance
from dagster._grpc.types import ExecuteStepArgs
from dagster._serdes import unpack_value
from dagster_celery.make_app import make_app
from dagster_celery.tasks import create_task

from hubspot_assets.executors import celery_app_arguments
from hubspot_assets.settings import load_settings


class _Step(Task):  # type: ignore[misc]
    """Executes a step, alone."""

    def __call__(
        self, execute_step_args_packed: dict[str, Any], executable_dict: dict[str, Any]
    ) -> list[str]:
        # Here, as a worker's processes are forked, which the threads of polars don't survive.
        from hubspot_assets.assets.resources import s3_resource
        from hubspot_assets.storage import open_store
        from hubspot_assets.storage.leases import DURATION, LeaseError, held

        step = unpack_value(execute_step_args_packed, as_type=ExecuteStepArgs)
        if _has_ended(step):
            raise Ignore  # which answers nothing
        settings = load_settings()
        store = open_store(settings.state, s3_resource(settings).get_client)
        name = f"steps/{step.run_id}/{'-'.join(step.step_keys_to_execute or [])}"
        try:
            # Long enough to see whether who is at it is alive.
            with held(store, name, patience=1.5 * DURATION, told=lambda _: None):
                if self.AsyncResult(self.request.id).ready():
                    raise Ignore
                events: list[str] = super().__call__(execute_step_args_packed, executable_dict)
                return events
        except LeaseError:
            later = settings.celery_visibility_timeout // 2
            raise self.retry(countdown=later, max_retries=None) from None


def _has_ended(step: ExecuteStepArgs) -> bool:
    """Whether the run has ended meanwhile, as one whose process died."""
    if step.instance_ref is None:
        return False
    with DagsterInstance.from_ref(step.instance_ref) as instance:
        run = instance.get_run_by_id(step.run_id)
        return run is None or run.is_finished


app = make_app(celery_app_arguments(load_settings()))  # type: ignore[no-untyped-call]
execute_plan = create_task(app, base=_Step)  # type: ignore[no-untyped-call]
