"""What the files of packages name exists, agrees, and parses. `./dev check package` runs it.

Arguments: the folder of the repository, and the binary pgasync, whose options the files use.
"""

import glob
import json
import pathlib
import re
import shlex
import subprocess
import sys
import tomllib

import yaml

root = pathlib.Path(sys.argv[1])
binary = sys.argv[2]
complaints = []


def check(holds, complaint):
    if not holds:
        complaints.append(complaint)


def toml(path):
    return tomllib.loads((root / path).read_text())


class Loader(yaml.SafeLoader):
    """YAML in which a key that stands twice is an error."""

    def construct_mapping(self, node, deep=False):
        keys = [key.value for key, _ in node.value if key.tag != "tag:yaml.org,2002:merge"]
        for key in keys:
            if keys.count(key) > 1:
                raise yaml.constructor.ConstructorError(None, None, f"the key {key} stands twice", node.start_mark)
        return super().construct_mapping(node, deep)


def documents(path):
    try:
        return list(yaml.load_all((root / path).read_text(), Loader))
    except yaml.YAMLError as error:
        complaints.append(f"{path}: {error}")
        return []


def check_arguments(where, arguments):
    """The arguments of pgasync: a command, and options that it has."""
    command, options = arguments[0], [word.split("=")[0] for word in arguments[1:] if word.startswith("--")]
    subcommand = [word for word in arguments[1:2] if command == "config"]
    help_text = subprocess.run([binary, command, *subcommand, "--help"], capture_output=True, text=True)
    check(help_text.returncode == 0, f"{where}: pgasync has no command {command}")
    known = set(re.findall(r"--[a-z][a-z-]*", help_text.stdout))
    for option in options:
        check(option in known, f"{where}: pgasync {command} has no option {option}")


workspace = toml("Cargo.toml")["workspace"]
version = workspace["package"]["version"]


def check_crates():
    for name, dependency in workspace["dependencies"].items():
        if isinstance(dependency, dict) and "path" in dependency:
            check(dependency.get("version") == version, f"Cargo.toml: {name} has not the version {version}")
    for member in workspace["members"]:
        package = toml(f"{member}/Cargo.toml")["package"]
        if package.get("publish") is False:
            continue
        check(len(workspace["package"]["keywords"]) <= 5, "Cargo.toml: more than five keywords")
        for key in ["description", "readme", "keywords", "categories", "license", "rust-version"]:
            check(key in package, f"{member}/Cargo.toml has no {key}")
        for name in [package.get("readme", "README.md"), "LICENSE-MIT", "LICENSE-APACHE"]:
            check((root / member / name).is_file(), f"{member} has no {name}")
        for name in ["LICENSE-MIT", "LICENSE-APACHE"]:
            same = (root / member / name).resolve() == (root / name).resolve()
            check(same, f"{member}/{name} is not the {name} of the repository")


def check_pgxn():
    meta = json.loads((root / "META.json").read_text())
    for key in ["name", "abstract", "version", "maintainer", "license", "provides", "meta-spec"]:
        check(meta.get(key), f"META.json has no {key}")
    check(meta["meta-spec"].get("version") == "1.0.0", "META.json: meta-spec has not the version 1.0.0")
    check(meta["version"] == version, f"META.json has not the version {version}")
    check("url" not in meta["meta-spec"], "META.json names a host")
    shipped = {part["file"] for part in meta["provides"].values()}
    for name, part in meta["provides"].items():
        check(part.get("version") == version, f"META.json: {name} has not the version {version}")
        for key in ["file", "docfile"]:
            check((root / part[key]).is_file(), f"META.json: there is no {part[key]}")
    for path in (root / "dist").glob("*.sql"):
        check(f"dist/{path.name}" in shipped, f"META.json: dist/{path.name} is left out")


def check_debian():
    deb = toml("crates/cli/Cargo.toml")["package"]["metadata"]["deb"]
    base = root / "crates/cli"
    for source, _, mode in deb["assets"]:
        check(re.fullmatch(r"[0-7]{3}", mode), f"deb: the mode {mode} of {source}")
        built = source.startswith("target/release/")
        check(built or glob.glob(str(base / source)), f"deb: there is no {source}")
    units = deb["systemd-units"]
    unit = base / units["unit-scripts"] / f"{units['unit-name']}.service"
    check(unit.is_file(), f"deb: there is no {unit}")
    check((base / deb["license-file"][0]).is_file(), "deb: there is no license file")
    for name in ["postinst", "postrm"]:
        script = base / deb["maintainer-scripts"] / name
        check(script.is_file() and "#DEBHELPER#" in script.read_text(), f"deb: {name} takes no lines of cargo-deb")
    for path in [unit, root / "deploy/debian/packaged.conf"]:
        starts = re.findall(r"^ExecStart=(\S.*)$", path.read_text(), re.M) if path.is_file() else []
        check(not path.is_file() or starts, f"{path.name} starts nothing")
        for start in starts:
            check_arguments(path.name, shlex.split(start)[1:])


def check_docker():
    folder = root / "deploy/docker"
    lines = (folder / "Dockerfile").read_text().replace("\\\n", " ").splitlines()
    sent = [line[1:] for line in (root / ".dockerignore").read_text().splitlines() if line.startswith("!")]
    for line in lines:
        words = line.split()
        if words[:1] == ["COPY"] and not words[1].startswith("--from") and words[1] != ".":
            source = words[1]
            built = source.startswith("target/")
            check(built or (root / source).exists(), f"Dockerfile: there is no {source}")
            held = any(source == name or source.startswith(name + "/") for name in sent)
            check(held, f".dockerignore leaves out {source}, which the Dockerfile copies")
        if words[:1] == ["CMD"]:
            check_arguments("Dockerfile", json.loads(line.removeprefix("CMD").strip()))
    for name in ["Cargo.toml", "Cargo.lock", *{member.split("/")[0] for member in workspace["members"]}]:
        check(name in sent, f".dockerignore leaves out {name}, which the build needs")
    check(any(line.startswith("USER ") and line.split()[1] not in ("0", "root") for line in lines), "Dockerfile: root")
    check(any(line.startswith("HEALTHCHECK") for line in lines), "Dockerfile: no health check")
    rust = re.search(r"^ARG RUST=rust:([0-9.]+)", "\n".join(lines), re.M)
    check(rust and rust[1] == workspace["package"]["rust-version"], "Dockerfile: another Rust than rust-version")


def check_compose():
    name = "deploy/docker/compose.yaml"
    for compose in documents(name):
        services = compose["services"]
        for service, it in services.items():
            check(it.get("image"), f"{name}: {service} has no image")
            for other in it.get("depends_on", {}):
                check(other in services, f"{name}: {service} waits for {other}, which does not exist")
            if it.get("image") == "pgasync":
                check_arguments(f"{name}: {service}", it.get("command", ["run"]))
                build = it["build"]
                context = root / "deploy/docker" / build["context"]
                check((context / build["dockerfile"]).is_file(), f"{name}: there is no {build['dockerfile']}")
            for volume in it.get("volumes", []):
                source = volume.split(":")[0]
                here = (root / "deploy/docker" / source).exists() if "/" in source else source in compose["volumes"]
                check(here, f"{name}: {service} mounts {source}, which does not exist")
        secrets = set(re.findall(r"\$\{ENV:(\w+)\}", (root / "deploy/docker/setup/pgasync.toml").read_text()))
        given = {key for key in services["runner"]["environment"] if key.startswith("PGASYNC_SECRET_")}
        check(secrets == given, f"{name}: the runner has the secrets {sorted(given)}, the targets need {sorted(secrets)}")


def pod_of(it):
    return it.get("spec", {}).get("template")


def check_kubernetes():
    everything = []
    for path in sorted((root / "deploy/kubernetes").glob("*.yaml")):
        everything += [(f"deploy/kubernetes/{path.name}", it) for it in documents(path.relative_to(root))]
    pods = [pod_of(it) for _, it in everything if pod_of(it)]
    check(len(pods) >= 2, "deploy/kubernetes: no pods")
    for where, it in everything:
        for key in ["apiVersion", "kind"]:
            check(it.get(key), f"{where}: no {key}")
        check(it.get("metadata", {}).get("name"), f"{where}: no name")
        selector = it["spec"].get("selector", {})
        selector = selector.get("matchLabels", selector)
        own = [pod_of(it)] if pod_of(it) else pods
        matched = [pod for pod in own if selector.items() <= pod["metadata"]["labels"].items()]
        check(matched, f"{where}: no pod has the labels that {it['kind']} selects")
        if it["kind"] == "Service":
            named = {port["name"] for pod in matched for c in pod["spec"]["containers"] for port in c.get("ports", [])}
            for port in it["spec"]["ports"]:
                check(port["targetPort"] in named, f"{where}: no container has the port {port['targetPort']}")
        if not pod_of(it):
            continue
        spec = pod_of(it)["spec"]
        volumes = {volume["name"] for volume in spec.get("volumes", [])}
        check(spec["securityContext"]["runAsNonRoot"] is True, f"{where}: runs as root")
        for container in spec["containers"]:
            check(container["image"] == f"pgasync:{version}", f"{where}: the image {container['image']}")
            check_arguments(where, container["args"])
            for mount in container["volumeMounts"]:
                check(mount["name"] in volumes, f"{where}: there is no volume {mount['name']}")
            folders = [mount["mountPath"] for mount in container["volumeMounts"]]
            for argument in container["args"]:
                value = argument.partition("=")[2]
                if value.startswith("/"):
                    check(any(value.startswith(folder) for folder in folders), f"{where}: {value} is not mounted")
            ports = {port["name"] for port in container.get("ports", [])}
            for probe in ["livenessProbe", "readinessProbe"]:
                if probe in container:
                    check(container[probe]["httpGet"]["port"] in ports, f"{where}: the port of {probe}")


def check_parses():
    for path in sorted((root / "deploy").rglob("*")):
        name = path.relative_to(root)
        if path.suffix == ".json":
            try:
                json.loads(path.read_text())
            except ValueError as error:
                complaints.append(f"{name}: {error}")
        elif path.suffix == ".toml":
            try:
                toml(name)
            except tomllib.TOMLDecodeError as error:
                complaints.append(f"{name}: {error}")
        elif path.suffix in (".yml", ".yaml"):
            documents(name)
        elif path.is_file() and path.read_text(errors="replace").startswith("#!"):
            shell = path.read_text().splitlines()[0].rsplit("/", 1)[1]
            parsed = subprocess.run([shell, "-n", path], capture_output=True, text=True)
            check(parsed.returncode == 0, f"{name}: {parsed.stderr.strip()}")


for part in [check_crates, check_pgxn, check_debian, check_docker, check_compose, check_kubernetes, check_parses]:
    part()
for complaint in complaints:
    print(f"package: {complaint}")
sys.exit(1 if complaints else 0)
