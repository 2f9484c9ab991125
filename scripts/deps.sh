#!/usr/bin/env bash
# Installs the system packages that a build needs and that are missing: with apt on Debian and
# Ubuntu; elsewhere, and where it may not, it names them and stops. Each thing is looked for by
# using it, not by its package's name, so a site's own modules do as well. Says nothing when
# everything is there. With LAB=rdma also what scripts/rdma-lab needs, with LAB=slurm what scripts/slurm-lab does.
set -euo pipefail

cc=${CC:-gcc}
cxx=${CXX:-g++}
mpicc=${MPICC:-mpicc}
mpirun=${MPIRUN:-mpirun}

# The MPI's packages, if it is missing.
case $mpicc in
*mpich*) mpi_dev=libmpich-dev mpi_bin=mpich ;;
*) mpi_dev=libopenmpi-dev mpi_bin=openmpi-bin ;;
esac

has() { command -v "${1%% *}" >/dev/null 2>&1; }

# has_daemon NAME: also where an ordinary user does not look.
has_daemon() { PATH=$PATH:/usr/sbin:/sbin has "$1"; }

# includes HEADER COMMAND...: the compiler finds the header.
includes() {
    local header=$1
    shift
    has "$1" && echo "#include <$header>" | "$@" -E -x c -o /dev/null - 2>/dev/null
}

# missing prints the Debian packages of what is missing.
missing() {
    has "$cc" || echo gcc
    includes stdio.h "$cc" || echo libc6-dev
    has "$cxx" || echo g++
    has pkg-config || echo pkg-config
    # shellcheck disable=SC2046 # several flags
    includes rdma/fabric.h "$cc" $(pkg-config --cflags libfabric 2>/dev/null || true) || echo libfabric-dev
    includes mpi.h "$mpicc" || echo "$mpi_dev"
    has "$mpirun" || echo "$mpi_bin"
    has ip || echo iproute2 # the tests with several hosts
    has jq || echo jq # docs/tutorial.md, whose commands are tested
    has curl || echo curl
    case ${LAB-} in
    rdma)
        has qemu-system-x86_64 || echo qemu-system-x86
        { has busybox && ! ldd "$(command -v busybox)" >/dev/null 2>&1; } || echo busybox-static # not the one that needs libraries
        has cpio || echo cpio
        [ -x /sbin/depmod ] || echo kmod
        has pkill || echo procps
        ;;
    slurm)
        has_daemon slurmctld || echo slurmctld
        has_daemon slurmd || echo slurmd
        has_daemon munged || echo munge
        has srun || echo slurm-client
        ;;
    esac
}

# as_root COMMAND...: runs it as root, or fails with status 126 where that can not be had.
as_root() {
    if [ "$(id -u)" -eq 0 ]; then
        "$@"
    elif ! has sudo; then
        return 126
    elif [ -t 0 ]; then
        sudo "$@"
    else
        sudo -n "$@" # nobody is there to type a password
    fi
}

apt() {
    as_root env DEBIAN_FRONTEND=noninteractive NEEDRESTART_MODE=a \
        apt-get -q -y -o DPkg::Lock::Timeout=300 "$@" </dev/null
}

# policy is what Debian's packages ask whether they may start their daemons.
policy=/usr/sbin/policy-rc.d

# without_daemons COMMAND...: runs it, and no package that it installs starts its daemons, now or when the machine
# boots: the lab starts its own.
without_daemons() {
    local status=0 daemon
    if [ ! -e "$policy" ]; then
        trap 'as_root rm -f "$policy"; rm -f "$log"' EXIT # however this ends: with it no service would start any more
        printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null && as_root chmod 755 "$policy"
    fi
    "$@" || status=$?
    if [ -d /run/systemd/system ]; then
        for daemon in slurmctld slurmd munge; do
            case " $packages " in *" $daemon "*) as_root systemctl --quiet disable "$daemon" || true ;; esac
        done
    fi
    return "$status"
}

stop() {
    printf '%s\n' "$@" >&2
    exit 1
}

if ! has go; then
    stop "Go is missing: install it from https://go.dev/dl and put its bin directory in PATH."
fi

packages=$(missing | tr '\n' ' ')
packages=${packages% }
[ -n "$packages" ] || exit 0

if ! has apt-get; then
    stop "These are missing, by the names of their Debian packages: $packages" \
        "Install what they are called here (Fedora and RHEL: gcc gcc-c++ make pkgconf libfabric-devel openmpi-devel iproute jq curl)," \
        "or load your site's modules, and see that mpicc and mpirun are in PATH. The Slurm lab wants slurm-slurmctld slurm-slurmd slurm munge."
fi
if [ "$(id -u)" -ne 0 ] && ! has sudo; then
    stop "These packages are missing, and there is no sudo to install them with: $packages" \
        "As root: apt-get install --no-install-recommends $packages"
fi

echo "installing $packages"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
# A failing update alone is no reason to stop: one of several sources may be out of reach.
apt update >"$log" 2>&1 || true
# shellcheck disable=SC2086 # several packages
if ! $([ "${LAB-}" != slurm ] || echo without_daemons) apt install --no-install-recommends $packages >>"$log" 2>&1; then
    cat "$log" >&2
    stop "These packages could not be installed: $packages" \
        "As root: apt-get update && apt-get install --no-install-recommends $packages"
fi

packages=$(missing | tr '\n' ' ')
[ -z "$packages" ] || stop "Still missing although apt installed it: $packages" \
    "Is another compiler, or another MPI, first in PATH? CC=$cc CXX=$cxx MPICC=$mpicc MPIRUN=$mpirun"
