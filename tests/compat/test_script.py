"""`python -m talweg`: a script sees itself as the program, and fails as it would alone."""

import os
import signal
import subprocess
import sys
import textwrap

import pytest

import talweg
from talweg import cli
from talweg.compat import run_script


def write(path, text):
    path.write_text(textwrap.dedent(text))
    return str(path)


def test_the_script_is_main_with_its_own_arguments_and_folder(tmp_path, hook, capsys):
    write(tmp_path / "beside.py", "value = 7")
    script = write(
        tmp_path / "script.py",
        '''\
        """Said."""
        import sys, os, pickle, beside, __main__
        class Thing: pass
        assert __name__ == "__main__" and __doc__ == "Said." and __spec__ is None
        assert isinstance(pickle.loads(pickle.dumps(Thing())), __main__.Thing)
        assert sys.path[0] == os.path.dirname(os.path.abspath(__file__))
        print(sys.argv[1:], sys.argv[0] == __file__, beside.value)
        ''',
    )
    assert cli.main([script, "--help", "-x", "1"]) == 0
    assert capsys.readouterr().out == "['--help', '-x', '1'] True 7\n"
    assert cli.main(["run", script, "--version"]) == 0
    assert capsys.readouterr().out.startswith("['--version']")


def test_tracebacks_show_the_script_and_not_the_runner(tmp_path, hook, capsys):
    script = write(tmp_path / "s.py", "def f():\n    raise ValueError('mine')\nf()\n")
    assert run_script(script) == 1
    shown = capsys.readouterr().err
    assert "ValueError: mine" in shown
    assert shown.count("File ") == 2
    assert "compat" not in shown

    script = write(tmp_path / "s.py", "from keras.layers import Dens\n")
    assert run_script(script) == 1
    shown = capsys.readouterr().err
    assert "Did you mean keras.layers.Dense?" in shown
    assert shown.count("File ") == 1

    script = write(tmp_path / "s.py", "x = (1,\n")
    assert run_script(script) == 1
    shown = capsys.readouterr().err
    assert "SyntaxError" in shown
    assert shown.count("File ") == 1


def test_exit_codes_are_the_scripts(tmp_path, hook, capsys):
    with pytest.raises(SystemExit) as caught:
        run_script(write(tmp_path / "s.py", "import sys; sys.exit(3)"))
    assert caught.value.code == 3
    assert run_script(write(tmp_path / "s.py", "raise KeyboardInterrupt")) == 130
    assert capsys.readouterr().err == ""
    assert run_script(str(tmp_path / "absent.py")) == 2
    assert "absent.py" in capsys.readouterr().err


def test_help_teaches_and_version_tells(capsys):
    assert cli.main([]) == 0
    shown = capsys.readouterr().out
    for word in ("python -m talweg", "run", "tensorflow", "compile(", "--target"):
        assert word in shown
    with pytest.raises(SystemExit) as caught:
        cli.main(["--version"])
    assert caught.value.code == 0
    assert f"talweg {talweg.__version__}" in capsys.readouterr().out
    with pytest.raises(SystemExit) as caught:
        cli.main(["rum"])
    assert caught.value.code == 2
    assert "rum" in capsys.readouterr().err


def test_errors_of_a_command_are_one_line_unless_the_traceback_is_asked_for(monkeypatch, capsys):
    def fail(options):
        raise ValueError("column 'x' is missing")

    monkeypatch.setattr("talweg.compat.command._run", fail)
    assert cli.main(["run", "x.py"]) == 1
    assert capsys.readouterr().err == "talweg run: column 'x' is missing\n"
    with pytest.raises(ValueError, match="column"):
        cli.main(["--traceback", "run", "x.py"])


def start(script, **options):
    environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
    command = [sys.executable, "-m", "talweg", script]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        command, env=environment, stdout=pipe, stderr=pipe, text=True, **options
    )


def test_real_keras_is_never_imported_ctrl_c_is_130_and_a_closed_pipe_is_quiet(tmp_path):
    forbidden = tmp_path / "keras"
    forbidden.mkdir()
    (forbidden / "__init__.py").write_text("raise SystemExit('the real keras')")
    waiting = start(
        write(
            tmp_path / "wait.py",
            """\
            import keras, time
            print("ready", "talweg" in repr(keras))
            time.sleep(60)
            """,
        )
    )
    endless = start(write(tmp_path / "many.py", "while True: print('line')\n"))

    assert waiting.stdout.readline() == "ready True\n"
    waiting.send_signal(signal.SIGINT)
    _, shown = waiting.communicate(timeout=30)
    assert (waiting.returncode, shown) == (130, "")

    assert endless.stdout.readline() == "line\n"
    endless.stdout.close()
    endless.wait(timeout=30)
    assert (endless.returncode, endless.stderr.read()) == (141, "")
    endless.stderr.close()


def test_a_plain_import_of_talweg_installs_nothing():
    code = (
        "import sys, talweg; "
        "assert not any('talweg' in type(f).__module__ for f in sys.meta_path); "
        "assert 'talweg.compat' not in sys.modules"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
