"""A connector that speaks Airbyte's protocol and misbehaves as its configuration says.

Its stream ``things`` has ``count`` records, ids rising from 1, and a STATE after every ``every``;
``also`` is a second stream of the same form. With ``states`` (GLOBAL, LEGACY, OPAQUE) the two are
one log, whose events alternate and whose position is the state that they share. ``fault`` happens
after ``after`` records, as often as ``times`` says (the file ``memory`` counts).
"""

import json
import os
import signal
import sys
import time
from pathlib import Path

COLUMNS = {
    "id": {"type": "integer"},
    "name": {"type": ["null", "string"]},
    "price": {"type": "number"},
    "at": {"type": "string", "format": "date-time"},
    "day": {"type": ["string", "null"], "format": "date"},
    "is_new": {"type": "boolean"},
    "tags": {"type": "array"},
}


def say(kind, **body):
    sys.stdout.write(json.dumps({"type": kind, kind.lower(): body}, separators=(",", ":")) + "\n")


def log(message):
    say("LOG", level="INFO", message=message)


def record(number, config):
    data = {
        "id": number, "name": f"thing {number}", "price": number / 4,
        "at": "2026-01-02T03:04:05Z", "day": "2026-01-02", "is_new": number % 2 == 0,
        "tags": [number, {"a": None}],
    }  # fmt: skip
    return data | config.get("replace", {}).get(str(number), {})


def fail(fault, config):
    if fault == "crash":
        sys.stdout.flush()
        os.kill(os.getpid(), signal.SIGKILL)
    if fault == "exit":
        sys.stderr.write(f"cannot log in with {config['password']}\n")
        sys.exit(3)
    if fault == "hang":
        sys.stdout.flush()
        time.sleep(600)
    if fault in {"transient_error", "config_error"}:
        say("TRACE", type="ERROR", emitted_at=0, error={
            "message": f"{fault} with {config['password']}", "failure_type": fault,
            "stream_descriptor": {"name": "things"},
        })  # fmt: skip
        sys.exit(1)
    if fault == "cut":
        sys.stdout.write('{"type":"RECORD","record":{"stream":"things","data":{"id":1,"na')
        sys.stdout.flush()
        sys.exit(1)
    if fault == "garbage":
        sys.stdout.write("Traceback, or a progress bar\n[1, 2]\n\x00\x01\n{broken\n\n")


def due(config):
    memory = Path(config["memory"])
    seen = int(memory.read_text()) if memory.exists() else 0
    memory.write_text(str(seen + 1))
    return seen < config.get("times", 1)


def read(config, catalog, states):
    known = {
        state["stream"]["stream_descriptor"]["name"]: state["stream"]["stream_state"]
        for state in states
    }
    for entry in catalog["streams"]:
        name = entry["stream"]["name"]
        incremental = entry["sync_mode"] == "incremental"
        begin = known.get(name, {}).get("id", 0) if incremental else 0
        say("TRACE", type="STREAM_STATUS", emitted_at=0, stream_status={
            "stream_descriptor": {"name": name}, "status": "STARTED",
        })  # fmt: skip
        for number in range(begin + 1, config["count"] + 1):
            if number == config.get("after", -1) + 1 and name == "things" and due(config):
                fail(config["fault"], config)
            body = {"stream": name, "data": record(number, config), "emitted_at": 1}
            if config.get("data_last"):
                body = {"emitted_at": number, "stream": name, "data": body["data"]}
            say("RECORD", **(body | config.get("beside", {}).get(str(number), {})))
            if number % config.get("every", 10**9) == 0:
                say("STATE", type="STREAM", stream={
                    "stream_descriptor": {"name": name}, "stream_state": {"id": number},
                })  # fmt: skip
                time.sleep(config.get("pause_s", 0))
        say("STATE", type="STREAM", stream={
            "stream_descriptor": {"name": name}, "stream_state": {"id": config["count"]},
        })  # fmt: skip
        say("TRACE", type="STREAM_STATUS", emitted_at=0, stream_status={
            "stream_descriptor": {"name": name}, "status": "COMPLETE",
        })  # fmt: skip


def shared_state(kind, position, ids):
    if kind == "GLOBAL":
        states = [
            {"stream_descriptor": {"name": name}, "stream_state": {"id": ids[name]}}
            for name in ids
        ]  # fmt: skip
        return {"type": "GLOBAL", "global": {
            "shared_state": {"position": position}, "stream_states": states,
        }}  # fmt: skip
    if kind == "LEGACY":
        return {"data": {name: {"id": ids[name]} for name in ids}}
    return {"type": "LEGACY", "data": {"position": position}}


def begin_of_log(kind, state):
    """Return the position of the log that was reached, and the streams that know it."""
    if not state:
        return 0, set()
    if kind == "GLOBAL":
        [message] = state
        known = {s["stream_descriptor"]["name"] for s in message["global"]["stream_states"]}
        return message["global"]["shared_state"]["position"], known
    if kind == "OPAQUE":
        return state["position"], {"things", "also"}
    ids = {"things": 0, "also": 0} | {name: part["id"] for name, part in state.items()}
    return max(2 * ids["things"] - 1, 2 * ids["also"], 0), set(state)


def read_log(config, catalog, state):
    kind = config["states"]
    names = [entry["stream"]["name"] for entry in catalog["streams"]]
    begin, known = begin_of_log(kind, state)
    ids = {}
    for position in range(1, 2 * config["count"] + 1):
        name, number = ("also", "things")[position % 2], (position + 1) // 2
        if name not in names or (position <= begin and name in known):
            continue
        if number == config.get("after", -1) + 1 and name == "things" and due(config):
            fail(config["fault"], config)
        say("RECORD", stream=name, data=record(number, config), emitted_at=1)
        ids[name] = number
        if position % config.get("every", 10**9) == 0:
            say("STATE", **shared_state(kind, max(position, begin), ids))
            time.sleep(config.get("pause_s", 0))
    last = dict.fromkeys(names, config["count"])
    say("STATE", **shared_state(kind, 2 * config["count"], last))
    for name in names:
        say("TRACE", type="STREAM_STATUS", emitted_at=0, stream_status={
            "stream_descriptor": {"name": name}, "status": "COMPLETE",
        })  # fmt: skip


def main():
    verb, *rest = sys.argv[1:]
    given = {
        option: json.loads(Path(path).read_text())
        for option, path in zip(rest[::2], rest[1::2], strict=True)
    }
    if verb == "spec":
        log("started")
        password = {"type": "string", "airbyte_secret": True}
        say("SPEC", connectionSpecification={"properties": {"password": password}})
        return
    config = given["--config"]
    if verb == "discover":
        with Path(config["memory"] + ".discovered").open("a") as file:
            file.write("x")
        say("CATALOG", streams=[
            {
                "name": name, "supported_sync_modes": ["full_refresh", "incremental"],
                "json_schema": {"type": "object", "properties": config.get("columns", COLUMNS)},
            }
            for name in ("things", "also")
        ])  # fmt: skip
        return
    log(f"logging in with {config['password']}")
    if "states" in config:
        with Path(config["memory"] + ".states").open("a") as file:
            file.write(json.dumps(given.get("--state")) + "\n")
        read_log(config, given["--catalog"], given.get("--state"))
        return
    read(config, given["--catalog"], given.get("--state", []))


if __name__ == "__main__":
    main()
