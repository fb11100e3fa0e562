# test_larger_than_memory: someone with a model larger than their memory, from the installed program: which
# settings, the command that tune prints, a conversation, a scenario of the settings; under a limit of
# the memory where control groups can be had. Each step says what the next one needs.
. harness/tests/lib.sh
needs jq
case $BUILD in */address* | */thread*) skip "sanitizers take memory of their own" ;; esac
unset MAKEFLAGS MAKELEVEL
PATH=$work/root/bin:$PATH
check "make install" make -s install PREFIX="$work/root" >"$work/out" 2>&1
on=$PWD
mkdir "$work/home" && cd "$work/home" || exit 1
layerbench synth -o big.gguf --shape tiny-32 --quant Q8_0 >/dev/null 2>&1 || fail "synth"
size=$(stat -c %s big.gguf) memory=$((size * 6 / 10 / 1048576))

# 1. which settings? The answer is a command, and says where the memory goes and what is gained.
layerbench tune --model big.gguf --memory ${memory}M --context 256 --max-tokens 64 --threads 1 --scenario tuned.json >told 2>err
is "$?" 0 "tune: $(cat err)"
command=$(head -n 1 told)
grep -q "^layerbench generate --model big.gguf --prompt 'Once upon a time' --prefetch " told || fail "no command to copy: $command"
for part in "^memory  *$memory.[0-9]* MiB" "cache, for " "keys and values of 256 positions" "^gain  *[0-9.]* times as fast"; do
    grep -q "$part" told || fail "tune does not say '$part': $(cat told)"
done

# 2. the command as it stands, within the memory
eval "$command -n 8" >text 2>err
is "$?" 0 "the command: $(tail -n 1 err)"
grep -q "^Once upon a time" text || fail "the command continues nothing"
peak=$(sed -n 's/^memory: peak \([0-9.]*\) MB/\1/p' err)
check "peak of $peak MB within $memory MiB" awk -v peak="$peak" -v memory="$memory" 'BEGIN { exit !(peak > 0 && peak * 1e6 <= memory * 1048576) }'
check "less than the file" awk -v peak="$peak" -v size="$size" 'BEGIN { exit !(peak * 1e6 < size) }'

# 3. the same options for a conversation and for a file of text
options=${command#*time\' }
# shellcheck disable=SC2086
printf 'hello\nand again\n' | layerbench chat --model big.gguf --chat-template chatml $options -n 6 >text 2>err
is "$?" 0 "chat: $(tail -n 1 err)"
grep -q '^2 messages' err || fail "chat answers $(head -n 1 err)"
# shellcheck disable=SC2086
yes "some words of a text" | head -n 8 | layerbench generate --model big.gguf --prompt-file - $options -n 4 -q >text 2>err
is "$?" 0 "a prompt on standard input: $(tail -n 1 err)"

# 4. how good is that here? The scenario that tune wrote, and one that comes with the program.
layerbench run tuned.json --repetitions 1 --no-plots -q --out tuned >said 2>err
is "$?" 0 "run tuned.json: $(tail -n 1 err)"
holds tuned/result.json '[.layerbench.cells[] | select(.samples | length == 1)] | length == 2' "the settings and the resident reference are measured"
answers 0 "seed-comparison" layerbench list scenarios
answers 0 "prefetch=async" layerbench run seed-comparison --model big.gguf --list

# 5. mistakes are told in a line
expect 2 "layerbench tune: --memory: 4.00 MiB is too little for 'big.gguf': expected at least *" layerbench tune --model big.gguf --memory 4M
expect 2 "layerbench tune: --memory: 'lots': expected a size*" layerbench tune --model big.gguf --memory lots
expect 2 "layerbench tune: nowhere.gguf: *No such file*" layerbench tune --model nowhere.gguf
cd "$on" || exit 1
finish
