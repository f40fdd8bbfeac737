"""What `scripts/gpu-check bundle` packs."""
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tarfile

LIMIT_MIB = 60
# Beside those that cmake/dependencies.cmake names. What a build reads of them all: headers, CMake files, shared
# libraries; GoogleTest is static, and pugixml's CMake file wants to see both forms.
TEST_PACKAGES = ["libgtest-dev", "libgmock-dev"]
STATIC = re.compile(r"/lib(gtest|gmock|pugixml)\w*\.a$")
# The other machine's own: glibc and what comes with its compiler.
FOREIGN = re.compile(r"^(linux-vdso|ld-linux|lib(c|m|dl|rt|pthread|util|resolv|stdc\+\+|gcc_s|gomp)\.so)")


def output(command):
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def shared_libraries(path):
    """SONAME -> path of everything a binary needs, but for the other machine's own."""
    found = {}
    for line in output(["ldd", path]).splitlines():
        match = re.match(r"\s*(\S+) => (/\S+)", line)
        if match and not FOREIGN.match(match[1]):
            found[match[1]] = match[2]
    return found


def pack_library(folder, path, *links):
    """Copies a library under its own name, which CMake's files ask for, with links of other names to it."""
    real = pathlib.Path(os.path.realpath(path))
    shutil.copy2(real, folder / real.name)
    for link in links:
        if link != real.name and not (folder / link).exists():
            (folder / link).symlink_to(real.name)


def needed_packages(source):
    """The packages that the build asks for: a new one need not be named here as well."""
    pairs = re.findall(r'"[\w-]+:([^"$]+)"', (source / "cmake/dependencies.cmake").read_text())
    return [name for names in pairs for name in names.split() if name != "build-essential"] + TEST_PACKAGES


def pack_packages(source, root):
    """Copies what a build reads of our packages below `root`, at the same paths."""
    binaries = []
    for package in needed_packages(source):
        for name in output(["dpkg", "-L", package]).splitlines():
            path = pathlib.Path(name)
            wanted = name.startswith("/usr/include/") or "/cmake/" in name or STATIC.search(name)
            if name == "/usr/bin/protoc" or name.endswith(".so"):
                binaries.append(name)
            elif not wanted:
                continue
            if path.is_dir():
                continue
            target = root / name.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(name, target)  # links become files
    folder = root / "usr/lib/x86_64-linux-gnu"
    for binary in binaries:
        for soname, path in shared_libraries(binary).items():
            pack_library(folder, path, soname)
        soname = re.search(r"\(SONAME\).*\[(.+)\]", output(["readelf", "-d", binary]))
        if soname:
            (root / binary.lstrip("/")).unlink()
            pack_library(folder, binary, soname[1], os.path.basename(binary))


def pack_cifar(source, target, room):
    """As many records of CIFAR-10's binary files as fit into `room` bytes: five of training for one of testing."""
    record = 1 + 3072
    counts = {"data_batch_1.bin": 5 * (room // record) // 6, "test_batch.bin": room // record // 6}
    target.mkdir(parents=True)
    for name, count in counts.items():
        with open(source / name, "rb") as file:
            (target / name).write_bytes(file.read(record * min(count, 10000)))
    print("CIFAR-10:", {name: (target / name).stat().st_size // record for name in counts}, "pictures")


def pack_jpegs(source, target):
    """The pictures as a tar file, whatever its compression: one that there is, or a folder's train and test."""
    if source.is_file():
        shutil.copy2(source, target)
        return
    with tarfile.open(target, "w:xz", preset=6) as tar:
        for part in ("train", "test"):
            tar.add(source / part, arcname=part)


def write_tar(path, root):
    with tarfile.open(path, "w:xz", preset=6) as tar:
        tar.add(root, arcname=".")


def bytes_in(folder):
    return sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())


def bundle(args):
    source = pathlib.Path(__file__).resolve().parent.parent
    out = pathlib.Path(args.dir)
    shutil.rmtree(out, ignore_errors=True)
    (out / "data").mkdir(parents=True)
    packages = out / "packages"
    pack_packages(source, packages)
    write_tar(out / "packages.tar.xz", packages)
    shutil.rmtree(packages)
    files = output(["git", "-C", str(source), "ls-files", "-co", "--exclude-standard"]).splitlines()
    with tarfile.open(out / "source.tar.xz", "w:xz") as tar:
        for name in files:
            if (source / name).is_file():
                tar.add(source / name, arcname=name)
    shutil.copy2(source / "scripts/gpu-check", out / "gpu-check")
    if args.cifar_jpeg:
        pack_jpegs(pathlib.Path(args.cifar_jpeg), out / "data/cifar10-jpeg.tar")
    if bytes_in(out) + bytes_in(pathlib.Path(args.fashion)) <= LIMIT_MIB * 2**20:
        shutil.copytree(args.fashion, out / "data/fashion-mnist")
    else:
        print("Fashion-MNIST: left out, there is no room beside CIFAR-10")
    if args.cifar:
        pack_cifar(pathlib.Path(args.cifar), out / "data/cifar-10-batches-bin", LIMIT_MIB * 2**20 - bytes_in(out))
    size = bytes_in(out)
    if size > LIMIT_MIB * 2**20:
        sys.exit(f"gpu-check: the bundle has {size / 2**20:.1f} MiB, more than {LIMIT_MIB}")
    print(f"{out}: {size / 2**20:.1f} MiB in {', '.join(sorted(f.name for f in out.iterdir()))}")
