#!/bin/sh
# A plan as a job array on a Slurm of one node, which this script starts on loopback: workers and slurmd are killed on
# the way, and the merged store must be that of a local run.
#
#     tests/slurm/run.sh [BUILD] [PLAN]
#
# BUILD (default: build) holds the programs; PLAN is a small one of its own where none is named. It needs root, and
# Debian's slurm-wlm and munge: with IMIAD_INSTALL_SLURM=1 it installs them. Where the daemons cannot run it says why
# and ends with 77, or with 1 where IMIAD_TEST_SLURM=required. All state lies in a folder that goes in the end; it ends
# only what it started.
set -u
cd "$(dirname "$0")/../.."
build=$(realpath "${1:-build}")
plan=${2:-}
benchmark=$build/examples/imiad-benchmark
scratch=$(mktemp -d /tmp/imiad-slurm-XXXXXX)
started=

clean() {
    for name in slurmd slurmctld munged; do
        case " $started " in *" $name "*) stop $name ;; esac
    done
    rm -rf "$scratch"
}
# a daemon takes its pid file along when it has ended
stop() {
    [ -s "$scratch/$1.pid" ] && kill "$(cat "$scratch/$1.pid")" 2>/dev/null || return 0
    tries=0
    while [ -e "$scratch/$1.pid" ] && [ $tries -lt 50 ]; do
        tries=$((tries + 1))
        sleep 0.2
    done
}
cannot() {
    echo "slurm: cannot run here: $*"
    for log in "$scratch"/*.log; do [ ! -e "$log" ] || tail -n 5 "$log"; done
    [ "${IMIAD_TEST_SLURM:-}" != required ] || exit 1
    exit 77
}
failed() {
    echo "slurm: FAILED: $*"
    squeue 2>&1 | head -5
    for log in "$scratch"/*.log "$scratch"/array/*.log; do [ ! -e "$log" ] || { echo "== $log"; tail -n 8 "$log"; }; done
    exit 1
}
trap clean EXIT
trap 'exit 1' INT TERM

# ---- a Slurm of one node ----
[ "$(id -u)" -eq 0 ] || cannot "it needs root"
if ! command -v slurmctld >/dev/null && [ "${IMIAD_INSTALL_SLURM:-}" = 1 ]; then
    apt-get install -y --no-install-recommends slurm-wlm munge >"$scratch/apt.log" 2>&1 || cannot "apt-get install failed"
fi
for program in munged slurmctld slurmd sbatch; do
    command -v $program >/dev/null || cannot "there is no $program: IMIAD_INSTALL_SLURM=1 installs slurm-wlm and munge"
done
node=$(hostname -s)
port=$((20000 + $$ % 20000))
mkdir "$scratch/state" "$scratch/spool"
chmod 755 "$scratch"
dd if=/dev/urandom of="$scratch/munge.key" bs=1 count=1024 2>/dev/null
chmod 400 "$scratch/munge.key"
munged --force --key-file="$scratch/munge.key" --socket="$scratch/munge.socket" --pid-file="$scratch/munged.pid" \
    --log-file="$scratch/munged.log" --seed-file="$scratch/munge.seed" || cannot "munged does not start"
started="$started munged"
cat >"$scratch/slurm.conf" <<CONF
ClusterName=imiad
SlurmctldHost=$node(127.0.0.1)
SlurmctldPort=$port
SlurmdPort=$((port + 1))
SlurmUser=root
SlurmdUser=root
AuthType=auth/munge
AuthInfo=socket=$scratch/munge.socket
CredType=cred/munge
StateSaveLocation=$scratch/state
SlurmdSpoolDir=$scratch/spool
SlurmctldPidFile=$scratch/slurmctld.pid
SlurmdPidFile=$scratch/slurmd.pid
SlurmctldLogFile=$scratch/slurmctld.log
SlurmdLogFile=$scratch/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core
SwitchType=switch/none
MpiDefault=none
ReturnToService=2
SlurmdTimeout=30
KillWait=2
JobRequeue=1
NodeName=$node NodeAddr=127.0.0.1 CPUs=2 RealMemory=1000 State=UNKNOWN
PartitionName=all Nodes=$node Default=YES MaxTime=INFINITE State=UP
CONF
export SLURM_CONF="$scratch/slurm.conf"
slurmctld -f "$SLURM_CONF" || cannot "slurmctld does not start"
started="$started slurmctld"
slurmd -f "$SLURM_CONF" || cannot "slurmd does not start"
started="$started slurmd"
seconds=0
until sinfo -h -o %T 2>/dev/null | grep -q '^\(idle\|mixed\|allocated\)'; do
    seconds=$((seconds + 1))
    [ $seconds -lt 120 ] || cannot "the node does not become idle: $(sinfo -h -o '%T %E' 2>&1)"
    sleep 1
done
echo "slurm: $(slurmctld -V) with node $node on loopback"

# ---- the plan, here and there ----
if [ -z "$plan" ]; then
    plan=$scratch/plan.json
    cat >"$plan" <<'JSON'
{"plan": 1,
 "datasets": {"synthetic": {"options": {"size": 32, "train": 3, "test_good": 2, "test_defective": 2},
                            "categories": ["fabric", "hex_nut"]}},
 "detectors": {"padim": {"weights": "random", "options": {"resize": 32, "crop": 32, "layers": "layer1", "dimension": 8}}},
 "settings": [{"setting": "unsupervised", "seeds": [0, 1, 2]}, {"setting": "noisy", "options": {"ratio": 0.5}}]}
JSON
fi
dump() {
    python3 - "$1" <<'PY'
import sqlite3, sys
for row in sqlite3.connect(sys.argv[1]).execute(
        "select c.setting, c.value, c.dataset, c.category, c.detector, c.options, c.seed, m.name, m.number from cells c "
        "join measurements m on m.cell = c.id order by 1, 2, 3, 4, 5, 6, 7, 8"):
    if not row[7].endswith(("_seconds", "_per_second", "_bytes")):
        print(row)
PY
}
"$benchmark" run "$plan" --store "$scratch/local.sqlite" --threads 1 2>"$scratch/local.log" || failed "the local run"
dump "$scratch/local.sqlite" >"$scratch/local.txt"

submit() {
    "$benchmark" slurm "$plan" --folder "$scratch/array" --elements 4 --limit 2 --memory 400 --hours 1 --submit "$@"
}
# wait_for_queue WHETHER_TO_HURT: waits until nothing is queued, and hurts the first worker that it meets
wait_for_queue() {
    seconds=0 still_to_hurt=$1
    while squeue -h | grep -q .; do
        seconds=$((seconds + 1))
        [ $seconds -lt 900 ] || failed "the array does not end"
        pid=$($still_to_hurt && worker)
        [ -z "$pid" ] || { hurt "$pid" && still_to_hurt=false; }
        sleep 1
    done
    ! $still_to_hurt || failed "there was no worker to kill"
}
# the worker of an element, found by the store that it puts into
worker() {
    for folder in /proc/[0-9]*; do
        if { tr '\0' ' ' <"$folder/cmdline"; } 2>/dev/null | grep -q "^benchmark work .* element-[0-9]*.sqlite" &&
            [ "$(readlink "$folder/cwd")" = "$scratch/array" ]; then
            basename "$folder"
            return
        fi
    done
}
# hurt PID: a worker, and then the daemon of the node, which is started again; not where the worker has just ended
hurt() {
    kill -9 "$1" 2>/dev/null || return 1
    echo "slurm: killed worker $1"
    kill -9 "$(cat "$scratch/slurmd.pid")" && echo "slurm: killed slurmd"
    sleep 2
    slurmd -f "$SLURM_CONF" || failed "slurmd does not start again"
}
submit || failed "submitting"
wait_for_queue true
[ -s "$scratch/array/all.sqlite" ] || failed "there is no merged store"
rm -f "$scratch/array/report.html"
submit --retry-failed || failed "submitting what failed"
wait_for_queue false
dump "$scratch/array/all.sqlite" >"$scratch/array.txt"
cmp "$scratch/local.txt" "$scratch/array.txt" || failed "the merged store differs from the local one"
finished=$(python3 -c 'import sqlite3, sys; print(sqlite3.connect(sys.argv[1]).execute("select count(*) from cells").fetchone()[0])' \
    "$scratch/array/all.sqlite")
grep -q "^<p>$finished finished cells" "$scratch/array/report.html" || failed "the last job left no report of all cells"
cells=$("$benchmark" status "$plan" --store "$scratch/array/all.sqlite" | grep ' cells: ')
echo "slurm: $cells; the merged store is that of a local run, and its report is written"
