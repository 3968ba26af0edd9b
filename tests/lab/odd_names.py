"""What users of a host may call things, in any bytes: a program that makes all of it there, and stays until it ends.

It runs as root on the lab host, and does what an unprivileged user does as that user, `mallory`.
"""

from __future__ import annotations

PREPARE = r"""
id mallory 2>/dev/null || useradd --create-home --shell /bin/bash mallory
{ grep -av ^mallory: /etc/passwd; printf 'mallory:x:%s:%s:\377\376 <b>\033[31m,,,:/home/mallory:/bin/bash\n' \
    "$(id -u mallory)" "$(id -g mallory)"; } > /run/passwd
cat /run/passwd > /etc/passwd
loginctl enable-linger mallory
mkdir -p "$(printf '/mnt/\377\n] x')" && mount -t tmpfs tmpfs "$(printf '/mnt/\377\n] x')"
printf '[Service]\nExecStart=/bin/true\n' > "$(printf '/etc/systemd/system/odd\377\033.service')"
ln -sf /nowhere "$(printf '/etc/systemd/system/odd\376.service')"
systemctl daemon-reload
"""

NAMES = (
    b"\xff\xfe\x80",
    b"a\nb",
    b") [x] (R 1 1",
    b"",
    b"\x1b[2J\x07",
    b"llama-server",
    "\u2028\x85".encode(),
    b"\x00",
)
"""Of listening processes."""

PROGRAM = r"""
import ctypes, os, pwd, signal, socket, subprocess, sys, time
account = pwd.getpwnam("mallory")
os.setgid(account.pw_gid); os.setuid(account.pw_uid); os.chdir("/tmp")
prctl = ctypes.CDLL(None).prctl
port = int(sys.argv[1])

def child(does, *, name=None):
    if os.fork() == 0:
        try:
            if name is not None:
                prctl(15, name, 0, 0, 0)
            does()
            while True:
                time.sleep(60)
        finally:
            os._exit(0)

def listen(at):
    socket.create_server(("127.0.0.1", at)).detach()

def answer(at):
    server = socket.create_server(("127.0.0.1", at))
    while True:
        server.accept()[0].close()

for number, name in enumerate(bytes.fromhex(each) for each in sys.argv[2].split(",")):
    child(lambda number=number: answer(port + number), name=name)
# Arguments and environment that are no text.
odd_environment = {b"A\xffB": b"\n\xfe", b"AI_BACKEND_DIGEST": b"\xff"}
child(lambda: os.execve("/bin/sleep", [b"\xff\n\x1b[31m", b"600"], odd_environment))
# Sockets with odd names, in the file system and without one.
def sockets():
    for name in (b"/tmp/\xff\n] :.sock", b"\0\xff\n 0: 00", b"/tmp/ 1234 @x"):
        each = socket.socket(socket.AF_UNIX)
        each.bind(name); each.listen(); each.detach()
child(sockets)
# Files with odd names; a link that leads to itself.
for name in (b"\xff\n<x>", b"-rf *", b"a\x1b]0;t\x07"):
    open(b"/tmp/" + name, "wb").close()
os.symlink("loop", "/tmp/loop")
# Processes that come and go.
def churn():
    while True:
        if os.fork() == 0:
            os._exit(0)
        os.wait()
child(churn)
# 2,000 listening sockets.
def many():
    for _ in range(2000):
        listen(0)
import resource
resource.setrlimit(resource.RLIMIT_NOFILE, (4096, 4096))
child(many)
# The journal: bytes that are no text, and a crash of a unit that did not crash.
subprocess.run(["systemd-cat"], input=b"\xff\xfe \x00 \x1b[31m not text\n", check=True)
journal = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
for _ in range(5):
    journal.sendto(b"MESSAGE=\nUNIT=llama-server@native.service\nMESSAGE_ID=5eb03494b6584870a536b337290809b3\n"
                   b"EXIT_CODE=\nBINARY\n\x03\0\0\0\0\0\0\0\xff\n\xfe\n", "/run/systemd/journal/socket")
# A unit of the user's own that is called like one of the stack's, and listens.
environment = {**os.environ, "XDG_RUNTIME_DIR": f"/run/user/{account.pw_uid}"}
serve = ["python3", "-m", "http.server", "--bind", "127.0.0.1", str(port + 100)]
run = ["systemd-run", "--user", "--quiet", "--unit", "llama-server@native", *serve]
for _ in range(50):
    if subprocess.run(run, env=environment, stderr=subprocess.DEVNULL).returncode == 0:
        break
    time.sleep(0.2)
else:
    sys.exit("no unit of the user's own")
print("ready", flush=True)
signal.pause()
"""
