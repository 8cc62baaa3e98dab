"""Running the emitted ``build.sh``: the same steps here as in a bundle on another machine."""

import io
import os
import re
import signal
import subprocess
import tarfile
from collections.abc import Callable
from pathlib import Path

from bitstreams.building.toolchain import require_tools
from hw_templates.foundation.errors import StorageError, ToolError
from hw_templates.foundation.json_records import read_json, reading
from hw_templates.foundation.lock import exclusive, in_use
from hw_templates.project.record import PROJECT_FILE, ProjectRecord
from hw_templates.project.render import BUILD_SCRIPT, DIGEST_FILE, hardware_sha256

RESULTS = "results.tar"

_MISSED = re.compile(r"timing: setup slack is \S+ ns at \d+ MHz")


class TimingError(ToolError):
    """The routed design is too slow for its clock."""


def check_sources(project: Path) -> str:
    """Return the digest of a project's hardware, whose sources must be as they were emitted.

    Raises:
        StorageError: a file is missing or corrupt, or a source was changed since.
    """
    record = read_json(project / PROJECT_FILE, ProjectRecord, "emit the project again")
    folders = ("hls", "rtl", "tcl")
    paths = [path for folder in folders for path in (project / folder).rglob("*") if path.is_file()]
    try:
        stated = (project / DIGEST_FILE).read_text().strip()
        texts = {str(path.relative_to(project)): path.read_text() for path in paths}
    except (OSError, ValueError) as error:
        raise StorageError(f"{project}: is no whole project ({error}); emit it again") from error
    digest = hardware_sha256(texts, record.implementation)
    if not digest == stated == record.hardware_sha256:
        raise StorageError(f"{project}: a source was changed after it was emitted; emit it again, or build by hand")
    return digest


def build_bitstream(project: Path, cosim: bool, on_step: Callable[[str], None]) -> Path:
    """Build a project's bitstream with the vendor's tools; steps that are done are not repeated.

    Args:
        project: folder of an emitted project.
        cosim: simulate the RTL on one image as well.
        on_step: called with each step's tool and version as it begins.

    Returns:
        The archive of results.

    Raises:
        StorageError: the project is not as it was emitted, or is being built by another process.
        ToolError: a tool is missing, too old or failed; the first line that says why, and where the log is.
        TimingError: the design is too slow for its clock.
    """
    check_sources(project)
    require_tools("sh")
    lock = project / "build/.lock"
    with exclusive(lock, in_use(lock, "the build")):
        command = ["sh", BUILD_SCRIPT, *(["--cosim"] if cosim else [])]
        # A session of its own, so that an interruption reaches whatever the tools have started.
        process = subprocess.Popen(
            command, cwd=project, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True
        )
        try:
            assert process.stdout is not None
            for line in process.stdout:
                if line.startswith("step "):
                    on_step(line.removeprefix("step ").strip())
            _, complaint = process.communicate()
        except BaseException:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()
            raise
    lines = complaint.strip().splitlines()
    if process.returncode != 0:
        reason = lines[-1].removeprefix(f"{BUILD_SCRIPT}: ") if lines else f"code {process.returncode}"
        if missed := _MISSED.search(reason):
            raise TimingError(f"{project}: {missed[0]} (build/results/reports/timing.rpt)")
        raise ToolError(f"{project}: {reason}; logs are in {project / 'build'}")
    archive = project / RESULTS
    if not archive.is_file():
        raise ToolError(f"{project}: {BUILD_SCRIPT} ended well but left no {RESULTS}; logs are in {project / 'build'}")
    return archive


def bundle(project: Path) -> bytes:
    """Return a tar of a project that builds elsewhere with ``sh build.sh``; equal projects give equal bytes.

    Raises:
        StorageError: the project is not as it was emitted, or cannot be read.
    """
    name = f"engine_{check_sources(project)[:8]}"
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.USTAR_FORMAT) as tar:
        for path in sorted(project.rglob("*")):
            relative = path.relative_to(project)
            if not path.is_file() or relative.parts[0] == "build" or relative.name == RESULTS:
                continue
            with reading(path):
                content = path.read_bytes()
            member = tarfile.TarInfo(f"{name}/{relative}")
            member.size = len(content)
            member.mode = 0o755 if relative.name == BUILD_SCRIPT else 0o644
            tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()
