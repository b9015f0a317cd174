"""The node's pods beside docker's containers: two doors of one house.

The pod is made through the CRI's socket by a client of a few lines (that of
deploy/first_pod.py). Of berthd alone: dockerd has one door only.
"""
import json
import os
import sys
import tempfile

from harness import check, equal, eventually

ROOT = os.path.join(os.path.dirname(__file__), "..", "..")
SOCKET = "/run/berth/cri.sock"
LABELS = {"io.kubernetes.pod.name": "web", "io.kubernetes.pod.namespace": "ns",
          "io.kubernetes.pod.uid": "uid-1",
          "io.kubernetes.container.name": "main"}
NAME = "k8s_main_web_ns_uid-1_2"


class Kubelet:
    """One pod with one container, and calls by name."""

    def __init__(self, folder):
        sys.path.insert(0, os.path.join(ROOT, "deploy"))
        import first_pod
        import grpc
        self.errors = grpc
        self.cri = first_pod.messages(os.path.join(ROOT, "api/cri/v1"))
        self.runtime = first_pod.Runtime(SOCKET, self.cri)
        self.logs = tempfile.mkdtemp(dir=folder)

    def call(self, verb, **fields):
        service = next(s for s in self.cri.services
                       if verb in s.methods_by_name)
        kind = service.methods_by_name[verb].input_type.name
        return self.runtime.call(verb, getattr(self.cri, kind)(**fields))

    def code(self, verb, **fields):
        """The code's name with which the call fails."""
        try:
            self.call(verb, **fields)
            return "OK"
        except self.errors.RpcError as error:
            return error.code().name

    def run(self, image, *command):
        cri = self.cri
        pod = cri.PodSandboxConfig(
            metadata=cri.PodSandboxMetadata(name="web", namespace="ns",
                                            uid="uid-1"),
            hostname="web", log_directory=self.logs)
        self.pod = self.call("RunPodSandbox", config=pod).pod_sandbox_id
        container = cri.ContainerConfig(
            metadata=cri.ContainerMetadata(name="main", attempt=2),
            image=cri.ImageSpec(image=image), command=list(command),
            log_path="main.log", labels=LABELS)
        self.container = self.call(
            "CreateContainer", pod_sandbox_id=self.pod, config=container,
            sandbox_config=pod).container_id
        self.call("StartContainer", container_id=self.container)

    def remove(self):
        self.call("StopPodSandbox", pod_sandbox_id=self.pod)
        self.call("RemovePodSandbox", pod_sandbox_id=self.pod)


def has_cri(docker):
    return docker.engine == "berthd" and os.path.exists(SOCKET)


def with_pod(case):
    """A case that is given the pod's kubelet, and its pod removed after."""
    def outer(docker):
        if docker.engine != "berthd":
            return "dockerd has no pods"
        if not os.path.exists(SOCKET):
            return "this berthd was built without the CRI door"
        docker("pull", "busybox")
        kubelet = Kubelet(docker.control.folder)
        kubelet.run("busybox", "sh", "-c",
                    "echo from the pod; exec sleep 1000")
        try:
            return case(docker, kubelet)
        finally:
            kubelet.remove()
    outer.__name__, outer.__module__ = case.__name__, case.__module__
    return outer


@with_pod
def a_pod_is_seen_by_its_kubernetes_name(docker, kubelet):
    row = docker("ps", "--no-trunc", "--format",
                 "{{.ID}} {{.Names}} {{.Image}} {{.State}}").out.strip()
    equal(row, f"{kubelet.container} {NAME} busybox running")
    data = json.loads(docker("inspect", NAME).out)[0]
    equal(data["Name"], "/" + NAME)
    equal(data["Config"]["Labels"], LABELS)
    equal(data["State"]["Running"], True)
    equal(data["Path"], "sh")
    label = "label=io.kubernetes.pod.name=web"
    equal(docker("ps", "-q", "--no-trunc", "-f", label).out.strip(),
          kubelet.container)
    check("sleep 1000" in docker("top", NAME).out, "top")


@with_pod
def a_pods_log_and_shell_are_open(docker, kubelet):
    eventually("the log",
               lambda: docker("logs", NAME).out == "from the pod\n")
    stamped = docker("logs", "-t", "--tail", "1", kubelet.container[:12]).out
    check(stamped.endswith("Z from the pod\n"), stamped)
    equal(docker("exec", NAME, "hostname").out, "web\n")
    docker("exec", NAME, "sh", "-c", "exit 6", code=6)


@with_pod
def a_pod_is_the_kubelets_to_change(docker, kubelet):
    for verb in (("rm", "-f"), ("rm",), ("stop",), ("kill",), ("restart",),
                 ("start",), ("pause",), ("rename",), ("update", "--restart",
                                                       "always")):
        more = ["other"] if verb[0] == "rename" else []
        result = docker(*verb, NAME, *more, code=1)
        check("belongs to a Kubernetes pod" in result.err, result)
    equal(kubelet.call("ContainerStatus", container_id=kubelet.container)
          .status.state, kubelet.cri.CONTAINER_RUNNING)
    docker("container", "prune", "-f")
    result = docker("rmi", "busybox", code=1)
    check("is using its referenced image" in result.err, result.err)


@with_pod
def the_cri_never_sees_dockers_containers(docker, kubelet):
    cri = kubelet.cri
    name = docker.start("--name", "mine", "busybox", "sleep", "1000")
    sandbox = docker.inspect(name, "{{.NetworkSettings.SandboxID}}")
    def ids(items):
        return [item.id for item in items]
    equal(ids(kubelet.call("ListContainers").containers), [kubelet.container])
    equal(ids(kubelet.call("ListPodSandbox").items), [kubelet.pod])
    equal([s.attributes.id for s in kubelet.call("ListContainerStats").stats],
          [kubelet.container])
    equal([s.attributes.id for s in kubelet.call("ListPodSandboxStats").stats],
          [kubelet.pod])
    for text in (name, name[:12]):
        for verb in ("ContainerStatus", "ContainerStats", "StartContainer",
                     "ReopenContainerLog", "UpdateContainerResources"):
            equal(kubelet.code(verb, container_id=text), "NOT_FOUND", verb)
        equal(kubelet.code("ExecSync", container_id=text, cmd=["true"]),
              "NOT_FOUND")
        # Both are done when there is nothing to do, says the CRI.
        kubelet.call("StopContainer", container_id=text)
        kubelet.call("RemoveContainer", container_id=text)
    for text in (sandbox, sandbox[:12]):
        for verb in ("PodSandboxStatus", "PodSandboxStats"):
            equal(kubelet.code(verb, pod_sandbox_id=text), "NOT_FOUND", verb)
        equal(kubelet.code("CreateContainer", pod_sandbox_id=text,
                           config=cri.ContainerConfig(
                               metadata=cri.ContainerMetadata(name="x"),
                               image=cri.ImageSpec(image="busybox"))),
              "NOT_FOUND")
        kubelet.call("StopPodSandbox", pod_sandbox_id=text)
        kubelet.call("RemovePodSandbox", pod_sandbox_id=text)
    equal(docker("exec", "mine", "echo", "alive").out, "alive\n")


@with_pod
def a_container_outlives_its_image(docker, kubelet):
    # kubelet frees the disk of images that no pod of its own uses.
    image = docker.registry + "/test/config:latest"
    docker("pull", image)
    docker("create", "--name", "made", image, "x")
    kubelet.call("RemoveImage", image=kubelet.cri.ImageSpec(image=image))
    check("args=x\n" in docker("start", "-a", "made").out, "it does not start")


@with_pod
def images_are_shared(docker, kubelet):
    cri = kubelet.cri
    image = docker.registry + "/test/config:latest"
    spec = cri.ImageSpec(image=image)
    docker("rmi", "-f", image, code=None)
    kubelet.call("PullImage", image=spec)
    short = docker("images", "--format", "{{.Repository}}:{{.Tag}}").out.split()
    check(image in short, short)
    docker("rmi", image)
    check(not kubelet.call("ImageStatus", image=spec).image.id, "still there")
    docker("pull", image)
    equal(kubelet.call("ImageStatus", image=spec).image.id,
          docker("image", "inspect", "-f", "{{.Id}}", image).out.strip())


CASES = [value for name, value in list(globals().items())
         if callable(value) and getattr(value, "__module__", "") == __name__
         and name not in ("Kubelet", "has_cri", "with_pod")]
