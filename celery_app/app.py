"""The Celery application of a runner: how messages travel.

A message is a doorbell, ``(id, attempt)``; what it announces is claimed from the master. So
messages are taken off the queue at once (early ack), may be lost or doubled without harm, and have
no result.
"""

from __future__ import annotations

from typing import Any
from urllib.parse import urlsplit

from celery import Celery
from kombu.entity import Exchange, Queue

from datarun_ext.protocol import QUEUES

NAME = "datarun"
VISIBILITY_S = 86400
"""Redis gives a message that was taken but not acknowledged to another runner after this time."""


def settings(broker_url: str) -> dict[str, Any]:
    """Return Celery's settings for a broker, each for a reason that was measured.

    Parameters
    ----------
    broker_url : str
        ``redis://``, ``rediss://``, ``redis+socket://`` or ``amqp://``.
    """
    values: dict[str, Any] = {
        "broker_url": broker_url,
        "result_backend": None,
        "task_ignore_result": True,
        "task_serializer": "json",
        "accept_content": ["json"],
        "task_acks_late": False,
        "worker_prefetch_multiplier": 1,
        "task_queues": [_queue(name) for name in QUEUES],
        "task_default_queue": QUEUES[-1],
        "broker_connection_retry_on_startup": True,
        "broker_connection_max_retries": None,
        # Would kill a running fold and never run it again when the broker restarts.
        "worker_cancel_long_running_tasks_on_connection_loss": False,
        "worker_proc_alive_timeout": 60,
        "worker_hijack_root_logger": False,
        "worker_redirect_stdouts": False,
        "worker_enable_remote_control": False,
        "worker_send_task_events": False,
        "task_publish_retry_policy": {
            "max_retries": 1,
            "interval_start": 0,
            "interval_step": 0.1,
            "interval_max": 0.1,
        },
    }
    if urlsplit(broker_url).scheme.startswith("redis"):
        values["worker_disable_prefetch"] = True
        # Timeouts of the socket stay at kombu's defaults: shorter ones lose messages.
        values["broker_transport_options"] = {
            "visibility_timeout": VISIBILITY_S,
            "queue_order_strategy": "priority",
        }
    return values


def _queue(name: str) -> Queue:
    return Queue(name, Exchange(name), routing_key=name)  # type: ignore[no-untyped-call]


def make_app(broker_url: str) -> Celery:
    """Return a Celery application that talks to this broker; it knows no task yet."""
    app = Celery(NAME, set_as_current=False)
    app.conf.update(settings(broker_url))
    return app
