"""The set-up of scripts/serve and scripts/test, run in a checkout with a stand-in for pip.

Not here: installing the real lock files on a fresh machine. CI shows that by running scripts/test.
"""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from tests.support.paths import ROOT

pytestmark = pytest.mark.slow

#: Logs its arguments, then creates what the set-up checks: packages, and commands in bin.
PIP = r"""
import os, pathlib, sys, time
arguments = sys.argv[1:]
bin = pathlib.Path(sys.prefix, "bin")
home = bin.parent.parent
with (home / "pip.log").open("a") as log:
    log.write(" ".join(arguments) + "\n")
if (home / "pip-fails").exists():
    sys.exit("ERROR: no matching distribution")
if (home / "pip-hangs").exists():
    print("Collecting sample==1.0\nCollecting other==1.0\nInstalling collected packages: sample", flush=True)
    time.sleep(600)
def command(name, text):
    # As pip writes it where the path has a space, which a #! line cannot hold.
    start = "#!/bin/sh\n'''exec' '" + str(bin / "python") + "' \"$0\" \"$@\"\n' '''\n"
    (bin / name).write_text(start + text)
    (bin / name).chmod(0o755)
if "-r" in arguments:
    print("Collecting sample==1.0\nInstalling collected packages: sample", flush=True)
    if (home / "pip-is-killed").exists():
        os.kill(os.getppid(), 9)
        sys.exit(1)
    (pathlib.Path(__file__).parent.parent / "sample").mkdir(exist_ok=True)
    command("pytest", "import sys; print(sys.argv[1:])")
if "-e" in arguments:
    command("rgz-email", 'import os, sys; print(os.getpid(), sys.argv[1:], os.environ.get("EMAIL_ANONYMOUS_SCOPES"))')
"""

#: A Python whose `-m venv` is quick and installs the pip above.
PYTHON = """#!/bin/sh
case "$*" in
  *"-m venv "*)
    for venv; do :; done
    {python} -I -m venv --without-pip "$venv" || exit 1
    cp -R "{pip}" "$venv"/lib/python{version}/site-packages/pip
    ;;
  *) exec {python} "$@" ;;
esac
"""


class Checkout:
    """A copy of the scripts, with lock files of its own, in a folder whose name has a space."""

    def __init__(self, folder: Path) -> None:
        self.home = folder / "a check-out"
        self.home.mkdir()
        shutil.copytree(ROOT / "scripts", self.home / "scripts", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", self.home)
        (self.home / "service").mkdir()
        shutil.copy(ROOT / "service" / "__init__.py", self.home / "service")
        for name in ("requirements.lock", "requirements-test.lock"):
            (self.home / name).write_text("sample==1.0\n")
        pip = folder / "pip"
        pip.mkdir()
        (pip / "__init__.py").touch()
        (pip / "__main__.py").write_text(PIP)
        self.programs = folder / "programs"
        self.programs.mkdir()
        self.python = self.program(
            "python-of-the-test",
            PYTHON.format(python=sys.executable, pip=pip, version=f"{sys.version_info.major}.{sys.version_info.minor}"),
        )
        for name in ("chromium", "dovecot", "git"):
            self.program(name, "#!/bin/sh\n")
        self.elsewhere = folder

    def program(self, name: str, text: str) -> Path:
        file = self.programs / name
        file.write_text(text)
        file.chmod(0o755)
        return file

    def start(
        self, script: str, *arguments: str, environment: Mapping[str, str] | None = None
    ) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [self.home / "scripts" / script, *arguments],
            cwd=self.elsewhere,
            env={"PATH": f"{self.programs}:{os.defpath}", "PYTHON": str(self.python), **(environment or {})},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(
        self, script: str, *arguments: str, environment: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        with self.start(script, *arguments, environment=environment) as process:
            out, err = process.communicate()
        return subprocess.CompletedProcess(process.args, process.returncode, out, err)

    def pip_calls(self) -> int:
        log = self.home / "pip.log"
        return len(log.read_text().splitlines()) if log.exists() else 0


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


@pytest.fixture
def ready(checkout: Checkout) -> Checkout:
    done = checkout.run("serve")
    assert done.returncode == 0, done.stderr
    (checkout.home / ".venv" / "kept").touch()
    return checkout


def was_kept(checkout: Checkout) -> bool:
    return (checkout.home / ".venv" / "kept").exists()


def test_setup_installs_with_hashes_and_wheels_only_and_says_what_it_does(checkout: Checkout) -> None:
    done = checkout.run("serve")
    assert done.returncode == 0, done.stderr
    first, second = (checkout.home / "pip.log").read_text().splitlines()
    assert "--require-hashes --only-binary :all:" in first
    assert first.endswith("requirements.lock")
    assert "--no-deps --no-build-isolation -e" in second
    assert "Setting up .venv: it does not exist yet" in done.stderr
    assert "unpacking" in done.stderr


def test_setup_does_and_prints_nothing_when_venv_is_complete(ready: Checkout) -> None:
    calls = ready.pip_calls()
    done = ready.run("serve")
    assert (done.returncode, done.stderr, ready.pip_calls()) == (0, "", calls)


def test_setup_completes_the_environment_when_a_lock_file_changes(ready: Checkout) -> None:
    calls = ready.pip_calls()
    (ready.home / "requirements.lock").write_text("sample==1.1\n")
    done = ready.run("serve")
    assert "requirements.lock has changed" in done.stderr
    assert ready.pip_calls() > calls
    assert was_kept(ready)


def test_setup_installs_the_project_again_when_its_version_changes(ready: Checkout) -> None:
    (ready.home / "service" / "__init__.py").write_text('"""A later one."""\n\n__version__ = "1000.0"\n')
    done = ready.run("serve")
    assert done.returncode == 0, done.stderr
    assert "its version, has changed" in done.stderr
    assert was_kept(ready)
    assert ready.run("serve").stderr == ""


def test_setup_for_tests_covers_the_service_too(ready: Checkout) -> None:
    assert "the tests' tools are not installed yet" in ready.run("test").stderr
    assert was_kept(ready)
    calls = ready.pip_calls()
    assert ready.run("serve").stderr == ""
    assert ready.run("test").stderr == ""
    assert ready.pip_calls() == calls


def test_setup_keeps_an_environment_that_another_tool_made_here(checkout: Checkout) -> None:
    subprocess.run([checkout.python, "-m", "venv", checkout.home / ".venv"], check=True)
    (checkout.home / ".venv" / "kept").touch()
    assert checkout.run("serve").returncode == 0
    assert was_kept(checkout)


@pytest.mark.parametrize(
    ("broken", "reason"),
    [
        (["bin", "python"], "its Python is missing"),
        (["pyvenv.cfg"], "it is not a virtual environment"),
        (
            ["lib", f"python{sys.version_info.major}.{sys.version_info.minor}", "site-packages", "sample"],
            "sample is missing",
        ),
    ],
)
def test_setup_makes_a_broken_environment_anew(ready: Checkout, broken: list[str], reason: str) -> None:
    path = ready.home.joinpath(".venv", *broken)
    shutil.rmtree(path) if path.is_dir() else path.unlink()
    done = ready.run("serve")
    assert done.returncode == 0, done.stderr
    assert reason in done.stderr
    assert not was_kept(ready)
    assert ready.run("serve").stderr == ""


def test_setup_makes_a_moved_environment_anew(ready: Checkout) -> None:
    ready.home = ready.home.rename(ready.home.with_name("moved"))
    done = ready.run("serve")
    assert done.returncode == 0, done.stderr
    assert "belongs to another directory" in done.stderr
    assert not was_kept(ready)


def test_setup_reinstalls_the_command_when_only_that_is_missing(ready: Checkout) -> None:
    (ready.home / ".venv" / "bin" / "rgz-email").unlink()
    assert ready.run("serve").returncode == 0
    assert was_kept(ready)


def test_setup_makes_an_environment_anew_when_unpacking_was_interrupted(ready: Checkout) -> None:
    (ready.home / "requirements.lock").write_text("sample==1.1\n")
    (ready.home / "pip-is-killed").touch()
    assert ready.run("serve").returncode != 0
    (ready.home / "pip-is-killed").unlink()
    done = ready.run("serve")
    assert "was interrupted" in done.stderr
    assert done.returncode == 0
    assert not was_kept(ready)


def test_setup_fails_with_a_hint_when_pip_fails_and_tries_again_at_the_next_start(ready: Checkout) -> None:
    (ready.home / "requirements.lock").write_text("sample==1.1\n")
    (ready.home / "pip-fails").touch()
    done = ready.run("serve")
    assert done.returncode != 0
    assert "ERROR: no matching distribution" in done.stderr
    assert "start again" in done.stderr
    assert done.stdout == ""
    (ready.home / "pip-fails").unlink()
    assert ready.run("serve").returncode == 0
    assert was_kept(ready)


def test_setup_is_done_once_when_two_start_together(checkout: Checkout) -> None:
    processes = [checkout.start("serve") for _ in range(2)]
    outcomes = [process.communicate() for process in processes]
    assert [process.returncode for process in processes] == [0, 0], outcomes
    assert checkout.pip_calls() == 2  # the lock file, the project


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_setup_ends_pip_too_when_it_is_ended_by_a_signal(checkout: Checkout, how: signal.Signals) -> None:
    (checkout.home / "pip-hangs").touch()
    with checkout.start("serve") as process:
        assert process.stderr is not None
        while "unpacking" not in process.stderr.readline():
            assert process.poll() is None
        process.send_signal(how)
        process.communicate()  # returns once every process has closed the pipes
    assert process.returncode == 128 + how


def test_setup_refuses_a_python_that_is_too_old(checkout: Checkout) -> None:
    old = checkout.program("old-python", "#!/bin/sh\nexit 1\n")
    done = checkout.run("serve", environment={"PYTHON": str(old)})
    assert done.returncode == 1
    assert "is not a Python 3.11 or newer" in done.stderr


def test_setup_says_what_to_install_when_there_is_no_python(checkout: Checkout) -> None:
    for name in ("bash", "dirname"):
        (checkout.programs / name).symlink_to(shutil.which(name) or name)
    done = checkout.run("serve", environment={"PATH": str(checkout.programs), "PYTHON": ""})
    assert done.returncode == 1
    assert "Python 3.11 or newer was not found" in done.stderr
    assert "apt-get install python3 python3-venv" in done.stderr


def test_setup_says_what_to_install_when_python_has_neither_ensurepip_nor_pip(checkout: Checkout) -> None:
    bare = checkout.program(
        "bare-python", f'#!/bin/sh\ncase "$*" in *ensurepip*|*"-m pip"*) exit 1;; esac\nexec {sys.executable} "$@"\n'
    )
    done = checkout.run("serve", environment={"PYTHON": str(bare)})
    assert done.returncode == 1
    assert "apt-get install python3-venv" in done.stderr
    assert not (checkout.home / ".venv").exists()


def test_serve_becomes_the_service_and_passes_its_arguments_on(ready: Checkout) -> None:
    with ready.start("serve", "--port", "0", "two words") as process:
        out, _ = process.communicate()
    assert out == f"{process.pid} ['serve', '--port', '0', 'two words'] send,read\n"


@pytest.mark.parametrize(
    ("environment", "scopes"),
    [
        ({}, "send,read"),
        ({"SMTP_HOST": ""}, "send,read"),
        ({"SMTP_HOST": "mail.example"}, "None"),
        ({"EMAIL_ANONYMOUS_SCOPES": "read"}, "read"),
        ({"EMAIL_ANONYMOUS_SCOPES": ""}, ""),
    ],
)
def test_serve_sets_anonymous_scopes_only_without_a_relay_and_without_a_value(
    ready: Checkout, environment: dict[str, str], scopes: str
) -> None:
    assert ready.run("serve", environment=environment).stdout.rstrip("\n").endswith(f"['serve'] {scopes}")


def test_test_passes_its_arguments_to_pytest(ready: Checkout) -> None:
    assert ready.run("test", "-k", "snapshot or mail").stdout == "['-k', 'snapshot or mail']\n"


def test_test_says_what_to_install_when_chromium_is_missing_and_it_is_not_root(ready: Checkout) -> None:
    # Only the programs that the script calls are on this PATH, so that the machine's Chromium is not found.
    (ready.programs / "chromium").unlink()
    for name in ("bash", "dirname", "grep", "rm", "touch"):
        (ready.programs / name).symlink_to(shutil.which(name) or name)
    ready.program("id", "#!/bin/sh\necho 1000\n")
    done = ready.run("test", environment={"PATH": str(ready.programs)})
    assert done.returncode == 1
    assert "sudo apt-get install chromium fonts-liberation" in done.stderr
    assert done.stdout == ""


def test_test_says_what_to_install_when_dovecot_is_missing_and_it_is_not_root(ready: Checkout) -> None:
    if any(Path(folder, "dovecot").exists() for folder in ("/usr/sbin", "/usr/local/sbin")):
        # The script searches there whatever PATH is, so on this machine it must find it.
        (ready.programs / "dovecot").unlink()
        assert ready.run("test").returncode == 0
        return
    (ready.programs / "dovecot").unlink()
    ready.program("id", "#!/bin/sh\necho 1000\n")
    done = ready.run("test")
    assert done.returncode == 1
    assert "sudo apt-get install dovecot-imapd" in done.stderr


@pytest.mark.parametrize(("tests", "checks", "status"), [(0, 0, 0), (1, 0, 1), (0, 1, 1), (5, 2, 1)])
def test_ci_runs_both_steps_and_fails_when_one_failed(tmp_path: Path, tests: int, checks: int, status: int) -> None:
    (tmp_path / ".ci").mkdir()
    shutil.copy(ROOT / ".ci" / "run", tmp_path / ".ci")
    (tmp_path / "scripts").mkdir()
    for name, code in (("test", tests), ("check", checks)):
        script = tmp_path / "scripts" / name
        script.write_text(f'#!/bin/sh\necho "{name} with CI=$CI"\nexit {code}\n')
        script.chmod(0o755)
    done = subprocess.run(["bash", tmp_path / ".ci" / "run"], cwd="/", capture_output=True, text=True, check=False)
    assert done.returncode == status
    assert "test with CI=true" in done.stdout
    assert "check with CI=true" in done.stdout
