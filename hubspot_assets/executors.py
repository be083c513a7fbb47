"""Where the steps of a run are executed: in its process, in others of its host, or on other hosts.

In process unless set otherwise, as HubSpot's limits are used up there by what is read ahead. A step
costs 15 ms in process, 0.9 s under a preloaded forkserver (5 s and more when spawned), two seconds
of CPU on a Celery worker, which makes the definitions of all assets anew, and a pod on Kubernetes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import dagster as dg

from hubspot_assets.settings import Settings, SettingsError

#: So many pods a run has at once.
_PODS = 8
#: Seconds between two looks at a broker that is away, growing to the latter.
_FIRST_LOOK, _LOOK = 0.2, 5.0


def executor_of(settings: Settings) -> dg.ExecutorDefinition:
    """The executor of all jobs. Raises SettingsError where what it takes is not installed."""
    match settings.export_executor:
        case "multiprocess":
            preload = {"preload_modules": ["hubspot_assets.definitions"]}
            return dg.multiprocess_executor.configured({"start_method": {"forkserver": preload}})
        case "celery":
            return _celery(settings)
        case "k8s":
            with _needing("k8s", settings):
                from dagster_k8s import k8s_job_executor
            return k8s_job_executor.configured({"max_concurrent": _PODS})
    return dg.in_process_executor


def reads_ahead(settings: Settings) -> bool:
    """Whether steps share a process, in which sources are read ahead of theirs."""
    return settings.export_executor == "in_process"


def celery_app_arguments(settings: Settings) -> Mapping[str, Any]:
    """What makes the Celery app, of who sends steps and of who executes them alike."""
    broker = settings.celery_broker_url or settings.budget_url
    if broker is None:
        raise SettingsError("CELERY_BROKER_URL: found nothing, expected a Redis server")
    url = broker.get_secret_value()
    return {
        "broker": url,
        "backend": url,
        "config_source": {
            # A step is done when it has ended, and one whose worker is gone is another's.
            "task_acks_late": True,
            "task_reject_on_worker_lost": True,
            # Each worker takes what it executes, and no more.
            "worker_prefetch_multiplier": 1,
            "worker_disable_prefetch": True,
            "broker_transport_options": {
                "visibility_timeout": settings.celery_visibility_timeout,
                "unacked_restore_throttle": 1,  # else this is looked at every 100 seconds
                "priority_steps": [0],  # in the order in which Dagster sends them
                # Portals that share a broker have workers of their own.
                "global_keyprefix": f"hubspot-assets:{settings.state}:",
            },
            # A broker that is away is waited for.
            "broker_connection_retry_on_startup": True,
            "broker_connection_max_retries": None,
            "result_backend_always_retry": True,
            "result_backend_base_sleep_between_retries_ms": 1000 * _FIRST_LOOK,
            "result_backend_max_sleep_between_retries_ms": 1000 * _LOOK,
            "task_publish_retry_policy": {
                "max_retries": None,
                "interval_start": _FIRST_LOOK,
                "interval_step": _FIRST_LOOK,
                "interval_max": _LOOK,
            },
        },
    }


def _celery(settings: Settings) -> dg.ExecutorDefinition:
    with _needing("celery", settings):
        from dagster._core.execution.retries import RetryMode
        from dagster_celery.executor import CeleryExecutor

    # Not dagster-celery's own definition: the broker's password would be config of the run.
    @dg.executor(name="celery", requirements=dg.multiple_process_executor_requirements())
    def celery(_: dg.InitExecutorContext) -> dg.Executor:
        return CeleryExecutor(  # type: ignore[no-untyped-call]
            RetryMode.ENABLED, **celery_app_arguments(settings)
        )

    return celery


@contextmanager
def _needing(extra: str, settings: Settings) -> Iterator[None]:
    try:
        yield
    except ModuleNotFoundError as error:
        raise SettingsError(
            f"EXPORT_EXECUTOR: found {settings.export_executor}, expected in_process or "
            f"multiprocess while {error.name} is not installed; "
            f"run: pip install 'hubspot-assets[{extra}]'"
        ) from None
