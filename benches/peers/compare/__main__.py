"""Options, the order of runs, and what comes out. `scripts/compare` starts this."""

import argparse
import datetime
import os
import signal
import sys
from pathlib import Path

import install
import report
import runs
import servers
import work
from processes import Failed, Processes

EPILOG = """\
Exit code 0: measured; 1: something needed is missing, or --check found a server that does not deliver everything;
2: wrong use; 130: interrupted."""


class Parser(argparse.ArgumentParser):
    def error(self, message):
        self.exit(2, f"compare: {message}; scripts/compare --help lists the options\n")


def chosen(kind, names):
    """A parser of a comma list out of `names`."""

    def parse(text):
        wanted = [name.strip() for name in text.split(",") if name.strip()]
        unknown = [name for name in wanted if name not in names]
        if unknown or not wanted:
            what = f"{', '.join(unknown) or 'nothing'} is no {kind}"
            raise argparse.ArgumentTypeError(f"{what}; choose from {','.join(names)}")
        return [name for name in names if name in wanted]

    return parse


def other_engine(text):
    """NAME=PATH: another build of the engine, a server like those that are known."""
    name, _, path = text.partition("=")
    program = Path(path)
    if not name or not os.access(program, os.X_OK):
        raise argparse.ArgumentTypeError(f"{text} is no NAME=PATH of a program; give one, such as pgo=target/pgo/release/tickwire")
    return servers.another_engine(name, program.resolve())


def at_least_one(text):
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text} is no whole number above 0; give one, such as 3")
    return int(text)


def arguments():
    parser = Parser(
        prog="scripts/compare",
        description="Compares the engine with bare floors and with other servers of the same wire.",
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    all_servers, all_work = list(servers.ALL), list(work.ALL)
    usual = [name for name, entry in work.ALL.items() if not entry.is_extra]
    parser.add_argument("--rounds", type=at_least_one, default=3, help="of all servers [3]")
    parser.add_argument("--seconds", type=at_least_one, default=10, help="measured in each run [10]")
    parser.add_argument("--connections", type=at_least_one, default=1000, help="clients [1000]")
    parser.add_argument("--idle-connections", type=at_least_one, default=5000, help="clients of the work idle [5000]")
    parser.add_argument("--only", type=chosen("server", all_servers), default=all_servers, metavar="A,B,…")
    parser.add_argument("--work", type=chosen("work", all_work), default=usual, metavar="A,B,…", help=f"[{','.join(usual)}]")
    parser.add_argument(
        "--engine", type=other_engine, action="append", default=[], metavar="NAME=PATH", help="another build of the engine too"
    )
    parser.add_argument("--output", type=Path, help="where to, without ending [perf/results/DATE-compare]")
    parser.add_argument("--no-build", action="store_true", help="take the release binaries as they are")
    parser.add_argument("--check", action="store_true", help="only try whether each server delivers everything")
    parser.add_argument("--list", action="store_true", help="list servers and work, and end")
    options = parser.parse_args()
    for engine in options.engine:
        servers.ALL[engine.name] = engine
        options.only.append(engine.name)
    return options


def main():
    options = arguments()
    if options.list:
        for title, entries in (("servers", servers.ALL), ("work", work.ALL)):
            print(title)
            for name, entry in entries.items():
                print(f"  {name:<18} {entry.about}")
        return 0
    # A terminated script ends what it started, as an interrupted one does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    root = Path(__file__).resolve().parents[3]
    results = report.Results(options, root)
    with Processes(root / "perf/out/compare") as processes:
        try:
            kit = install.prepare(root, options, results.skipped)
            results.versions = {server.name: servers.versions(server, kit) for server in kit.servers}
            # The script's own work must not stand in the way of the server's.
            os.sched_setaffinity(0, {runs.LOAD_CPU})
            redis_url = processes.start_redis()
            if options.check:
                return check(kit, processes, redis_url, results)
            measure(kit, processes, redis_url, options, results)
        except KeyboardInterrupt:
            print("\ninterrupted; measured so far:", file=sys.stderr)
            print(results.text())
            return 130
    print(results.text())
    today = datetime.date.today().isoformat()
    for path in results.write(options.output or root / f"perf/results/{today}-compare"):
        print(path)
    return 0


def measure(kit, processes, redis_url, options, results):
    for index in range(options.rounds):
        # Every other round backwards, so that a machine that gets slower favours nobody.
        order = kit.servers if index % 2 == 0 else kit.servers[::-1]
        for task in (work.ALL[name] for name in options.work):
            for server in filter(task.takes, order):
                run = runs.run(task, server, kit, processes, redis_url, options)
                results.add(run)
                print(f"round {index + 1}  {run.line()}", file=sys.stderr, flush=True)


def check(kit, processes, redis_url, results):
    """Whether each server delivers everything; the ones that could not be installed do not."""
    failed = list(results.skipped)
    for server in filter(work.CHECK.takes, kit.servers):
        run = runs.run(work.CHECK, server, kit, processes, redis_url, work.CHECK_OPTIONS)
        is_good = run.exit_code == 0 and run.delivered_percent == 100
        print(f"{'good ' if is_good else 'BAD  '} {run.line()}", flush=True)
        if not is_good:
            failed.append(server.name)
    if failed:
        print(f"not good: {', '.join(failed)}; logs are in {processes.directory}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except Failed as failure:
        print(f"compare: {failure}", file=sys.stderr)
        sys.exit(1)
