#!/usr/bin/python3
"""Runs one pod through a CRI socket and shows what became of it.

The whole life that kubelet would drive, in the order in which it drives it:
pull, RunPodSandbox, CreateContainer, StartContainer, status, log. Used by
quickstart.sh; works with any CRI runtime.

usage: first_pod.py SOCKET PROTOS [--image REF] [--remove]
  SOCKET    path of the runtime's Unix socket
  PROTOS    the folder api/cri/v1
  --remove  remove all pods of this runtime instead, with their containers
"""

import argparse
import glob
import importlib
import os
import subprocess
import sys
import tempfile
import time
import types

import grpc

POD = "first-light"
SCRIPT = """
echo "hello from $(hostname), process $$"
ip -4 -o addr show eth0
"""


def messages(folder):
    """What the .proto files of api/cri/v1 declare, as one namespace."""
    cri = types.SimpleNamespace(services=[])
    folder = os.path.abspath(folder)
    root = os.path.dirname(os.path.dirname(os.path.dirname(folder)))
    files = sorted(glob.glob(os.path.join(folder, "*.proto")))
    with tempfile.TemporaryDirectory() as out:
        subprocess.run(
            ["protoc", "-I", root, "--python_out", out, *files], check=True
        )
        sys.path.insert(0, out)
        for file in files:
            stem = os.path.basename(file)[: -len(".proto")]
            module = importlib.import_module(f"api.cri.v1.{stem}_pb2")
            vars(cri).update(vars(module))
            cri.services += module.DESCRIPTOR.services_by_name.values()
        sys.path.remove(out)
    return cri


class Runtime:
    """Calls by name: runtime.call("Version", VersionRequest())."""

    def __init__(self, socket, cri):
        self.cri = cri
        self.channel = grpc.insecure_channel(
            "unix://" + socket, [("grpc.default_authority", "localhost")]
        )

    def call(self, verb, request, timeout=60):
        for service in self.cri.services:
            method = service.methods_by_name.get(verb)
            if method is None:
                continue
            answer = getattr(self.cri, method.output_type.name)
            stub = self.channel.unary_unary(
                f"/{service.full_name}/{verb}",
                request_serializer=lambda m: m.SerializeToString(),
                response_deserializer=answer.FromString,
            )
            return stub(request, timeout=timeout, wait_for_ready=True)
        raise KeyError(verb)


def step(text, action):
    print(f"  {text:<34}", end="", flush=True)
    begin = time.monotonic()
    result = action()
    print(f"{(time.monotonic() - begin) * 1000:8.1f} ms", flush=True)
    return result


def remove_all(runtime, name=None):
    cri = runtime.cri
    pods = runtime.call("ListPodSandbox", cri.ListPodSandboxRequest()).items
    for pod in pods:
        if name is not None and pod.metadata.name != name:
            continue
        runtime.call(
            "StopPodSandbox", cri.StopPodSandboxRequest(pod_sandbox_id=pod.id)
        )
        runtime.call(
            "RemovePodSandbox",
            cri.RemovePodSandboxRequest(pod_sandbox_id=pod.id),
        )


def have_image(runtime, image):
    """The image's id: the local one, else pulled from its registry."""
    cri = runtime.cri
    spec = cri.ImageSpec(image=image)
    status = runtime.call("ImageStatus", cri.ImageStatusRequest(image=spec))
    if status.image.id:
        return status.image.id
    return runtime.call(
        "PullImage", cri.PullImageRequest(image=spec), timeout=600
    ).image_ref


def run_pod(runtime, image, logs):
    cri = runtime.cri
    config = cri.PodSandboxConfig(
        metadata=cri.PodSandboxMetadata(
            name=POD, uid=os.urandom(8).hex(), namespace="default"
        ),
        hostname=POD,
        log_directory=logs,
    )
    container = cri.ContainerConfig(
        metadata=cri.ContainerMetadata(name="hello"),
        image=cri.ImageSpec(image=image),
        command=["/bin/sh", "-c", SCRIPT],
        log_path="hello.log",
    )
    image_id = step(f"image {image}", lambda: have_image(runtime, image))
    container.image.image = image_id
    pod_id = step(
        "RunPodSandbox",
        lambda: runtime.call(
            "RunPodSandbox", cri.RunPodSandboxRequest(config=config)
        ).pod_sandbox_id,
    )
    container_id = step(
        "CreateContainer",
        lambda: runtime.call(
            "CreateContainer",
            cri.CreateContainerRequest(
                pod_sandbox_id=pod_id, config=container, sandbox_config=config
            ),
        ).container_id,
    )
    step(
        "StartContainer",
        lambda: runtime.call(
            "StartContainer",
            cri.StartContainerRequest(container_id=container_id),
        ),
    )
    return pod_id, container_id


def finished(runtime, container_id):
    """The container's status once it has exited."""
    cri = runtime.cri
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        status = runtime.call(
            "ContainerStatus",
            cri.ContainerStatusRequest(container_id=container_id),
        ).status
        if status.state == cri.CONTAINER_EXITED:
            return status
        time.sleep(0.02)
    raise TimeoutError(f"container {container_id} has not ended in 30 s")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("socket")
    parser.add_argument("protos")
    parser.add_argument("--image", default="busybox")
    parser.add_argument("--logs", default="/var/log/pods/first-light")
    parser.add_argument("--remove", action="store_true")
    args = parser.parse_args()
    runtime = Runtime(args.socket, messages(args.protos))
    if args.remove:
        remove_all(runtime)
        return 0
    cri = runtime.cri
    os.makedirs(args.logs, exist_ok=True)
    remove_all(runtime, POD)
    pod_id, container_id = run_pod(runtime, args.image, args.logs)
    status = step("... until it exits", lambda: finished(runtime, container_id))
    pod = runtime.call(
        "PodSandboxStatus", cri.PodSandboxStatusRequest(pod_sandbox_id=pod_id)
    ).status
    print(f"\n  address    {pod.network.ip}")
    print(f"  exit code  {status.exit_code}")
    print("  log        " + status.log_path)
    with open(status.log_path, encoding="utf-8", errors="replace") as log:
        for line in log:
            print("    " + line.rstrip("\n"))
    return 0 if status.exit_code == 0 and pod.network.ip else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except grpc.RpcError as error:
        print(f"\n{error.code().name}: {error.details()}", file=sys.stderr)
        sys.exit(1)
