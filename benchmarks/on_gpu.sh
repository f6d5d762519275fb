#!/usr/bin/env bash
# All that needs a GPU, in one go: the tests on CuPy's arrays and on PyTorch's, and the benchmarks.
# In an environment that has CuPy, PyTorch and the packages of the extra "test":
#
#     bash benchmarks/on_gpu.sh [python]
set -uo pipefail
cd "$(dirname "$0")/.."
python=${1:-python3}

export PYTHONPATH=src:. AGNOSTIC_LSE_REQUIRE_BACKENDS=cupy,torch-cuda
"$python" -m pytest -q -n 4 tests -k "cupy or torch-cuda"
tests=$?
"$python" -m benchmarks.gpu
benchmarks=$?
echo "tests: exit status $tests; benchmarks: exit status $benchmarks"
exit $((tests || benchmarks))
