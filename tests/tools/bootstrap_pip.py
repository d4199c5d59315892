# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Put pip into an empty virtual environment from Python's own ensurepip, then hand it the arguments.

Takes the place of the script that ansible-test would fetch, where that cannot be reached. ansible-test runs it with
the packages to install (the pip version that it wants first) and two switches that only the fetched script knows.
"""

from __future__ import annotations

import subprocess
import sys

arguments = [argument for argument in sys.argv[1:] if argument not in ("--no-setuptools", "--no-wheel")]
# In children: ansible-test runs this file inside a process that has changed how pip logs.
subprocess.run([sys.executable, "-m", "ensurepip", "--default-pip"], stdout=subprocess.DEVNULL, check=True)
subprocess.run([sys.executable, "-m", "pip", "install", "--quiet", *arguments], check=True)
