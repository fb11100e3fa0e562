# test_chat: prompts from files and pipes; a conversation: turns stay in the KV cache, its end, a full
# context, Ctrl-C on a terminal; progress on a terminal and nowhere else.
. harness/tests/lib.sh
run=$LAYERBENCH
synth "$work/m.gguf" --shape tiny --quant Q8_0 --layers 4
cd "$work" || exit 1
common=(-m m.gguf --chat-template chatml --temperature 0)

# ---- where a prompt comes from
printf 'one two\nthree' >prompt.txt
"$run" generate -m m.gguf -p "$(cat prompt.txt)" -n 6 -q >expected 2>err
"$run" generate -m m.gguf --prompt-file prompt.txt -n 6 -q >text 2>err
check "--prompt-file" cmp expected text
"$run" generate -m m.gguf --prompt-file - -n 6 -q <prompt.txt >text 2>err
check "--prompt-file -" cmp expected text
[ ! -s err ] || fail "-q speaks where there is no terminal: $(cat err)"
expect 2 "layerbench generate: no prompt: expected --prompt TEXT or --prompt-file FILE" "$run" generate -m m.gguf
expect 2 "layerbench generate: two prompts: expected*" "$run" generate -m m.gguf -p a -f prompt.txt
expect 2 "layerbench generate: nowhere: cannot open: No such file*" "$run" generate -m m.gguf -f nowhere
printf 'a\0b' >zero
expect 2 "layerbench generate: --prompt-file: zero: expected text, not a byte 0 at 1" "$run" generate -m m.gguf -f zero
expect 2 "layerbench generate: --chat-template: 'x': expected one of auto, chatml*" "$run" generate -m m.gguf -f zero --chat-template x

# ---- a conversation
say() { printf '%s\n' "$@" | "$run" chat "${common[@]}" -n 12 --prefetch sync --cache-layers 2 >text 2>err; }
say "hello" && first=$(cat text)
is "$("$run" generate "${common[@]}" --chat -p hello -n 12 -q)" "$first" "the first answer"
say "hello" "" "and you" && is "$(head -n "$(wc -l <<<"$first")" text)" "$first" "the first of two answers"
grep -q '^2 messages, [0-9]* of ' err || fail "an empty line is no message: $(head -1 err)"
held=$(sed -n 's/^2 messages, \([0-9]*\) .*/\1/p' err)
# each layer is had once for a message and once for a token drawn after the first: nothing anew
accesses=$(sed -n 's/^accesses: \([0-9]*\) hit, \([0-9]*\) prefetched, \([0-9]*\) late, \([0-9]*\) miss.*/\1+\2+\3+\4/p' err)
[ $((accesses)) -le $((4 * 2 * 12)) ] || fail "two messages take $accesses accesses of 4 layers"
say "hello" "hello" "hello" && is "$(sed -n 's/^3 messages, \([0-9]*\) .*/\1/p' err | awk -v h="$held" '{ print ($1 > h) }')" 1 "three messages hold more than two"
printf 'hello' | "$run" chat "${common[@]}" -n 4 -q >text 2>err
is "$?" 0 "a last line without an end"
is "$(cat err)" "" "chat -q is silent"
"$run" chat "${common[@]}" </dev/null >text 2>err
is "$? $(cat text err)" "0 " "no message"

# a system message: part of what is held, once; generate --chat has the same; it stays when the context is full
sys=(--system "answer in one word")
printf '%s\n' hello "and you" | "$run" chat "${common[@]}" "${sys[@]}" -n 12 >text 2>err
more=$(sed -n 's/^2 messages, \([0-9]*\) .*/\1/p' err)
"$run" generate "${common[@]}" --chat "${sys[@]}" -p hello -n 12 -q >expected 2>err
is "$(head -c "$(wc -c <expected)" text)" "$(cat expected)" "the first answer after a system message"
[ "$(cat expected)" != "$first" ] || fail "a system message changes nothing"
"$run" generate -m m.gguf -p "<|im_start|>system
answer in one word<|im_end|>
<|im_start|>user
hello<|im_end|>
<|im_start|>assistant
" --special -n 12 -q --temperature 0 >whole 2>err
is "$(tail -c "$(wc -c <expected)" whole)" "$(cat expected)" "a system message in its template"
system=$("$run" tokenize -m m.gguf --special "<|im_start|>system
answer in one word<|im_end|>
" | wc -w)
[ "$more" -gt "$held" ] && [ "$more" -le $((held + system + 24)) ] || fail "two messages hold $held tokens, after a system message of $system $more"
printf '%s\n' one two three four five six | "$run" chat "${common[@]}" "${sys[@]}" -n 20 --context 128 >text 2>err
is "$?" 0 "a full context with a system message"
expect 2 "layerbench chat: --system: [0-9]* tokens with the template: expected less than 32 (--context)" "$run" chat "${common[@]}" --context 32 --system "$(yes word | head -n 60 | tr '\n' ' ')"
expect 2 "layerbench generate: --system: expected with --chat*" "$run" generate -m m.gguf -p a "${sys[@]}"

# a context that is full: what was said goes, the message is answered; one too long is refused, and the next answered
printf '%s\n' one two three four five six | "$run" chat "${common[@]}" -n 20 --context 96 >text 2>err
is "$?" 0 "a full context"
grep -q "layerbench chat: the context of 96 tokens (--context) is full" err || fail "no word of the full context: $(cat err)"
printf '%s\n' "$(yes word | head -n 60 | tr '\n' ' ')" short | "$run" chat "${common[@]}" -n 4 --context 64 >text 2>err
is "$?" 0 "a message that is too long"
grep -q "layerbench chat: a message of [0-9]* tokens: expected less than 64 (--context)" err || fail "$(cat err)"
grep -q "^1 messages" err || fail "the short message was not answered: $(cat err)"

expect 2 "layerbench chat: *chat_template' is missing*" "$run" chat -m m.gguf
expect 2 "layerbench chat: 'hello': expected options only*" "$run" chat -m m.gguf hello
expect 2 "layerbench chat: --speculate replay:*" "$run" chat -m m.gguf --speculate replay
expect 2 "layerbench chat: no model*" "$run" chat
expect 2 "layerbench chat: nowhere.gguf: *No such file*" "$run" chat -m nowhere.gguf
say "hello" "and you" && cp text plain
printf '%s\n' hello "and you" | "$run" chat "${common[@]}" -n 12 --speculate ngram -q >text 2>err
check "guessing changes no answer" cmp plain text

# ---- a terminal
if command -v script >/dev/null; then
    # slow enough that an answer is under way when Ctrl-C comes: 4 layers of a millisecond each
    slow="--storage memory --device latency=20ms --prefetch off --cache-layers 1"
    # what is typed waits for what it answers: a busy machine is slow, not wrong
    shows() # TEXT TIMES: the terminal shows TEXT as often
    {
        [ "$(tr '\r' '\n' <terminal | grep -c -- "$1")" -ge "$2" ]
    }
    longer() # the terminal shows more than it did
    {
        [ "$(wc -c <terminal)" -gt "$shown" ]
    }
    answers() # a part of an answer follows what was typed
    {
        shown=$(wc -c <terminal)
        until_true longer && shown=$(wc -c <terminal) && until_true longer
    }
    mkfifo keys
    : >terminal
    script -qec "$run chat -m m.gguf --chat-template chatml -n 1000 --context 4000 $slow" /dev/null <keys >terminal 2>&1 &
    program=$!
    exec 4>keys
    for n in 1 2; do
        until_true shows '^> ' $n || fail "message $n is not asked for: $(tail -c 300 terminal)"
        printf 'hello\r' >&4
        answers || fail "no answer to message $n: $(tail -c 300 terminal)"
        printf '\003' >&4
    done
    until_true shows '^> ' 3 || fail "Ctrl-C did not end the answer: $(tail -c 300 terminal)"
    printf '\004' >&4
    wait $program
    is "$?" 0 "the program after two Ctrl-C and a Ctrl-D"
    exec 4>&-
    grep -q '^2 messages' terminal || fail "Ctrl-C ended more than an answer: $(tail -c 600 terminal)"
    script -qec "$run generate -m m.gguf -f prompt.txt -n 1 $slow --device latency=300ms" /dev/null >terminal 2>&1 </dev/null
    grep -q 'prompt \[#*\.*\] .*%' terminal || fail "no progress of the prompt on a terminal: $(head -c 300 terminal)"
    "$run" generate -m m.gguf -f prompt.txt -n 1 $slow --device latency=300ms >text 2>err
    ! grep -q 'prompt \[' text err || fail "progress where there is no terminal"
else
    part_skipped "no terminal: no script (util-linux)"
fi
finish
