"""Where notebooks of others run: a prefix of the command line, chosen by trying what it holds back.

That a program is installed proves nothing, since kernels and profiles may refuse it. Each candidate
runs a probe that tries to read a secret, to write, to see the environment, and to reach a port; the
first one under which all of that fails is taken.
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from importlib.util import find_spec
from pathlib import Path

CHILD = Path(__file__).with_name("child.py")
INSIDE = "/notebook"
ENVIRONMENT = {
    "HOME": INSIDE,
    "LANG": "C.UTF-8",
    "PATH": "/usr/local/bin:/usr/bin:/bin",
    "MPLBACKEND": "agg",
    "MPLCONFIGDIR": f"{INSIDE}/.matplotlib",
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
}
REMEDY = """no sandbox works here, so notebooks of others are not run. What helps:
  Linux: install bubblewrap (Debian, Ubuntu: apt-get install bubblewrap). Ubuntu 24.04 and later also want
         its AppArmor profile: apt-get install apparmor-profiles, then
         ln -s /usr/share/apparmor/extra-profiles/bwrap-userns-restrict /etc/apparmor.d/ and reboot.
  Else:  --container "docker run --rm --interactive --network none --memory 2g --pids-limit 64 IMAGE
         timeout -s KILL 150", an image with Python and NumPy.
  --unsafe runs them without any: each notebook can then do whatever you can."""


class NoSandbox(RuntimeError):
    """No candidate holds back what it should."""


@dataclass(frozen=True)
class Limits:
    """What one notebook may use; seconds are those of a wall clock."""

    cell: float = 20.0
    call: float = 10.0
    total: float = 120.0
    memory: int = 2 << 30
    processes: int = 64
    file: int = 64 << 20
    reply: int = 1 << 20

    def child(self, running: int = 0) -> str:
        """Those that the child lays on itself; `running` processes of the same user are not its own."""
        rlimits = {
            "RLIMIT_DATA": self.memory,
            "RLIMIT_FSIZE": self.file,
            "RLIMIT_CORE": 0,
            "RLIMIT_NOFILE": 256,
            "RLIMIT_NPROC": self.processes + running,
        }
        return json.dumps({"rlimits": rlimits, "reply": self.reply})


@dataclass(frozen=True)
class Sandbox:
    """A way to start the child.

    Attributes
    ----------
    name : str
    prefix : list of str
        Goes before the child's command.
    python : list of str
        How Python is called inside, up to the script.
    drops : bool
        Whether each child gets a user of its own, which only root can give.
    """

    name: str
    prefix: Sequence[str] = ()
    python: Sequence[str] = (sys.executable, "-I", "-B")
    script: str = str(CHILD)
    drops: bool = False
    holds: Sequence[str] = field(default=("secret", "write", "environment", "network"))

    def command(self, limits: Limits, user: int) -> list[str]:
        """The whole command line of one child."""
        drop = [
            *("setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", "--bounding-set=-all"),
            *("--inh-caps=-all", "--no-new-privs", "--"),
        ]
        if self.name == "container":
            start = [*self.python, "-c", CHILD.read_text("utf-8")]
        else:
            start = [*self.python, self.script]
        running = 0 if self.drops else _processes_of_mine()
        return [*self.prefix, *(drop if self.drops else []), *start, limits.child(running)]

    def environment(self) -> dict[str, str]:
        """Of the prefix's own process; bubblewrap and containers give the child another."""
        if self.name == "unsafe":
            return {**ENVIRONMENT, "HOME": self.home, "MPLCONFIGDIR": self.home}
        if self.name == "setpriv":
            return {**ENVIRONMENT, "HOME": "/tmp", "MPLCONFIGDIR": "/tmp/.matplotlib"}
        return dict(os.environ)

    @cached_property
    def home(self) -> str:
        return tempfile.gettempdir()


def _processes_of_mine() -> int:
    """Processes and threads of this user: kernels before 5.14 count them with those of the sandbox."""
    user, total = os.getuid(), 0
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if folder.stat().st_uid == user:
                total += sum(1 for _ in (folder / "task").iterdir())
        except OSError:
            continue
    return total


def _parents(path: Path) -> Iterator[str]:
    """Folders above a path, made for others to pass: by themselves bind mounts leave them closed."""
    for parent in reversed(path.parents[:-1]):
        yield from ("--perms", "0755", "--dir", str(parent))


def _bubblewrap(limits: Limits) -> Sandbox | None:
    program = shutil.which("bwrap")
    root = os.geteuid() == 0
    if program is None or (root and shutil.which("setpriv") is None):
        return None
    system: list[str] = []
    for name in ("/usr", "/bin", "/sbin", "/lib", "/lib32", "/lib64"):
        path = Path(name)
        if path.is_symlink():
            system += ["--symlink", os.readlink(path), name]
        elif path.is_dir():
            system += ["--ro-bind", name, name]
    for name in ("ld.so.cache", "alternatives", "fonts", "localtime"):
        system += ["--ro-bind-try", f"/etc/{name}", f"/etc/{name}"]
    packages = Path(sysconfig.get_path("purelib"))
    prefixes = [Path(prefix) for prefix in dict.fromkeys((sys.base_prefix, sys.prefix, str(packages)))]
    for prefix in prefixes:
        if not prefix.is_relative_to("/usr"):
            system += [*_parents(prefix), "--ro-bind", str(prefix), str(prefix)]
    # An installed lrbs holds the questions: it is not there.
    for lrbs in {packages / "lrbs", CHILD.parents[1]}:
        if lrbs.is_dir() and any(lrbs.is_relative_to(prefix) for prefix in [*prefixes, Path("/usr")]):
            system += ["--size", "4096", "--tmpfs", str(lrbs)]
    # Root keeps the users that there are, so that each child can be given one of its own.
    spaces = ["--unshare-ipc", "--unshare-pid", "--unshare-net", "--unshare-uts", "--unshare-cgroup-try"]
    if not root:
        spaces += ["--unshare-user", "--uid", "65534", "--gid", "65534"]
    caps = ["--cap-drop", "ALL"]
    for capability in ("CAP_SETUID", "CAP_SETGID", "CAP_SETPCAP") if root else ():
        caps += ["--cap-add", capability]
    size = str(limits.file)
    prefix_ = [
        *(program, *spaces, "--die-with-parent", "--new-session", *caps, "--clearenv"),
        *(part for pair in ENVIRONMENT.items() for part in ("--setenv", *pair)),
        *("--proc", "/proc", "--dev", "/dev", "--size", size, "--perms", "1777", "--tmpfs", "/dev/shm"),
        *("--size", size, "--perms", "1777", "--tmpfs", "/tmp"),
        *system,  # after /tmp, where Python may be installed too
        *("--size", size, "--perms", "0777", "--tmpfs", INSIDE),
        *_fonts(),
        *("--perms", "0755", "--dir", "/marker", "--ro-bind", str(CHILD), "/marker/child.py"),
        *("--remount-ro", "/dev", "--remount-ro", "/", "--chdir", INSIDE, "--"),
    ]
    return Sandbox("bubblewrap", prefix_, script="/marker/child.py", drops=root)


def _fonts() -> list[str]:
    """Matplotlib's list of fonts, if this machine has one: making it takes seconds."""
    if find_spec("matplotlib") is None:
        return []
    cache = os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")
    folder = Path(os.environ.get("MPLCONFIGDIR", Path(cache) / "matplotlib"))
    try:
        lists = sorted(folder.glob("fontlist-*.json"))
    except OSError:
        return []
    inside = ENVIRONMENT["MPLCONFIGDIR"]
    binds = [part for path in lists for part in ("--ro-bind", str(path), f"{inside}/{path.name}")]
    return ["--perms", "0777", "--dir", inside, *binds] if binds else []


def _setpriv(_: Limits) -> Sandbox | None:
    """Inside a container that is thrown away, Gradescope's: another user, who cannot read what root keeps."""
    if os.geteuid() != 0 or shutil.which("setpriv") is None:
        return None
    return Sandbox("setpriv", drops=True, holds=("secret", "write", "environment"))


PROBE = r"""
import json, os, socket, sys
secret, target, port = sys.argv[1:4]
found = {}
def attempt(name, action):
    try:
        found[name] = bool(action())
    except BaseException:
        found[name] = False
attempt("secret", lambda: open(secret).read())
attempt("write", lambda: open(target, "w"))
attempt("environment", lambda: "LRBS_PROBE" in os.environ)
attempt("network", lambda: socket.create_connection(("127.0.0.1", int(port)), 1))
print(json.dumps(found))
"""


def fault(sandbox: Sandbox, limits: Limits) -> str:
    """What is wrong with a sandbox when it is tried; empty if a child starts in it and can do no harm."""
    with tempfile.TemporaryDirectory() as folder, socket.create_server(("127.0.0.1", 0)) as server:
        secret = Path(folder, "secret")
        secret.write_text("the key")
        # The start of the real command, with the probe in the place of the child.
        command = sandbox.command(limits, some_user())[: -3 if sandbox.name == "container" else -2]
        probe = [*command, "-c", PROBE, str(secret), str(Path(folder, "x")), str(server.getsockname()[1])]
        environment = {**sandbox.environment()}
        if sandbox.name != "setpriv":
            environment["LRBS_PROBE"] = "seen"
        try:
            done = subprocess.run(probe, env=environment, capture_output=True, timeout=60)
            found = json.loads(done.stdout)
        except (OSError, subprocess.SubprocessError) as error:
            return str(error)
        except ValueError:
            return done.stderr.decode(errors="replace").strip()[-300:] or "the probe did not start"
        open_doors = [name for name in sandbox.holds if found.get(name, True)]
        return f"it lets through: {', '.join(open_doors)}" if open_doors else ""


_USERS = iter(range(200_000 + os.getpid() % 10_000 * 1000, 2**31))


def some_user() -> int:
    """A number of a user that nobody has; a new one each time, so that its processes can be counted."""
    return next(_USERS)


def choose(limits: Limits, container: Sequence[str] = (), unsafe: bool = False) -> Sandbox:
    """The first sandbox that works when tried.

    Parameters
    ----------
    limits : Limits
    container : sequence of str
        A command that runs what follows it in a container, instead of bubblewrap.
    unsafe : bool
        Run without a sandbox; the caller has warned.

    Returns
    -------
    Sandbox

    Raises
    ------
    NoSandbox
        With the remedy, if none works.
    """
    if unsafe:
        return Sandbox("unsafe")
    candidates: list[Sandbox | None]
    if container:
        candidates = [Sandbox("container", list(container), python=("python3", "-I", "-B"))]
    else:
        candidates = [_bubblewrap(limits)]
        if Path("/autograder").is_dir():
            candidates.append(_setpriv(limits))
    faults = ""
    for candidate in filter(None, candidates):
        wrong = fault(candidate, limits)
        if not wrong:
            return candidate
        faults += f"\n  {candidate.name}: {wrong}"
    raise NoSandbox(REMEDY + (f"\nTried:{faults}" if faults else ""))
