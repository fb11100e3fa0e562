# completions.awk: completion for -v shell=bash, zsh or fish, from the tables of scripts/manual/write.
BEGIN { FS = "\t" }

# What may stand after an option or as a word: "files", words with spaces between, or "" for anything.
function values(kind, expected) {
    if (kind == "FILE" || kind == "DIR")
        return "files"
    if (expected ~ /^on or off/)
        return "on off"
    if (expected ~ /^one of /) {
        gsub(/^one of |,|''/, "", expected)
        gsub(/  +/, " ", expected)
        return expected
    }
    return ""
}
function words_of(usage) {
    if (usage ~ /KIND/)
        return "kinds"
    return usage ~ /SCENARIO/ ? "scenarios" : usage ~ /FILE|RESULT|TEXT/ ? "files" : ""
}
function quoted(text) { gsub(/'/, "'\\''", text); return "'" text "'" }
function described(text) { gsub(/[\[\]:]/, "\\\\&", text); gsub(/'/, "'\\''", text); return text }

$1 == "command" { command[++n] = $2; about[$2] = $3; at = $2 }
$1 == "usage" { words[at] = words_of($2) }
$1 == "option" {
    i = ++n_options[at]
    letter[at, i] = $2; name[at, i] = $3; value[at, i] = $4; text[at, i] = $5; may[at, i] = values($4, $7)
}

END {
    print (shell == "zsh" ? "#compdef layerbench\n" : "") "# Completion of layerbench for " shell "; made by scripts/manual/write."
    if (shell == "bash") bash()
    if (shell == "zsh") zsh()
    if (shell == "fish") fish()
}

function bash(    c, i, k, o) {
    print "_layerbench()"
    print "{"
    print "    local current=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]} command=${COMP_WORDS[1]} options='' words=''"
    print "    [ \"$previous\" = '=' ] && previous=${COMP_WORDS[COMP_CWORD - 2]}"
    print "    [ \"$current\" = '=' ] && current='' && previous=${COMP_WORDS[COMP_CWORD - 1]}"
    print "    if [ \"$COMP_CWORD\" = 1 ]; then"
    printf "        mapfile -t COMPREPLY < <(compgen -W '"
    for (k = 1; k <= n; k++) printf "%s ", command[k]
    print "--help --version' -- \"$current\")"
    print "        return"
    print "    fi"
    print "    case \"$command $previous\" in"
    for (k = 1; k <= n; k++)
        for (i = 1; i <= n_options[c = command[k]]; i++)
            if (value[c, i] != "") {
                o = "\"" c " --" name[c, i] "\"" (letter[c, i] ? " | \"" c " -" letter[c, i] "\"" : "")
                print "    " o ") words=" quoted(may[c, i] == "" ? "-" : may[c, i]) " ;;"
            }
    print "    esac"
    print "    if [ -z \"$words\" ]; then"
    print "        case $command in"
    for (k = 1; k <= n; k++) {
        c = command[k]
        printf "        %s) words=%s options='--help", c, quoted(words[c])
        for (i = 1; i <= n_options[c]; i++) printf " --%s", name[c, i]
        print "' ;;"
    }
    print "        esac"
    print "    fi"
    print "    case $current,$words in"
    print "    -*) words=$options ;;"
    print "    *,-) return ;;"
    print "    *,scenarios) words=$(layerbench list scenarios 2>/dev/null | awk 'NR > 1 { print $1 }') ;;"
    print "    *,kinds) words=$(layerbench list 2>/dev/null | sed -n 's/:$//p') ;;"
    print "    esac"
    print "    mapfile -t COMPREPLY < <([ \"$words\" = files ] || compgen -W \"$words\" -- \"$current\")"
    print "    [ ${#COMPREPLY[@]} -gt 0 ] || { compopt -o filenames 2>/dev/null; mapfile -t COMPREPLY < <(compgen -f -- \"$current\"); }"
    print "}"
    print "complete -F _layerbench layerbench"
}

function zsh_action(what) {
    if (what == "files") return "_files"
    if (what == "scenarios") return "_layerbench_scenarios"
    if (what == "kinds") return "_layerbench_kinds"
    return what == "" ? " " : "(" what ")"
}
function zsh(    c, i, k, l) {
    print "_layerbench_scenarios() {"
    print "  local -a names=(${(f)\"$(layerbench list scenarios 2>/dev/null | awk 'NR > 1 { print $1 }')\"})"
    print "  compadd -a names"
    print "  _files"
    print "}"
    print "_layerbench_kinds() { compadd ${(f)\"$(layerbench list 2>/dev/null | sed -n 's/:$//p')\"} }"
    print "_layerbench() {"
    print "  local -a commands=("
    for (k = 1; k <= n; k++) print "    '" command[k] ":" described(about[command[k]]) "'"
    print "  )"
    print "  if ((CURRENT == 2)); then _describe command commands; return; fi"
    print "  local command=$words[2]"
    print "  shift words; ((CURRENT--))"
    print "  case $command in"
    for (k = 1; k <= n; k++) {
        c = command[k]
        print "  " c ") _arguments \\"
        for (i = 1; i <= n_options[c]; i++) {
            l = letter[c, i]
            printf "    %s--%s%s'[%s]%s' \\\n", l ? "'(-" l " --" name[c, i] ")'{-" l "," : "", name[c, i], l ? "}" : "", described(text[c, i]),
                value[c, i] == "" ? "" : ":" described(value[c, i]) ":" zsh_action(may[c, i])
        }
        print "    '*:" (words[c] == "" ? "word: " : words[c] ":" zsh_action(words[c])) "' ;;"
    }
    print "  esac"
    print "}"
    print "_layerbench \"$@\""
}

function fish(    c, i, k, seen, what) {
    print "complete -c layerbench -f"
    for (k = 1; k <= n; k++)
        print "complete -c layerbench -n __fish_use_subcommand -a " command[k] " -d " quoted_fish(about[command[k]])
    for (k = 1; k <= n; k++) {
        c = command[k]
        seen = "complete -c layerbench -n '__fish_seen_subcommand_from " c "'"
        if (words[c] == "files" || words[c] == "scenarios") print seen " -F"
        if (words[c] == "scenarios") print seen " -a '(layerbench list scenarios 2>/dev/null | awk \"NR > 1 { print \\$1 }\")'"
        if (words[c] == "kinds") print seen " -a '(layerbench list 2>/dev/null | sed -n \"s/:\\$//p\")'"
        for (i = 1; i <= n_options[c]; i++) {
            what = may[c, i]
            print seen " -l " name[c, i] (letter[c, i] ? " -s " letter[c, i] : "") (value[c, i] == "" ? "" : what == "files" ? " -r -F" : what == "" ? " -x" : " -x -a " quoted_fish(what)) " -d " quoted_fish(text[c, i])
        }
    }
}
function quoted_fish(text) { gsub(/\\/, "\\\\", text); gsub(/'/, "\\'", text); return "'" text "'" }
