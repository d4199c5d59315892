#!/bin/bash
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Run the tests that need labs: those on the common lab one after the other, and beside them those that bring their own.
# SELECT is pytest's expression of marks.
set -u
select=${SELECT:?which tests}
python tests/tools/stunnel.py || exit 1
beside=$(mktemp)
trap 'rm -f "$beside"' EXIT
echo "beside these run the tests with labs of their own; what they say comes at the end"
python -m pytest -q --durations 10 -m "own_lab and ($select)" tests/integration >"$beside" 2>&1 &
other=$!
python -m pytest -q --durations 30 -m "not own_lab and ($select)" tests/integration
common=$?
wait "$other"
own=$?
echo "tests with labs of their own:"
cat "$beside"
exit $((common > own ? common : own))
