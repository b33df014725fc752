# Counts the lines of its inputs; job and outputs are JSON files that the environment names.
set -eu
word() { sed -n "s/^ *\"$1\": \"\(.*\)\".*/\1/p" "$ANALYSIS_JOB"; }
mode=$(word mode)
note=$(word note)
echo "counting $UNIT, mode $mode"
[ -z "$note" ] || echo mark >>"$note"
case "$mode" in
fail) echo "no such method" >&2; exit 3 ;;
again) [ -n "$note" ] && [ "$(wc -l <"$note")" -gt 1 ] || exit 75 ;;
kill) kill -9 $$ ;;
crash) kill -SEGV $$ ;;
hang) sleep 600 & wait ;;
silent) exit 0 ;;
broken) echo "{" >"$ANALYSIS_OUTPUTS"; exit 0 ;;
list) echo "[1]" >"$ANALYSIS_OUTPUTS"; exit 0 ;;
large) head -c 2000000 /dev/zero >"$ANALYSIS_OUTPUTS"; exit 0 ;;
nan) echo '{"lines": 0, "ratio": NaN}' >"$ANALYSIS_OUTPUTS"; exit 0 ;;
env) env | sort >"$RESULTS_DIR/env.txt" ;;
esac
lines=0
for path in $(sed -n '/"inputs": \[/,/\]/s/^ *"\(\/.*\)".*/\1/p' "$ANALYSIS_JOB"); do
  lines=$((lines + $(wc -l <"$path")))
done
echo "$lines" >"$1"
echo "{\"lines\": $lines, \"ratio\": 0.5}" >"$ANALYSIS_OUTPUTS"
