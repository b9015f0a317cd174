"""What is not supported says so, by name: nothing is passed over in silence.

Walks fields.tsv, what a create may ask for, and routes.tsv, Docker's API.
docs/DOCKER.md tells the reasons. The verdicts are berthd's.
"""
import json
import os
import urllib.parse

from harness import equal

HERE = os.path.dirname(os.path.abspath(__file__))


def request(docker, method, path, body=None):
    """Status and text of an answer."""
    status, _, data = docker.http(method, path, json.dumps(body or {}),
                                  {"Content-Type": "application/json"}, "1.57")
    return status, data.decode(errors="replace")


def rows(name):
    with open(os.path.join(HERE, name)) as file:
        return [line.rstrip("\n").split("\t") for line in file
                if not line.startswith("#")]


def create_fields(docker, spell):
    """What is wrong with the answers to fields.tsv, each member's name written
    as `spell` has it."""
    docker("pull", "busybox")
    wrong = []
    for name, body, verdict in rows("fields.tsv"):
        body = {"Image": "busybox", "Cmd": ["true"], **json.loads(body)}
        status, text = request(docker, "POST", "/containers/create",
                               renamed(body, spell))
        verdict, _, word = verdict.partition(" ")
        word = word or name.split(" ")[0].split(".")[1]
        if status == 201:
            docker("rm", "-v", json.loads(text)["Id"])
        good = (status == 201 if verdict == "done" else
                status in (400, 404, 501) and spell(word) in spell(text))
        if not good:
            wrong.append(f"{name} wants {verdict} ({word}): {status} {text}")
    return wrong


def renamed(value, spell):
    if isinstance(value, list):
        return [renamed(one, spell) for one in value]
    if isinstance(value, dict):
        return {spell(name): renamed(one, spell)
                for name, one in value.items()}
    return value


def every_field_of_create_is_done_or_refused(docker):
    if docker.engine != "berthd":
        return "the verdicts are berthd's"
    equal(create_fields(docker, str), [])
    return None


def every_field_of_create_may_be_written_in_any_case(docker):
    if docker.engine != "berthd":
        return "the verdicts are berthd's"
    equal(create_fields(docker, str.lower), [])
    return None


def every_route_is_done_or_refused(docker):
    if docker.engine != "berthd":
        return "the verdicts are berthd's"
    wrong = []
    for method, path, verdict in rows("routes.tsv"):
        if path == "/events":
            path += "?until=1"
        path = path.replace("{", "no-").replace("}", "")
        status, text = request(docker, method, path)
        bare = path.partition("?")[0]
        if verdict == "done":
            good = status not in (405, 501) and "page not found" not in text
        elif verdict == "swarm":
            good = status == 503 and "This node is not " in text
        elif method == "HEAD":
            good = status == 501
        else:
            query = urllib.parse.urlsplit(path).query
            good = status == 501 and (bare in text or query)
        if not good:
            wrong.append(f"{method} {path} wants {verdict}: {status} {text}")
    equal(wrong, [])
    return None


CASES = [every_field_of_create_is_done_or_refused,
         every_field_of_create_may_be_written_in_any_case,
         every_route_is_done_or_refused]
