#!/bin/sh
# Makes the environment in .venv/ ready from requirements.lock. A second call finds the stamp and returns at once.
#
#   sh tools/setup.sh               Debian, Ubuntu: as root it also installs missing system packages
#   sh tools/setup.sh micromamba    (or mamba, conda) Python, compiler and libraries from environment.yaml
#
# In an activated conda environment named `ablation` it completes that one instead of .venv/.
# PYTHON=/path/to/python3.12 chooses another Python. What the tools print is in .setup.log.
set -eu
cd "$(dirname "$0")/.."
conda=${1:-}
log=.setup.log

env=$PWD/.venv
[ "${CONDA_DEFAULT_ENV:-}" != ablation ] || env=$CONDA_PREFIX

# The path is part of the stamp: a copied or moved environment has scripts that point to its old place.
stamp=$env/setup-stamp
want="$(cat requirements.lock environment.yaml tools/setup.sh | sha256sum | cut -d ' ' -f 1) $env"
ready() {
    [ -x "$env/bin/python" ] && [ -f "$stamp" ] && [ "$(cat "$stamp")" = "$want" ] &&
        { [ -z "$conda" ] || [ -d "$env/conda-meta" ]; }
}
if ready; then
    [ -z "${PYTHON:-}" ] || echo "setup: $env is ready as it is; to make it with another Python, remove it first"
    exit 0
fi

say() { echo "setup: $*" | tee -a "$log"; }
fail() { echo "setup: $*" | tee -a "$log" >&2; exit 1; }
run() {
    echo "+ $*" >>"$log"
    "$@" >>"$log" 2>&1 </dev/null || { tail -n 15 "$log" >&2; fail "this failed, $PWD/$log has all of it: $*"; }
}
found() { command -v "$1" >/dev/null 2>&1; }

# What a link points to may be another checkout's environment, which making this one would empty.
[ ! -L .venv ] || fail ".venv is a link to $(readlink .venv), whose environment is of another folder or another lock:" \
    "remove the link to make an own one here (a big disk? put the whole repository there)"

# Two calls at once would destroy each other's work: the second waits, and then finds the first one's result.
if found flock; then
    exec 9>.setup.lock
    flock -n 9 || { echo "setup: waiting for another setup of this folder"; flock 9; }
    if ready; then exit 0; fi
fi
: >"$log"
begin=$(date +%s)

conda_tool() { for tool in micromamba mamba conda; do if found "$tool"; then echo "$tool"; return; fi; done; }

# The newest Python that the lock is made for and FFCV is known to run on (its lock forks at 3.14).
find_python() {
    for name in ${PYTHON:-python3.13 python3.12 python3.11 python3}; do
        "$name" -c 'import os, sys
if not (3, 11) <= sys.version_info[:2] <= (3, 13): sys.exit(1)
print(os.path.realpath(sys.executable))' 2>/dev/null && return
    done
}

# FFCV is compiled here: Debian's names of what that needs, found by what is there, not by who installed it.
missing_packages() {
    found g++ || echo g++
    found pkg-config || echo pkg-config
    pkg-config --exists opencv4 2>/dev/null || echo libopencv-dev
    pkg-config --exists libturbojpeg 2>/dev/null || echo libturbojpeg0-dev
    name=$(basename "$1")
    "$1" -c 'import ensurepip, venv' 2>/dev/null || echo "$name-venv"
    "$1" -c 'import os, sysconfig; os.stat(sysconfig.get_path("include") + "/Python.h")' 2>/dev/null || echo "$name-dev"
}

system_packages() {
    packages=$(missing_packages "$1" | tr '\n' ' ')
    packages=${packages% }
    [ -n "$packages" ] || return 0
    if [ "$(id -u)" -ne 0 ] || ! found apt-get; then
        tool=$(conda_tool)
        fail "missing system packages, install them: sudo apt-get install $packages" \
            "(or without root: make setup CONDA=${tool:-micromamba})"
    fi
    say "installing system packages: $packages"
    # One unreachable third-party source must not stop this; if a package is missing then, the next line says so.
    apt-get update >>"$log" 2>&1 </dev/null || say "apt-get update failed, going on with the old lists"
    # shellcheck disable=SC2086  # a list of words
    run env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends $packages
}

make_venv() {
    python=$(find_python) || fail "no Python 3.11, 3.12 or 3.13 found${PYTHON:+ at $PYTHON}: install one," \
        "or name it (make setup PYTHON=/path/to/python3.12), or use conda (make setup CONDA=micromamba)"
    system_packages "$python"
    say "making .venv with $python"
    run "$python" -m venv --clear "$env"
}

make_conda() {
    found "$conda" || fail "$conda: command not found"
    say "making .venv with $conda from environment.yaml (several minutes)"
    rm -rf "$env"
    # The three tools share no flag for yes, and micromamba needs the whole path.
    run env CONDA_ALWAYS_YES=true MAMBA_ALWAYS_YES=true "$conda" env create -p "$env" -f environment.yaml
}

# uv does not read pip's settings: hand it the package index and the certificates that pip uses, its own ones being
# too few behind a company's proxy.
pip_setting() { "$env/bin/python" -m pip config get "global.$1" 2>/dev/null || true; }
share_pip_settings() {
    if [ -z "${UV_DEFAULT_INDEX:-}${UV_INDEX_URL:-}" ]; then
        index=${PIP_INDEX_URL:-$(pip_setting index-url)}
        [ -z "$index" ] || export UV_DEFAULT_INDEX="$index"
    fi
    if [ -z "${SSL_CERT_FILE:-}" ]; then
        cert=${PIP_CERT:-$(pip_setting cert)}
        [ -z "$cert" ] || export SSL_CERT_FILE="$cert"
    fi
    if [ -s /etc/ssl/certs/ca-certificates.crt ]; then export UV_SYSTEM_CERTS=1; fi
    export UV_HTTP_TIMEOUT="${UV_HTTP_TIMEOUT:-180}" # its 30 s are short for 800 MB from a busy mirror
}

# conda's compilers and libraries are found only by what runs inside its environment.
inside() { if [ -n "$conda" ]; then run "$conda" run -p "$env" "$@"; else run "$@"; fi; }

install_lock() {
    share_pip_settings
    say "installing requirements.lock (5 GB the first time; to watch: tail -f $log)"
    awk '/^[^ #]/ { on = /^uv==/ } on' requirements.lock >"$env/uv.txt"
    run "$env/bin/python" -m pip install --require-hashes --no-deps -r "$env/uv.txt"
    # --no-deps: the lock is complete, and FFCV's wish for the OpenCV with windows is overridden in it.
    # The setting means nothing to FFCV: it keeps one compiled for other libraries from coming out of uv's cache.
    inside "$env/bin/uv" pip install --python "$env/bin/python" --no-deps --require-hashes -r requirements.lock \
        --build-constraints requirements.lock --config-settings-package "ffcv:compiled-for=$(libraries)"
}
libraries() {
    if [ "$way" = venv ]; then pkg-config --modversion opencv4 libturbojpeg | tr '\n' ' '; else echo "$env"; fi
}

if [ "$env" != "$PWD/.venv" ]; then
    say "completing the active conda environment $env"
    way=active conda=
    rm -f "$stamp"
else
    # Made with conda once, it is made with conda again when the lock changes.
    if [ -z "$conda" ] && [ -d .venv/conda-meta ]; then conda=$(conda_tool); fi
    if [ -n "$conda" ]; then way=conda; make_conda; else way=venv; make_venv; fi
fi
install_lock
say "trying the imports"
run "$env/bin/python" -c 'import torch, torchvision, ffcv, cv2'
echo "$want" >"$stamp"
say "ready in $(($(date +%s) - begin)) s: ${env#"$PWD/"}"
