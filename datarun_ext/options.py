"""Every option of the master: one trait each, with the environment variables that set it."""

from __future__ import annotations

from traitlets import HasTraits

from datarun_ext.environment import CountOption, FlagOption, NumberOption, TextOption


class Options(HasTraits):
    """The options as traits; `DatarunApp` inherits them, the command line loads them alone."""

    data_dir = TextOption(
        "",
        "DATARUN_DATA_DIR",
        help="Folder of the database, the datasets and the submissions. Default: `datarun` "
        "in Jupyter's data folder.",
    )
    runtime_dir = TextOption(
        "",
        "DATARUN_RUNTIME_DIR",
        help="Folder of sockets and secrets of the running master (mode 0700). Default: "
        "`datarun` in Jupyter's runtime folder.",
    )
    dataset_dir = TextOption(
        "",
        "DATARUN_DATASET_DIR",
        "DIR_DATA",
        help="Folder of the datasets. Default: `rawdata` in `data_dir`.",
    )
    submission_dir = TextOption(
        "",
        "DATARUN_SUBMISSION_DIR",
        "DIR_SUBMISSION",
        help="Folder of the submissions. Default: `submissions` in `data_dir`.",
    )
    database_url = TextOption(
        "",
        "DATARUN_DATABASE_URL",
        help="SQLAlchemy URL of the database. Default: SQLite in `data_dir`, or the "
        "PostgreSQL database that DR_DATABASE_NAME, DR_DATABASE_USER and "
        "DR_DATABASE_PASSWORD name on the host IP_MASTER.",
    )
    database_name = TextOption(
        "",
        "DR_DATABASE_NAME",
        help="Name of a PostgreSQL database.",
    )
    database_user = TextOption(
        "",
        "DR_DATABASE_USER",
        help="User of the database, and of RabbitMQ.",
    )
    database_password = TextOption(
        "",
        "DR_DATABASE_PASSWORD",
        help="Password of the database, and of RabbitMQ.",
    )
    broker_url = TextOption(
        "",
        "DATARUN_BROKER_URL",
        help="Celery broker, e.g. `redis://:password@host:6379/0`. Default: a private Redis "
        "that the master starts itself, or RabbitMQ on IP_MASTER when RMQ_VHOST is set.",
    )
    rabbitmq_vhost = TextOption(
        "",
        "RMQ_VHOST",
        help="RabbitMQ virtual host that is the broker.",
    )
    master_host = TextOption(
        "localhost",
        "IP_MASTER",
        help="Host of the database and of the broker.",
    )
    redis_url = TextOption(
        "",
        "DATARUN_REDIS_URL",
        help="Redis through which several masters tell each other of events. Default: the "
        "broker, when it is Redis.",
    )
    runner_token = TextOption(
        "",
        "DATARUN_RUNNER_TOKEN",
        help="Secret with which runners of other machines introduce themselves. Without it "
        "only the master's own runner is let in.",
    ).tag(secret=True)
    local_runner = FlagOption(
        True,
        "DATARUN_LOCAL_RUNNER",
        help="Whether the master starts a runner on its own machine when it has started a "
        "private Redis.",
    )
    slots = CountOption(
        0,
        "DATARUN_SLOTS",
        "NB_LOCAL_WORKER",
        min=0,
        help="Folds that the master's own runner trains at once. Default: one for each core.",
    )
    minimum_level = TextOption(
        "limits",
        "DATARUN_MINIMUM_LEVEL",
        help="Weakest sandbox with which the master's own runner may work: full, landlock or "
        "limits.",
    )
    reconcile_s = NumberOption(
        15.0,
        "DATARUN_RECONCILE_S",
        "CELERY_SCHEDULER_PERIOD",
        min=0.1,
        help="Seconds between two looks for folds whose runner was lost. "
        "CELERY_SCHEDULER_PERIOD is given in minutes, as in datarun 0.4 (`*/2`).",
    )
    lease_s = NumberOption(
        45.0,
        "DATARUN_LEASE_S",
        min=0.5,
        help="Seconds without a sign of its runner after which a fold is sent again.",
    )
    heartbeat_s = NumberOption(
        10.0,
        "DATARUN_HEARTBEAT_S",
        min=0.1,
        help="Seconds between two signs of a runner.",
    )
    soft_limit_s = NumberOption(
        300.0,
        "DATARUN_SOFT_LIMIT_S",
        min=0.01,
        help="Seconds after which a fold gets an exception, unless it asks for another limit.",
    )
    hard_limit_s = NumberOption(
        360.0,
        "DATARUN_HARD_LIMIT_S",
        min=0.01,
        help="Seconds after which a fold is killed.",
    )
    memory_mb = CountOption(
        4096,
        "DATARUN_MEMORY_MB",
        min=64,
        help="Memory of a fold in MB.",
    )
    processes = CountOption(
        256,
        "DATARUN_PROCESSES",
        min=1,
        help="Processes and threads of a fold.",
    )
    disk_mb = CountOption(
        1024,
        "DATARUN_DISK_MB",
        min=1,
        help="Disk of a fold in MB.",
    )
    max_hard_limit_s = NumberOption(
        86400.0,
        "DATARUN_MAX_HARD_LIMIT_S",
        min=0.1,
        help="The most that a client may ask for.",
    )
    max_memory_mb = CountOption(
        65536,
        "DATARUN_MAX_MEMORY_MB",
        min=64,
        help="The most that a client may ask for.",
    )
    max_processes = CountOption(
        4096,
        "DATARUN_MAX_PROCESSES",
        min=1,
        help="The most that a client may ask for.",
    )
    max_disk_mb = CountOption(
        65536,
        "DATARUN_MAX_DISK_MB",
        min=1,
        help="The most that a client may ask for.",
    )
    max_upload_mb = CountOption(
        20480,
        "DATARUN_MAX_UPLOAD_MB",
        min=1,
        help="Largest file that a client may send, in MB.",
    )
    working_env = TextOption(
        "DEV",
        "DR_WORKING_ENV",
        help="PROD or DEV. PROD refuses to start with SQLite or a private Redis.",
    )
    email = TextOption(
        "",
        "DR_EMAIL",
        help="E-mail address of the platform's superuser.",
    )
