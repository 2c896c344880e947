"""Scenarios in which processes die or stop at a bad moment: T1, T2, T3, T5 and T6."""

from __future__ import annotations

import random
import time
from uuid import UUID

from durability.clients import Clients, texts
from durability.cluster import Cluster, freeze, thaw
from durability.history import lost_workers, snapshot
from durability.outcome import Outcome, judge, settle

from app.jobs import QUEUES, Queue
from ml.errors import WorkerLost

RECOVERED_SECONDS = 90
RESUMED_SECONDS = 30
GRACE_SECONDS = 15
"""How long after SIGTERM a worker may take to exit; it drains for one second here."""
DEATHS = ("kill", "oom", "segfault", "loop")
API_POINTS = ("before-commit", "after-commit")
DISPATCHER_POINTS = ("after-publish", "before-mark")
UNCHANGED = "who wakes changes nothing"
CAPPED = "set aside after three attempts"
ATTEMPTS = "SELECT coalesce(max(attempt), 0) FROM steps WHERE job_id = :job"


def handovers(cluster: Cluster, rounds: int, *, control: bool = False) -> Outcome:
    """T1. A worker dies that has taken a message from Redis, and nobody has noted that yet.

    Recovery: from the death to the claim.
    """
    jobs: list[UUID] = []
    deaths: list[float] = []
    tried = 0
    while len(deaths) < rounds and tried < 3 * rounds:
        cluster.until(lambda: set(cluster.up()) == set(cluster.processes), seconds=90)
        job, died_with_message = _die_with_message(cluster, QUEUES[tried % 2])
        tried += 1
        jobs.append(job)
        if died_with_message:
            deaths.append(time.time())
        cluster.until(lambda: set(cluster.up()) == set(cluster.processes), seconds=90)
        settle(cluster, [job], 8 if control else RECOVERED_SECONDS)
    recovery = [] if control else [_claimed_after(cluster, death) - death for death in deaths]
    return judge(
        cluster,
        "T1 without sending again" if control else "T1 hand-over",
        injected="SIGSTOP, message, SIGKILL",
        times=len(deaths),
        jobs=jobs,
        recovery=recovery,
        criteria={
            f"{rounds} messages destroyed": len(deaths) == rounds,
            f"each within {RECOVERED_SECONDS} s": max(recovery, default=0) <= RECOVERED_SECONDS,
        },
        control="stuck" if control else None,
    )


def _die_with_message(cluster: Cluster, queue: Queue) -> tuple[UUID, bool]:
    """Kill all workers of a queue while one holds a message that it could not read yet."""
    names = [name for name in cluster.processes if name.startswith(queue)]
    # They are asking Redis for a message at this moment, and will be given one.
    for name in names:
        freeze(cluster.processes[name])
    (job,) = cluster.submit(1, seconds=0)
    sent = (
        "SELECT count(*) FROM steps WHERE job_id = :job AND queue = :queue"
        " AND published_at IS NOT NULL"
    )
    cluster.until(lambda: cluster.count(sent, job=job, queue=queue) > 0, seconds=30)
    taken = cluster.redis.llen(queue) == 0
    for name in names:
        cluster.kill(name)
    return job, taken


def _claimed_after(cluster: Cluster, moment: float) -> float:
    query = "SELECT extract(epoch FROM min(at)) FROM history WHERE event = 'step running' AND at > "
    return float(cluster.rows(f"{query} to_timestamp(:moment)", moment=moment)[0][0])


def failpoints(cluster: Cluster, rounds: int, seed: int) -> Outcome:
    """T2. API and dispatcher die at chosen points, each half as often as there are rounds.

    Recovery: from a client's first request to its 202.
    """
    clients = Clients(cluster, "failpoints")
    recovery: list[float] = []
    jobs: list[UUID] = []
    with cluster.replaced("api", "dispatcher", faults=["failpoints"]):
        for number, text in enumerate(texts(rounds, 0, random.Random(seed))):
            points = API_POINTS[number % 2], DISPATCHER_POINTS[number // 2 % 2]
            for point in points:
                (cluster.failpoints / point).touch()
            began = time.monotonic()
            submission = clients.submit_all([text])
            cluster.until(lambda s=submission: s.done, seconds=60)
            recovery.append(time.monotonic() - began)
            jobs += submission.jobs
            cluster.until(lambda: not any(cluster.failpoints.iterdir()), seconds=60)
        settle(cluster, jobs)
    return judge(
        cluster,
        "T2 API and relay",
        injected="SIGKILL at four points",
        times=2 * rounds,
        jobs=jobs,
        made_twice=cluster.count("SELECT count(*) FROM jobs") - len(set(jobs)),
        recovery=recovery,
        criteria={"each 202 is a job of its own": len(set(jobs)) == rounds},
    )


def unrepeatable(cluster: Cluster) -> Outcome:
    """T2's control: a client that repeats a request without a key, because no answer came."""
    clients = Clients(cluster, "unrepeatable")
    with cluster.replaced("api", faults=["failpoints"]):
        (cluster.failpoints / "after-commit").touch()
        (text,) = texts(1, 0, random.Random())
        submission = clients.submit_all([text], repeatable=False)
        cluster.until(lambda: submission.done, seconds=60)
    jobs = submission.jobs
    settle(cluster, jobs)
    made_twice = cluster.count("SELECT count(*) FROM jobs") - len(jobs)
    return judge(
        cluster,
        "T2 without Idempotency-Key",
        injected="SIGKILL after commit",
        times=1,
        jobs=jobs,
        made_twice=made_twice,
        control="duplicated",
    )


def zombies(cluster: Cluster, rounds: int, *, control: bool = False) -> Outcome:
    """T3. A worker is stopped past its lease, another does its work, and the first one wakes.

    Recovery: from the stop to the end of the job.
    """
    jobs: list[UUID] = []
    changed = 0
    recovery = []
    names = ("gpu-1", "gpu-2")
    for number in range(rounds):
        zombie, rescuer = names[number % 2], names[1 - number % 2]
        job, before, after, seconds = _wake_a_zombie(cluster, zombie, rescuer)
        jobs.append(job)
        recovery.append(seconds)
        changed += before != after
    return judge(
        cluster,
        "T3 without the fence" if control else "T3 fencing",
        injected="SIGSTOP past the lease, SIGCONT",
        times=rounds,
        jobs=jobs,
        recovery=recovery,
        criteria={UNCHANGED: not changed},
        control=UNCHANGED if control else None,
    )


def _wake_a_zombie(
    cluster: Cluster, zombie: str, rescuer: str
) -> tuple[UUID, object, object, float]:
    """Return the job, everything that workers write before and after, and the recovery."""
    asleep = freeze(cluster.processes[rescuer])
    (job,) = cluster.submit(1, seconds=1.0, behaviour="deaf")
    assert cluster.at_work("gpu") == zombie
    frozen = freeze(cluster.processes[zombie])
    began = time.monotonic()
    thaw(asleep)
    cluster.wait_for([job], seconds=60)
    seconds = time.monotonic() - began
    before = snapshot(cluster)
    told = len(cluster.log_of(zombie))
    thaw(frozen)
    ends = ('"event": "step"', '"exception"')
    cluster.until(lambda: any(end in cluster.log_of(zombie)[told:] for end in ends), seconds=30)
    return job, before, snapshot(cluster), seconds


def poison(cluster: Cluster, good: int) -> Outcome:
    """T5. Steps that end their process in every way, among jobs that do not.

    Recovery: from the submission until a poisonous job was set aside.
    """
    with cluster.replaced("gpu-1", "gpu-2", EMOTION_CLF_JOBS__STEP_SECONDS="3"):
        began = time.time()
        poisonous = {death: cluster.submit(1, 0, death)[0] for death in DEATHS}
        jobs = cluster.submit(good, seconds=0.1)
        settle(cluster, [*poisonous.values(), *jobs])
    ended = [cluster.job(job) for job in poisonous.values()]
    codes = [job.error.code if job.error else job.status for job in ended]
    attempts = [cluster.count(ATTEMPTS, job=job) for job in poisonous.values()]
    return judge(
        cluster,
        "T5 poison",
        injected=", ".join(DEATHS),
        times=sum(attempts),
        jobs=jobs,
        recovery=[job.finished_at.timestamp() - began for job in ended if job.finished_at],
        criteria={
            CAPPED: set(attempts) == {3},
            "failed with worker.lost": set(codes) == {WorkerLost.code},
        },
    )


def uncapped_poison(cluster: Cluster) -> Outcome:
    """T5's control: nothing counts how many workers a step has cost."""
    (job,) = cluster.submit(1, 0, "kill")
    cluster.until(lambda: cluster.count(ATTEMPTS, job=job) > 3, seconds=90)
    attempts = cluster.count(ATTEMPTS, job=job)
    outcome = judge(
        cluster,
        "T5 without the cap",
        injected="kill",
        times=attempts,
        jobs=[],
        criteria={CAPPED: attempts <= 3},
        control=CAPPED,
    )
    cluster.jobs.cancel(job, "local")
    return outcome


def drains(cluster: Cluster, rounds: int) -> Outcome:
    """T6. Workers of each pool are told to stop while they run a step.

    Recovery: from the signal until the step runs elsewhere.
    """
    cluster.start("cpu-2")
    jobs: list[UUID] = []
    exits: list[float] = []
    resumed: list[float] = []
    for queue in QUEUES:
        for _ in range(rounds):
            jobs += cluster.submit(1, seconds=1.4)
            name = cluster.at_work(queue)
            told = time.time()
            exits.append(_drain(cluster, name))
            resumed += _resumed(cluster, since=told)
    settle(cluster, jobs)
    cluster.stop("cpu-2")
    return judge(
        cluster,
        "T6 drain",
        injected="SIGTERM in a step, cpu and gpu",
        times=len(exits),
        jobs=jobs,
        recovery=resumed,
        criteria={
            f"exit within {GRACE_SECONDS} s": max(exits) <= GRACE_SECONDS,
            f"resumed within {RESUMED_SECONDS} s": max(resumed, default=0) <= RESUMED_SECONDS,
            "no loss counted": not lost_workers(cluster),
        },
    )


def _drain(cluster: Cluster, name: str) -> float:
    """Tell a worker to stop; return the seconds until it has."""
    worker = cluster.processes.pop(name)  # or it would be started before it was seen to end
    told = time.monotonic()
    worker.signal("SIGTERM")
    cluster.until(lambda: not worker.running, seconds=60)
    took = time.monotonic() - told
    cluster.processes[name] = worker
    return took


def _resumed(cluster: Cluster, since: float) -> list[float]:
    """Return, for each step that was given back since then, the seconds until it ran again."""
    given_back = (
        "SELECT step_id, attempt, extract(epoch FROM at) FROM history"
        " WHERE event = 'step ready' AND losses = 0 AND at > to_timestamp(:since)"
    )
    again = (
        "SELECT extract(epoch FROM min(at)) FROM history WHERE event = 'step running'"
        " AND step_id = :step AND attempt > :attempt"
    )
    found = []
    for step, attempt, _ in cluster.rows(given_back, since=since):
        cluster.until(
            lambda s=step, a=attempt: cluster.rows(again, step=s, attempt=a)[0][0] is not None,
            seconds=RESUMED_SECONDS * 2,
        )
        found.append(float(cluster.rows(again, step=step, attempt=attempt)[0][0]) - since)
    return found
