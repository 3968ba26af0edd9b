"""Makes of NVIDIA's Python packages a toolkit as CMake expects one.

They are made for programs that load their libraries: they lack the names that a linker looks for, the folder `lib64`,
and a library to link in place of the driver's, which a host without a driver lacks too.
"""

from __future__ import annotations

from pathlib import Path

from roles.host.programs.processes import run

_COMPLETE = r"""
import os, pathlib, re, subprocess, sys, sysconfig
top = pathlib.Path(sys.argv[1])
(toolkit,) = pathlib.Path(sysconfig.get_path("purelib"), "nvidia").glob("cu[0-9]*")
libraries, stubs = toolkit / "lib", toolkit / "lib" / "stubs"
for library in sorted(libraries.glob("lib*.so.*")):
    name = libraries / (library.name.partition(".so.")[0] + ".so")
    if not name.exists():
        name.symlink_to(library.name)
(toolkit / "lib64").symlink_to("lib")
stubs.mkdir()
header = (toolkit / "include" / "cuda.h").read_text(errors="replace")
# Functions, and the versions of them that macros of that name lead to.
functions = {*re.findall(r"\bcu[A-Z]\w*(?=\()", header), *re.findall(r"#define\s+cu\w+\s+(cu[A-Z]\w*)", header)}
# 100 is CUDA_ERROR_NO_DEVICE.
source = "".join(f"int {function}(void) {{ return 100; }}\n" for function in sorted(functions))
compiler = ["cc", "-shared", "-fPIC", "-w", "-Wl,-soname,libcuda.so.1", "-x", "c", "-o", str(stubs / "libcuda.so"), "-"]
subprocess.run(compiler, input=source.encode(), check=True)
(stubs / "libcuda.so.1").symlink_to("libcuda.so")
(top / "cuda").symlink_to(os.path.relpath(toolkit, top))
"""


def complete_cuda(folder: Path, title: str, user: str | None) -> None:
    """Add what is missing, and a link `cuda` to the toolkit, in an environment that still is the user's."""
    run(
        [str(folder / "bin" / "python"), "-I", "-c", _COMPLETE, str(folder)],
        what=f"{title}: making a toolkit of its packages",
        user=user,
        writable=[folder],
    )
