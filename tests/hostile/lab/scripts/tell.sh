# Tells the environment of this process and of the one that started it.
env
cat "/proc/$PPID/environ"
env >&2
echo '{"text": "told"}' > "$ANALYSIS_OUTPUTS"
code=$(sed -n 's/.*"code": \([0-9]*\).*/\1/p' "$ANALYSIS_JOB" | head -n 1)
exit "${code:-0}"
