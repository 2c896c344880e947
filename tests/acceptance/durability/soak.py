"""Scenarios of long-running work under many deaths: T4."""

from __future__ import annotations

import random
from threading import Semaphore

from durability.clients import Clients, texts
from durability.cluster import Cluster
from durability.history import until_revived
from durability.nemesis import Mix, plan, unleash
from durability.outcome import Outcome, judge, settle


def soak(cluster: Cluster, count: int, mix: Mix, seed: int) -> Outcome:
    """T4. Clients submit while every process and server is killed, stopped and cut off.

    Recovery: from the injection until a step that lost its worker was ready for another.
    """
    clients = Clients(cluster, "soak")
    planned = plan(seed, mix)
    permits = Semaphore(0)
    each = -(-count // len(planned))
    submission = clients.submit_all(texts(count, 0.2, random.Random(seed)), permits.acquire)
    moments = unleash(cluster, planned, before_each=lambda: permits.release(each))
    cluster.until(lambda: submission.done, seconds=120)
    jobs = submission.jobs
    settle(cluster, jobs)
    cluster.until_nothing_is_left()
    return judge(
        cluster,
        "T4 soak",
        injected=str(mix),
        times=len(moments),
        jobs=jobs,
        made_twice=cluster.count("SELECT count(*) FROM jobs") - len(set(jobs)),
        recovery=until_revived(cluster, moments),
        criteria={"all were accepted": len(set(jobs)) == count},
    )


def unrevived(cluster: Cluster) -> Outcome:
    """T4's control: nobody takes steps from dead workers."""
    jobs = cluster.submit(3, seconds=1.0)
    cluster.kill(cluster.at_work("gpu"))
    settle(cluster, jobs, seconds=15)
    return judge(
        cluster,
        "T4 without taking steps back",
        injected="SIGKILL of a worker",
        times=1,
        jobs=jobs,
        control="stuck",
    )
