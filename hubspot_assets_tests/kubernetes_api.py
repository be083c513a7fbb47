"""As much of Kubernetes' API as steps take: a job is a process of this machine."""

import json
import subprocess
import sys
import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_KUBECONFIG = """
apiVersion: v1
kind: Config
current-context: here
contexts: [{{name: here, context: {{cluster: here, user: nobody}}}}]
clusters: [{{name: here, cluster: {{server: "http://127.0.0.1:{port}"}}}}]
users: [{{name: nobody, user: {{}}}}]
"""


class Cluster:
    """Jobs by their names, whose processes have an `environment` besides what their pods say."""

    def __init__(self, environment):
        self.jobs = {}
        self._environment = environment
        self._bodies = {}

    def create(self, job):
        """Starts what the job's pod is to run."""
        (container,) = job["spec"]["template"]["spec"]["containers"]
        program, *arguments = container["args"]
        own = {each["name"]: each["value"] for each in container.get("env", []) if "value" in each}
        name = job["metadata"]["name"]
        self._bodies[name] = job
        self.jobs[name] = subprocess.Popen(
            [str(Path(sys.executable).with_name(program)), *arguments],
            env=self._environment | own,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        return job

    def status(self, name):
        """The job, and whether its process has ended well."""
        ended = self.jobs[name].poll()
        counted = "active" if ended is None else "failed" if ended else "succeeded"
        return self._bodies[name] | {"status": {counted: 1}}


@contextmanager
def cluster_of(folder, environment):
    """A cluster for the block, and the file which says where it is."""
    cluster = Cluster(environment)

    class Api(BaseHTTPRequestHandler):
        def do_POST(self):
            body = self.rfile.read(int(self.headers["Content-Length"]))
            self._answer(201, cluster.create(json.loads(body)))

        def do_GET(self):
            *_, name, _ = self.path.split("/")  # .../jobs/<name>/status
            self._answer(200, cluster.status(name))

        def _answer(self, status, content):
            body = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_):
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    config = folder / "kubeconfig"
    config.write_text(_KUBECONFIG.format(port=server.server_port))
    try:
        yield cluster, config
    finally:
        for process in cluster.jobs.values():
            process.kill()
            process.wait()
        server.shutdown()
        server.server_close()
