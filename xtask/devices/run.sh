#!/bin/sh
# Runs what `cargo xtask device pack` packed, on a machine with a GPU, from the repository's root; needs no Rust:
#
#     sh xtask/devices/run.sh OUT [OPTIONS OF cargo xtask device run]
#
# Records, figure and logs go to the folder OUT. CUDA's libraries are those inside Python's packages or /usr/local.
set -eu

[ $# -ge 1 ] || { echo "usage: sh xtask/devices/run.sh OUT [OPTIONS OF cargo xtask device run]" >&2; exit 2; }
out=$1
shift
python=${PYTHON:-python3}
pack=target/device/programs.tar.xz
[ -f "$pack" ] || { echo "$pack: expected an archive, found none; \`cargo xtask device pack\` makes it" >&2; exit 1; }
mkdir -p "$out"

# Unpacked, and removed at the end, however that comes.
programs=$(mktemp -d)
trap 'rm -rf "$programs"' EXIT
trap 'exit 143' INT TERM
if command -v xz > /dev/null; then
    xz -dc -T0 "$pack" | tar -xf - -C "$programs"
else
    "$python" -c 'import sys, tarfile; tarfile.open(sys.argv[1]).extractall(sys.argv[2])' "$pack" "$programs"
fi

# Pure Python: a wheel is an archive of what is imported.
for wheel in target/device/*.whl; do
    [ -f "$wheel" ] || continue
    "$python" -c 'import sys, zipfile; zipfile.ZipFile(sys.argv[1]).extractall(sys.argv[2])' "$wheel" "$programs/python"
done

# The folder of each library that programs are linked with; the driver's is where the system looks.
folders=$("$python" - << 'END'
import ctypes, glob, os, site, sys
roots = [p for p in dict.fromkeys([*site.getsitepackages(), site.getusersitepackages(), *sys.path]) if p]
places = [p for root in roots for p in glob.glob(f"{root}/nvidia/*/lib")]
places += ["/usr/local/cuda/lib64", *sorted(glob.glob("/usr/local/cuda-13*/lib64"))]
places += ["/usr/lib/x86_64-linux-gnu", "/usr/local/cuda/targets/x86_64-linux/lib"]
names = ["libcublas.so.13", "libcublasLt.so.13", "libcurand.so.10", "libcudart.so.13", "libnvrtc.so.13"]
try:
    ctypes.CDLL("libcuda.so.1")
except OSError as error:
    print(error, file=sys.stderr)
    names.append("libcuda.so.1")
    places += ["/usr/local/nvidia/lib64", "/usr/lib64", "/usr/lib64-nvidia"]
folders = []
for name in names:
    found = next((p for p in places if os.path.exists(f"{p}/{name}")), None)
    print(f"{name}: {found or 'NOT FOUND'}", file=sys.stderr)
    if found and found not in folders:
        folders.append(found)
print(":".join(folders))
END
)
export LD_LIBRARY_PATH="$folders${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}"
export PYTHONPATH="$programs/python${PYTHONPATH:+:$PYTHONPATH}"
# Kernels are compiled for the device at first use; later processes find them there.
export CUDA_CACHE_PATH="$programs/cache" CUDA_CACHE_MAXSIZE=2000000000
# Errors without the addresses of stripped programs.
export RUST_BACKTRACE=0
# As cargo says it: the folder of the package.
export CARGO_MANIFEST_DIR="$PWD/xtask"

# The program keeps to its minutes; this is for what would hang beyond them.
minutes=9
previous=
for argument in "$@"; do
    [ "$previous" = --minutes ] && minutes=$argument
    previous=$argument
done
limit=$("$python" -c 'import sys; print(int(60 * float(sys.argv[1])) + 10)' "$minutes")
timeout -k 5 "$limit" "$programs/xtask" device run --programs "$programs" --python "$python" --out "$out" "$@"
