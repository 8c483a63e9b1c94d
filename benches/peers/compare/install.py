"""Brings what is missing: Redis, the release binaries, packages of the peers."""

import json
import os
import resource
import shutil
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import servers
from processes import Failed


@dataclass
class Kit:
    """Where everything is, and which servers can be started."""

    root: Path
    bin: Path
    venv: Path
    servers: list = field(default_factory=list)

    @property
    def peers(self):
        return self.root / "benches/peers"


class Unavailable(Exception):
    """One peer can't be had; the text says why."""


def prepare(root, options, skipped):
    """The kit for the chosen servers; `skipped` gets the name and reason of each that can't be had."""
    if len(os.sched_getaffinity(0) & {0, 1}) < 2:
        raise Failed("CPU 0 and 1 are needed, one for the server and one for the load; run it where both are allowed")
    program("taskset", "util-linux")
    program("redis-server", "redis-server")
    program("cargo", None)
    raise_file_limit()
    metadata = call([root], "cargo", "metadata", "--no-deps", "--format-version", "1", "--locked")
    target = Path(json.loads(metadata)["target_directory"])
    kit = Kit(root, target / "release", target / "compare/venv")
    if not options.no_build:
        say("building the release binaries")
        packages = [f"--package={name}" for name in ("tickwire-engine", "loadgen", "tickwire-benches")]
        build = ["cargo", "build", "--quiet", "--release", "--locked", "--bins", *packages]
        if subprocess.run(build, cwd=root).returncode != 0:
            raise Failed("the release binaries can't be built; what stands above says why")
    for name in options.only:
        server = servers.ALL[name]
        try:
            {"npm": npm, "venv": venv, "": lambda *_: None}[server.needs](server, kit)
            kit.servers.append(server)
        except Unavailable as reason:
            skipped[name] = str(reason)
            say(f"{name} is skipped: {reason}")
    if not kit.servers:
        raise Failed("none of the chosen servers can be had; install what is named above, or choose others (--only)")
    return kit


def program(name, package):
    """Makes sure that a program is there, or says what to do."""
    if shutil.which(name) is None and package and shutil.which("apt-get") and os.geteuid() == 0:
        say(f"installing {package} (for {name})")
        quiet = {"stdout": subprocess.DEVNULL, "env": os.environ | {"DEBIAN_FRONTEND": "noninteractive"}}
        subprocess.run(["apt-get", "update", "-qq"], **quiet)
        subprocess.run(["apt-get", "install", "-y", "-qq", "--no-install-recommends", package], **quiet)
    if shutil.which(name) is None:
        remedy = f"install it (Debian: {package})" if package else "install it (rustup.rs)"
        raise Failed(f"{name} is missing; {remedy} and run this again")


def npm(server, kit):
    folder = kit.peers / server.name
    for tool in ("node", "npm"):
        if shutil.which(tool) is None:
            raise Unavailable(f"{tool} is missing; install Node.js 20 or later")
    installed, lock = folder / "node_modules/.package-lock.json", folder / "package-lock.json"
    if not installed.exists() or installed.stat().st_mtime < lock.stat().st_mtime:
        say(f"installing the packages of {server.name}")
        call([folder, Unavailable], "npm", "ci", "--no-audit", "--no-fund")
        installed.touch()
    if server.name == "bun" and not answers(servers.bun(kit)):
        # Where npm does not run scripts of packages, the program is still to be put in its place.
        call([folder, Unavailable], "node", "node_modules/bun/install.js")
        if not answers(servers.bun(kit)):
            raise Unavailable("Bun does not run on this machine")


def venv(server, kit):
    requirements = kit.peers / server.name / "requirements.txt"
    stamp = kit.venv / "requirements.txt"
    if stamp.exists() and stamp.read_text() == requirements.read_text():
        return
    say(f"installing the packages of {server.name}")
    try:
        call([kit.root, Unavailable], sys.executable, "-m", "venv", "--clear", str(kit.venv))
    except Unavailable as reason:
        raise Unavailable(f"{reason}; install python3-venv") from reason
    pip = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", str(requirements))
    call([kit.root, Unavailable], str(servers.python(kit)), *pip)
    shutil.copyfile(requirements, stamp)


def call(where, *command):
    """The output of a command that must succeed; `where` is its folder, and the exception when it does not."""
    folder, exception = (*where, Failed)[:2]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True)
    if done.returncode != 0:
        lines = (done.stderr or done.stdout).strip().splitlines()
        raise exception(f"{' '.join(command[:3])} fails: {lines[-1] if lines else done.returncode}")
    return done.stdout


def answers(path):
    try:
        return subprocess.run([path, "--version"], capture_output=True).returncode == 0
    except OSError:
        return False


def raise_file_limit():
    """Servers that don't do it themselves get as many descriptors as may be."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def say(text):
    print(f"compare: {text}", file=sys.stderr, flush=True)
