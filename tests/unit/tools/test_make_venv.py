# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""When an environment is taken as it is, and when it is built anew."""

from __future__ import annotations

import sys
from pathlib import Path

import make_venv
import pytest


@pytest.fixture
def pins(tmp_path):
    path = tmp_path / "requirements.txt"
    path.write_text("# nothing to install\n")
    return path


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where an environment is built; making an empty one is Python's own work, and slow, so it is played here."""

    def make_empty(command, **_):
        binaries = Path(command[-1]) / "bin"
        binaries.mkdir(parents=True, exist_ok=True)
        (binaries / "python").unlink(missing_ok=True)
        (binaries / "python").symlink_to(sys.executable)

    monkeypatch.setattr(make_venv.subprocess, "run", make_empty)
    return tmp_path / "env"


def test_an_environment_is_built_once_and_anew_when_the_pins_change(folder, pins, monkeypatch):
    installed = []
    monkeypatch.setattr(make_venv, "install", lambda folder, listed: installed.append(listed.read_text()))

    make_venv.build(folder, pins)
    make_venv.build(folder, pins)
    pins.write_text("changed==1\n")
    make_venv.build(folder, pins)

    assert installed == ["# nothing to install\n", "changed==1\n"]


def test_an_interrupted_build_is_not_taken_for_whole(folder, pins, monkeypatch):
    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(make_venv, "install", interrupted)
    with pytest.raises(KeyboardInterrupt):
        make_venv.build(folder, pins)

    assert not make_venv.is_current(folder, make_venv.stamp_of(pins))


def test_an_environment_whose_python_went_away_is_not_current(folder, pins, monkeypatch):
    monkeypatch.setattr(make_venv, "install", lambda *_: None)
    make_venv.build(folder, pins)
    (folder / "bin" / "python").unlink()
    (folder / "bin" / "python").symlink_to("/nonexistent/python3.11")

    assert not make_venv.is_current(folder, make_venv.stamp_of(pins))


def test_a_python_that_is_not_served_is_refused_with_the_way_out(monkeypatch):
    monkeypatch.setattr(make_venv.sys, "version_info", (3, 9, 2))

    with pytest.raises(make_venv.VenvError, match=r"3\.9 is not served.*3\.11(.|\n)*make PYTHON="):
        make_venv.require_python()


def test_without_ensurepip_and_without_root_the_package_is_named(monkeypatch):
    monkeypatch.setattr(make_venv.importlib.util, "find_spec", lambda _: None)
    monkeypatch.setattr(make_venv.os, "geteuid", lambda: 1000)

    with pytest.raises(make_venv.VenvError, match=r"apt-get install python3\.\d+-venv"):
        make_venv.require_ensurepip()


def test_a_pin_that_cannot_be_installed_is_an_error_with_what_pip_said(pins, capsys):
    # Not a requirement that pip can read, so it ends before it changes the environment that the tests run in.
    pins.write_text("./no-such-package-here==1\n")

    with pytest.raises(make_venv.VenvError, match="could not install"):
        make_venv.install(Path(sys.prefix), pins)

    assert "no-such-package-here" in capsys.readouterr().err
