# test_mutants: every deliberate fault of scripts/mutants.txt still applies, and names tests that are there.
. harness/tests/lib.sh
check "see above (scripts/mutants.txt follows what it spoils)" scripts/mutate --check
check "at least 90 faults" [ "$(grep -cvE '^(#|$)' scripts/mutants.txt)" -ge 90 ]
finish
