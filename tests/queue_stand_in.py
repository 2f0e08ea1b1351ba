#!/usr/bin/env python3
"""PBS and LSF as little programs: qsub, qstat, qdel, bsub, bjobs and bkill by its name.

Jobs run at once, as processes of their own.  ``$QUEUE_FOLDER`` holds for every job what was
asked for (N.json), its process (N.pid) and its exit status (N.exit).  Job 1 is lost: it is
killed as by a node that dies.
"""

from __future__ import annotations

import argparse
import json
import os
import signal
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

FOLDER = Path(os.environ["QUEUE_FOLDER"])


def submit(queue: str, options: dict, variable: str, script: str) -> int:
    number = 1 + len(list(FOLDER.glob("*.json")))
    (FOLDER / f"{number}.json").write_text(json.dumps({"queue": queue, **options}))
    work = "sh -c 'kill -9 $$'" if number == 1 else f"'{script}'"
    command = f"{work}; echo $? > {FOLDER}/{number}.exit"
    with (FOLDER / f"{number}.out").open("w") as out:
        process = subprocess.Popen(
            ["sh", "-c", command], start_new_session=True, stdout=out, stderr=out,
            stdin=subprocess.DEVNULL, env={**os.environ, variable: str(number)},
        )  # fmt: skip
    (FOLDER / f"{number}.pid").write_text(str(process.pid))
    return number


def ended(number: str) -> str:
    """Exit status of a job, or nothing while it runs."""
    path = FOLDER / f"{number}.exit"
    return path.read_text().strip() if path.exists() else ""


def delete(numbers: list[str]) -> None:
    for number in numbers:
        (FOLDER / f"{number}.exit").write_text("271")
        with suppress(ProcessLookupError):
            os.killpg(int((FOLDER / f"{number}.pid").read_text()), signal.SIGKILL)


def qsub(argv: list[str]) -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("-V", action="store_true", required=True)
    for letter in ("-N", "-q", "-j", "-o"):
        parser.add_argument(letter, required=True)
    parser.add_argument("-l", action="append")
    parser.add_argument("script")
    asked = parser.parse_args(argv)
    limits = dict(part.split("=", 1) for part in asked.l)
    chunk = dict(part.split("=") for part in limits["select"].split(":")[1:])
    options = {
        "cores": int(chunk["ncpus"]), "memory": int(chunk["mem"].removesuffix("mb")),
        "minutes": int(limits["walltime"]) / 60, "gpus": int(chunk.get("ngpus", 0)),
    }  # fmt: skip
    print(f"{submit(asked.q, options, 'PBS_JOBID', asked.script)}.server")


def bsub(argv: list[str]) -> None:
    parser = argparse.ArgumentParser()
    for letter in ("-J", "-q", "-R", "-M", "-o"):
        parser.add_argument(letter, required=True)
    parser.add_argument("-n", type=int, required=True)
    parser.add_argument("-W", type=int, required=True)
    parser.add_argument("-gpu", default="num=0")
    parser.add_argument("script")
    asked = parser.parse_args(argv)
    options = {
        "cores": asked.n, "memory": int(asked.M.removesuffix("MB")), "minutes": asked.W,
        "gpus": int(asked.gpu.removeprefix("num=")),
    }  # fmt: skip
    number = submit(asked.q, options, "LSB_JOBID", asked.script)
    print(f"Job <{number}> is submitted to queue <{asked.q}>.")


def main(name: str, argv: list[str]) -> None:
    number = argv[-1].removesuffix(".server")
    if name == "qsub":
        qsub(argv)
    elif name == "bsub":
        bsub(argv)
    elif name in ("qdel", "bkill"):
        delete([one.removesuffix(".server") for one in argv])
    elif name == "qstat":
        status = ended(number)
        print(f"Job Id: {number}.server\n    Job_Name = polymorphkd")
        print(f"    job_state = {'F' if status else 'R'}")
        if status:
            print(f"    Exit_status = {status}")
    elif name == "bjobs":
        print({"": "RUN", "0": "DONE"}.get(ended(number), "EXIT"))


if __name__ == "__main__":
    main(Path(sys.argv[0]).name, sys.argv[1:])
