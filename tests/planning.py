"""What a dry run says that jobs would ask for."""

from __future__ import annotations

import re
import subprocess
import sys

from conftest import Project

# Rules have messages, in place of which Snakemake prints no resources.
SHOW = """\
import sys
from snakemake import logging
from snakemake.cli import main
logging.DefaultFormatter.format_job_info = lambda self, msg: "\\n".join(self._format_job_info(msg))
main(sys.argv[1:])
"""


def planned_resources(
    project: Project, *arguments: str, rule: str | None = None
) -> dict[str, dict[str, str]]:
    """Resources of every job, by rule; those of one `rule` by shard."""
    command = project.command("--quiet", "host", "--dry-run", *arguments)
    done = subprocess.run(
        [sys.executable, "-c", SHOW, *command[3:]],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=project.environment(),
    )  # fmt: skip
    assert done.returncode == 0, done.stdout
    blocks = re.findall(r"^rule (\w+):(.*?)resources: (.*?)$", done.stdout, re.M | re.S)
    return {
        re.search(r"shard=(\d+)", head)[1] if rule else name: dict(
            pair.split("=") for pair in line.split(", ")
        )
        for name, head, line in blocks
        if rule in (None, name)
    }
