# test_cluster: a scenario in four shards, on Slurm (a cluster of one node, started here) and through GNU
# parallel (this machine, and ssh to a server started here): merged, they are the whole run but for
# times; a shard that is missing is named. All servers are on loopback, with files of their own.
. harness/tests/lib.sh
needs jq
synth "$work/m.gguf" --shape tiny --quant Q8_0 --layers 4 --seed 1
cat >"$work/s.json" <<END
{"name": "cluster-test", "about": "A test of many machines.", "model": {"path": "$work/m.gguf"},
 "fixed": {"storage": "memory", "device": {"bandwidth": "4GB/s"}, "threads": 1, "generate_tokens": 2},
 "matrix": {"prefetch": ["off", "sync"], "cache_layers": [2, 3], "prompt_tokens": [2, 3, 4, 5]},
 "repetitions": 2, "seed": 5}
END
export XDG_CACHE_HOME=$work/cache
cluster=$PWD/scripts/cluster
check "the whole run" "$LAYERBENCH" run "$work/s.json" --no-plots -q --out "$work/whole" >"$work/out"
without_file() { jq 'del(.layerbench.scenario.file)' "$1/result.json" >"$work/compared" && untimed "$work/compared"; }
is_whole() { # DIR WHAT: but for where the scenario lay on another machine
    is "$(without_file "$1/merged")" "$(without_file "$work/whole")" "$2: merged and whole but for times"
    is "$(jq .layerbench.complete "$1/merged/result.json")" true "$2: complete"
    is "$(untimed_log "$1/merged")" "$(untimed_log "$work/whole")" "$2: layer log"
    is "$(ls -d "$1"/shard-[1-4] | wc -l)" 4 "$2: shards"
}

expect 2 "usage: slurm*" "$cluster/slurm" "$work/s.json"
expect 2 "usage: ssh*" "$cluster/ssh" "$work/s.json" 4
expect 2 "merge: '0': expected a number of shards, at least 1" "$cluster/merge" "$work" 0
expect 5 "merge: no shard has a result" bash -c '"$0" "$1" 1 | grep -v "^merge: shard 1 of 1 has no result"; exit "${PIPESTATUS[0]}"' "$cluster/merge" "$work"

# ---- shards, some of them missing
for i in 1 2 4; do "$LAYERBENCH" run "$work/s.json" --shard $i/4 --no-plots -q --out "$work/part/shard-$i" >"$work/out" 2>&1 || fail "shard $i"; done
"$cluster/merge" "$work/part" 4 >"$work/out" 2>"$work/err"
is "$?" 3 "exit code of an incomplete merge"
grep -q "^merge: shard 3 of 4 has no result" "$work/out" || fail "the missing shard is not named"
grep -q "^layerbench merge: incomplete: [1-9][0-9]* of 40 samples" "$work/err" || fail "no count of what is missing: $(cat "$work/err")"
is "$(jq .layerbench.complete "$work/part/merged/result.json")" false "complete"

# ---- parallel, without ssh and with it
if command -v parallel >/dev/null; then
    "$cluster/ssh" "$work/s.json" 4 "$work/local" : >"$work/out" 2>"$work/err"
    is "$?" 0 "parallel on this machine: $(tail -n 3 "$work/err")"
    is_whole "$work/local" "parallel"
    rm -rf "$work/local/shard-2"
    sum=$(cat "$work"/local/shard-[134]/result.json | sha256sum)
    "$cluster/ssh" "$work/s.json" 4 "$work/local" : >"$work/out" 2>"$work/err"
    is "$?" 0 "parallel goes on"
    is_whole "$work/local" "parallel, gone on with"
    is "$(cat "$work"/local/shard-[134]/result.json | sha256sum)" "$sum" "shards that were there"
else
    part_skipped "no GNU parallel (Debian: parallel)"
fi
free_port() { # one that nothing listens on
    local port
    while port=$((20000 + RANDOM)) && (echo >"/dev/tcp/127.0.0.1/$port") 2>/dev/null; do :; done
    echo $port
}
sshd=$(command -v sshd || echo /usr/sbin/sshd)
if command -v parallel >/dev/null && [ -x "$sshd" ]; then
    mkdir -m 700 "$work/ssh" && ssh-keygen -q -t ed25519 -N '' -f "$work/ssh/key" && ssh-keygen -q -t ed25519 -N '' -f "$work/ssh/host"
    cp "$work/ssh/key.pub" "$work/ssh/authorized" && port=$(free_port)
    [ -d /run/sshd ] || [ "$(id -u)" != 0 ] || { mkdir /run/sshd && at_end+=("rmdir /run/sshd 2>/dev/null"); }
    cat >"$work/ssh/server" <<END
Port $port
ListenAddress 127.0.0.1
HostKey $work/ssh/host
AuthorizedKeysFile $work/ssh/authorized
StrictModes no
UsePAM no
PidFile none
END
    "$sshd" -D -e -f "$work/ssh/server" 2>"$work/ssh/log" &
    server=$!
    at_end+=("kill $server 2>/dev/null")
    cat >"$work/ssh/run" <<END
#!/bin/sh
exec ssh -F /dev/null -i $work/ssh/key -p $port -o StrictHostKeyChecking=no -o UserKnownHostsFile=$work/ssh/known -o LogLevel=ERROR -o SetEnv=XDG_CACHE_HOME=$work/cache "\$@"
END
    chmod +x "$work/ssh/run" && sleep 1
    PARALLEL_SSH=$work/ssh/run "$cluster/ssh" "$work/s.json" 4 "$work/far" 127.0.0.1,: >"$work/out" 2>"$work/err"
    is "$?" 0 "parallel over ssh: $(tail -n 3 "$work/err" "$work/ssh/log")"
    is_whole "$work/far" "parallel over ssh"
    grep -q "Accepted publickey" "$work/ssh/log" || fail "nothing came over ssh: $(tail -n 3 "$work/ssh/log")"
    kill "$server"
else
    part_skipped "no ssh: needs parallel and sshd (Debian: parallel, openssh-server)"
fi

# ---- Slurm
PATH=$PATH:/usr/sbin
for tool in sbatch slurmctld slurmd munged mungekey; do
    command -v $tool >/dev/null || { part_skipped "no Slurm: no $tool (Debian: slurmctld, slurmd, slurm-client, munge)" && finish; }
done
[ "$(id -u)" = 0 ] || { part_skipped "no Slurm: slurmd starts jobs as root only" && finish; }
slurm=$work/slurm host=$(hostname -s)
mkdir -p "$slurm/state" "$slurm/spool"
mungekey -c -k "$slurm/key"
cat >"$slurm/slurm.conf" <<END
ClusterName=test
SlurmctldHost=$host(127.0.0.1)
SlurmctldPort=$(free_port)
SlurmdPort=$(free_port)
CommunicationParameters=NoCtldInAddrAny,NoInAddrAny
AuthType=auth/munge
AuthInfo=socket=$slurm/munge.socket
SlurmUser=root
SlurmdUser=root
StateSaveLocation=$slurm/state
SlurmdSpoolDir=$slurm/spool
SlurmctldPidFile=$slurm/ctld.pid
SlurmdPidFile=$slurm/slurmd.pid
SlurmctldLogFile=$slurm/ctld.log
SlurmdLogFile=$slurm/slurmd.log
ProctrackType=proctrack/pgid
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SlurmdParameters=config_overrides
MpiDefault=none
ReturnToService=2
NodeName=$host NodeAddr=127.0.0.1 CPUs=$(nproc) State=UNKNOWN
PartitionName=test Nodes=$host Default=YES MaxTime=INFINITE State=UP
END
export SLURM_CONF=$slurm/slurm.conf
munged -F --force --socket="$slurm/munge.socket" --key-file="$slurm/key" --pid-file="$slurm/munge.pid" \
    --log-file="$slurm/munge.log" --seed-file="$slurm/munge.seed" >"$slurm/munge.out" 2>&1 &
at_end+=("kill $! 2>/dev/null")
sleep 1
slurmctld -D -c >"$slurm/ctld.out" 2>&1 &
at_end+=("kill $! 2>/dev/null")
sleep 2
slurmd -D -N "$host" >"$slurm/slurmd.out" 2>&1 &
at_end+=("kill $! 2>/dev/null; wait 2>/dev/null")
for _ in $(seq 60); do
    [ "$(sinfo -h -o %t 2>/dev/null)" = idle ] && break
    sleep 0.5
done
if [ "$(sinfo -h -o %t 2>&1)" != idle ]; then
    part_skipped "Slurm does not start here: $(tail -qn 1 "$slurm"/ctld.log "$slurm"/slurmd.log "$slurm"/*.out | tr '\n' ' ')"
    finish
fi
jobs=$("$cluster/slurm" "$work/s.json" 4 "$work/array" 2>"$work/err")
[[ $jobs =~ ^[0-9]+\ [0-9]+$ ]] || fail "slurm: '$jobs': $(cat "$work/err")"
wait_for_jobs() { for _ in $(seq 240); do [ -z "$(squeue -h 2>/dev/null)" ] && return; sleep 0.5; done; fail "jobs do not end: $(squeue)"; }
wait_for_jobs
is_whole "$work/array" "Slurm"
grep -q "^result: $work/array/merged/result.json" "$work/array/merge.out" || fail "the merge job says: $(cat "$work/array/merge.out")"

# a task that fails is missing, the rest is merged, and the job says so
bad=$work/bad.sh
printf '#!/bin/sh\n[ "$SLURM_ARRAY_TASK_ID" != 2 ] || exit 5\nexec %q "$@"\n' "$LAYERBENCH" >"$bad" && chmod +x "$bad"
jobs=$(LAYERBENCH=$bad "$cluster/slurm" "$work/s.json" 4 "$work/lacks" 2>"$work/err")
wait_for_jobs
grep -q "^merge: shard 2 of 4 has no result" "$work/lacks/merge.out" || fail "the missing shard is not named: $(cat "$work/lacks/merge.out")"
grep -q "incomplete: [1-9]" "$work/lacks/merge.out" || fail "no count of what is missing: $(cat "$work/lacks/merge.out")"
is "$(scontrol show job "${jobs#* }" | grep -o 'ExitCode=[0-9]*')" "ExitCode=3" "exit code of the merge job"
is "$(jq .layerbench.complete "$work/lacks/merged/result.json")" false "complete with a task that failed"
finish
