# pages.awk: layerbench.1 and a page for each command, from the tables of scripts/manual/write.
BEGIN { FS = "\t" }

function roff(text) {
    gsub(/\\/, "\\e", text)
    gsub(/-/, "\\-", text)
    if (text ~ /^[.']/)
        text = "\\&" text
    return text
}

function head(name, about) {
    page = out "/" name ".1"
    print ".TH " toupper(name) " 1 \"\" \"" ENVIRON["VERSION"] "\" \"User Commands\"" >page
    print ".SH NAME\n" roff(name) " \\- " roff(about) >page
    print ".SH SYNOPSIS" >page
}

# Paragraphs; lines that begin with spaces stand as they are.
function prose(line) {
    if (line == "") {
        print (as_is ? ".fi\n" : "") ".PP" >page
        as_is = 0
    } else {
        if ((line ~ /^  /) != as_is) {
            as_is = !as_is
            print as_is ? ".nf" : ".fi" >page
        }
        print roff(line) >page
    }
}
function end_prose() {
    if (as_is)
        print ".fi" >page
    as_is = 0
}

function tail(see) {
    end_prose()
    print ".SH EXIT STATUS" >page
    n = split(ENVIRON["CODES"], codes, "\n")
    for (i = 1; i <= n; i++) {
        code = codes[i]
        print ".TP\n.B " substr(code, 1, 1) "\n" roff(substr(code, 3)) >page
    }
    print ".SH SEE ALSO\n" see >page
    close(page)
}

$1 == "command" {
    if (command)
        tail(".BR layerbench (1)")
    command = $2
    commands[++n_commands] = $2
    abouts[n_commands] = $3
    head("layerbench-" $2, $3)
    described = 0
}
$1 == "usage" { print ".B layerbench " command "\n" roff($2) >page }
$1 == "about" {
    if (!described++)
        print ".SH DESCRIPTION" >page
    prose($2)
}
$1 == "group" {
    end_prose()
    print ".SH " toupper($2 == "options" ? $2 : $2 " options") >page
}
$1 == "option" {
    print ".TP" >page
    print ".B " ($2 ? roff("-" $2) ", " : "") roff("--" $3) ($4 ? " \\fI" roff($4) "\\fR" : "") >page
    text = roff($5)
    if ($7 ~ /^one of /)
        text = text "; " roff($7)
    # what follows from the machine that the page was made on says nothing about the reader's
    if ($6 != "" && $3 != "threads")
        text = text ". Default: " roff($6)
    print text "." >page
}

END {
    tail(".BR layerbench (1)")
    head("layerbench", "how fast language models run whose layers stream from storage")
    print ".B layerbench\n.I COMMAND\n[options]\n.SH DESCRIPTION" >page
    n = split(ENVIRON["ABOUT"], lines, "\n")
    for (i = 1; i <= n; i++)
        prose(lines[i])
    print ".SH COMMANDS" >page
    for (i = 1; i <= n_commands; i++)
        print ".TP\n.BR layerbench\\-" commands[i] " (1)\n" roff(abouts[i]) "." >page
    print ".SH FILES" >page
    print ".TP\n.I share/layerbench/scenarios" >page
    print "Beside the program's folder: the scenarios that " roff("'layerbench run NAME'") " finds by their names." >page
    print ".TP\n.I results/runs\nIn the current folder: results, a folder for each run." >page
    print ".SH EXAMPLES\n.nf" >page
    print roff("layerbench run quick") >page
    print roff("layerbench tune --model model.gguf --memory 4GiB") >page
    print roff("layerbench generate --model model.gguf --prompt \"Once upon a time\" --cache-layers 8") >page
    print ".fi" >page
    see = ""
    for (i = 1; i <= n_commands; i++)
        see = see (i > 1 ? " ,\n" : "") ".BR layerbench\\-" commands[i] " (1)"
    tail(see)
}
