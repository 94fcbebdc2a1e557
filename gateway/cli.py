"""The command line: `gateway serve`, `check`, `import`, `schema`, `demo`, `--version`."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Sequence

import msgspec
import uvloop

try:
    import gateway._speedups  # noqa: F401 - to fail here, and not in the middle of another import
except ImportError as error:  # a build is required that is not there
    sys.exit(f"gateway: {error}")

from gateway import __version__, app
from gateway.app import SPEEDUPS
from gateway.config import ConfigError, Found, cpus, find_config, importers, schema
from gateway.config.importers import FORMATS
from gateway.config.json_schema import json_schema
from gateway.observe import log
from gateway.server.listener import ListenError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the result is the process's exit code: 0, 1 for what is wrong, 2 for misuse."""
    options = _parser().parse_args(arguments)
    try:
        command = _COMMANDS[options.command]
        return command(options)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return 1
    except ListenError as error:
        print(f"gateway: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130  # what a shell makes of SIGINT
    except BrokenPipeError:
        # Whoever read the output has left; the interpreter would complain when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gateway", description="An OpenAI-compatible gateway that keeps answering when providers fail."
    )
    parser.add_argument("--version", action="version", version=f"gateway {__version__} ({SPEEDUPS})")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    serve = commands.add_parser("serve", help="run the gateway")
    serve.add_argument(
        "--config",
        metavar="FILE",
        help="default: the text in $GATEWAY_CONFIG_YAML, $GATEWAY_CONFIG, ./gateway.yaml, or a mock provider",
    )
    serve.add_argument("--host", help="address to listen on, instead of server.host")
    serve.add_argument(
        "--port", type=_port, help="port to listen on, instead of server.port; 0 = any free one"
    )
    serve.add_argument(
        "--workers", type=_workers, help="processes, or auto = one a core; instead of server.workers"
    )
    check = commands.add_parser("check", help="tell everything that is wrong with a configuration")
    check.add_argument("--config", metavar="FILE", required=True)
    other = commands.add_parser(
        "import", help="convert another gateway's configuration, and say what could not be converted"
    )
    other.add_argument("file", metavar="FILE", help="LiteLLM's config.yaml, or a config of Portkey's (JSON)")
    other.add_argument(
        "--from", dest="kind", choices=sorted(FORMATS), help="default: what the file looks like"
    )
    commands.add_parser("schema", help="print the JSON Schema of the configuration, for editors")
    commands.add_parser(
        "demo", help="watch retries, a breaker and a fallback at work; needs no key and no network"
    )
    return parser


def _serve(options: argparse.Namespace) -> int:
    def load() -> Found:
        found = find_config(options.config, os.environ, os.getcwd())
        return found._replace(config=_overridden(found.config, options))

    found = load()
    log.set_up(found.config.logging.level, found.config.logging.format)
    return app.run(found.config, found.source, lambda: load().config)


def _overridden(config: schema.Config, options: argparse.Namespace) -> schema.Config:
    """`config` with what the command line says instead."""
    changes = {
        name: value for name in ("host", "port", "workers") if (value := getattr(options, name)) is not None
    }
    if "host" in changes or "port" in changes:
        changes["unix"] = None
    return msgspec.structs.replace(config, server=msgspec.structs.replace(config.server, **changes))


def _check(options: argparse.Namespace) -> int:
    found = find_config(options.config, os.environ, os.getcwd())
    app.check(found.config, found.source)
    print(
        f"{found.source}: good ({len(found.config.providers)} providers, {len(found.config.models)} models)"
    )
    return 0


def _import(options: argparse.Namespace) -> int:
    imported = importers.convert(importers.read(options.file), options.file, options.kind)
    print(imported.text, end="")
    for note in imported.notes:
        print(f"{options.file}:{note.line}: {note.path}: {note.message}", file=sys.stderr)
    return 0


def _schema(_: argparse.Namespace) -> int:
    print(json.dumps(json_schema(), indent=2))
    return 0


def _demo(options: argparse.Namespace) -> int:
    from gateway import demo

    return uvloop.run(demo.run())


def _port(text: str) -> int:
    return _whole(text, 0, 65535, "a port (use 0 to 65535)")


def _workers(text: str) -> int:
    if text == "auto":
        return cpus.usable()
    return _whole(text, 1, 1024, "a number of workers (use 1 to 1024, or auto)")


def _whole(text: str, low: int, high: int, what: str) -> int:
    try:
        number = int(text)
    except ValueError:
        number = low - 1
    if not low <= number <= high:
        raise argparse.ArgumentTypeError(f"{text} is not {what}")
    return number


_COMMANDS = {"serve": _serve, "check": _check, "import": _import, "schema": _schema, "demo": _demo}
