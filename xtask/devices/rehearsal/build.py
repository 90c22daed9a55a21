"""Builds a CUDA driver that computes on the CPU: `python build.py BUILT OUT`.

BUILT is the folder of cargo's profile with the feature `cuda`, from whose PTX the names of the kernels are read; OUT gets
the libraries. mflow's kernels come from this repository, candle's from cargo's registry, both compiled as C++.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[2]
KERNELS = ROOT / "crates/mflow-bijectors/src/kernel/cuda"
# What mflow uses of candle's kernels.
CANDLE = ["affine", "binary", "cast", "fill", "indexing", "reduce", "sort", "ternary", "unary", "conv"]
FLAGS = "-std=c++20 -O2 -g -fPIC -fvisibility=hidden -w -ffp-contract=off".split()
AT_ONCE = 2
# The runtime's own start-up, which kernels that are linked statically call before the program begins.
SILENT = ["__cudaRegisterFatBinaryEnd", "__cudaUnregisterFatBinary", "__cudaRegisterFunction", "__cudaRegisterVar"]


def sources_of(*names: str) -> list[Path]:
    """The folders of packages, as cargo has them."""
    command = ["cargo", "metadata", "--format-version", "1", "--features", "mflow/cuda"]
    packages = json.loads(subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout)["packages"]
    folders = {package["name"]: Path(package["manifest_path"]).parent for package in packages}
    return [folders[name] / "src" for name in names]


def write(path: Path, text: str) -> None:
    """Writes, unless it is there: what is newer is compiled anew."""
    if not path.exists() or path.read_text() != text:
        path.write_text(text)


def newest(paths: list[Path]) -> Path:
    if not paths:
        sys.exit("expected what cargo builds with the feature cuda, found none")
    return max(paths, key=lambda path: path.stat().st_mtime)


def copy_without_half_precision(candle: Path, to: Path) -> None:
    to.mkdir(parents=True, exist_ok=True)
    for path in [*candle.glob("*.cu"), *candle.glob("*.cuh")]:
        text = path.read_text()
        if path.name == "compatibility.cuh":
            text = "#pragma once\n"
        if path.name == "cuda_utils.cuh":
            text = "#pragma once\n" + text
        text = text.replace("extern __shared__ int dst_row[];", "int *dst_row = shared_memory<int>();")
        write(to / path.name, text)


def kernels(built: Path, package: str, stem: str) -> list[str]:
    """Names of the kernels in the PTX that cargo made last."""
    ptx = newest(list(built.glob(f"build/{package}-*/out/{stem}.ptx"))).read_text()
    names = re.findall(r"\.visible \.entry (\w+)\(", ptx)
    return [name for name in names if not re.search(r"bf16|f16|f8|fp8|i16|i32", name)]


def unit(space: str, source: Path, names: list[str]) -> str:
    lines = ['#include "device.h"', f"namespace {space} {{", f'#include "{source}"', "}", f"using namespace {space};"]
    lines.append("__attribute__((constructor)) static void register_all() {")
    lines += [f'  fake_register_function("{name}", &{space}::{name});' for name in names]
    return "\n".join([*lines, "}", ""])


def stubs(cudarc: Path, built: Path, driver: str) -> str:
    """Everything that is declared beside what the driver has: it says its name and fails."""
    declared: set[str] = set()
    for part in ["driver", "cublas", "cublaslt", "curand", "nvrtc", "runtime"]:
        for path in cudarc.glob(f"{part}/sys/*.rs"):
            declared |= set(re.findall(r"pub (?:unsafe )?fn ((?:cu|nvrtc)\w+)\s*\(", path.read_text()))
    static = newest(list(built.glob("build/candle-kernels-*/out/libmoe.a")))
    undefined = subprocess.run(["nm", "-u", static], capture_output=True, text=True, check=True).stdout
    declared |= set(re.findall(r"U ((?:__)?cuda\w+)", undefined))
    declared -= set(re.findall(r"^API \w+ (\w+)\(", driver, re.M)) | set(SILENT) | {"__cudaRegisterFatBinary"}
    text = "".join(f"STUB({name})\n" for name in sorted(declared))
    text += "API void **__cudaRegisterFatBinary(void *) { static void *handle; return &handle; }\n"
    return text + "".join(f"API void {name}() {{}}\n" for name in SILENT)


def compile_all(sources: list[Path], out: Path, headers: list[Path]) -> list[Path]:
    changed = max(path.stat().st_mtime for path in headers)
    objects, running = [], []

    def finish() -> None:
        source, job = running.pop(0)
        if job.wait():
            sys.exit(f"{source}: does not compile")

    for source in sources:
        to = out / f"{source.stem}.o"
        objects.append(to)
        if to.exists() and to.stat().st_mtime > max(changed, source.stat().st_mtime):
            continue
        includes = ["-I", HERE, "-I", HERE / "shims", "-I", out]
        running.append((source, subprocess.Popen(["c++", *FLAGS, *includes, "-c", source, "-o", to])))
        if len(running) >= AT_ONCE:
            finish()
    while running:
        finish()
    return objects


def main() -> None:
    built, out = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
    candle, cudarc = sources_of("candle-kernels", "cudarc")
    copies, lib = out / "candle", out / "lib"
    copy_without_half_precision(candle, copies)
    lib.mkdir(parents=True, exist_ok=True)
    sources = [HERE / "driver.cpp"]
    units = [("candle", "candle-kernels", copies / f"{stem}.cu") for stem in CANDLE]
    units += [("mflow", "mflow-bijectors", path) for path in sorted(KERNELS.glob("*.cu"))]
    for of, package, source in units:
        space = f"{of}_{source.stem}"
        sources.append(out / f"{space}.cpp")
        write(sources[-1], unit(space, source, kernels(built, package, source.stem)))
    write(out / "stubs.inc", stubs(cudarc, built, (HERE / "driver.cpp").read_text()))
    headers = [*HERE.glob("*.h"), *KERNELS.glob("*.cu*"), *copies.iterdir(), out / "stubs.inc"]
    objects = compile_all(sources, out, headers)
    library = lib / "libcuda.so.1"
    subprocess.run(["c++", "-shared", "-Wl,-soname,libcuda.so.1", "-o", library, *objects], check=True)
    # One library in the place of all.
    for name, version in [("cuda", "1"), ("cublas", "13"), ("cublasLt", "13"), ("curand", "10"), ("nvrtc", "13"), ("cudart", "13")]:
        link = lib / f"lib{name}.so.{version}"
        if not link.is_symlink() and not link.exists():
            link.symlink_to(library.name)
    print(lib)


if __name__ == "__main__":
    main()
