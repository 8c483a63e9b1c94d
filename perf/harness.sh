# Sourced by the scripts here: builds, starts an engine, its Redis and a load, knows when they are ready, and ends them.
# Engine on the first CPU; Redis, loadgen and, by the engine's own choice, ingest on the last.
# Sets: out (artefacts), bin (the binaries), engine (its pid), url, admin, redis_url, load (loadgen's pid).

out=perf/out/$(basename "$0")
mkdir -p "$out"
bin='' engine='' redis='' load='' url='' admin='' redis_url='' started=()

fail() { echo "$1" >&2; exit "${2:-1}"; }
usage_error() { fail "$1; see the head of perf/$(basename "$0")" 2; }

# need TOOL PACKAGE: ends with the remedy where the tool is missing.
need() { command -v "$1" >/dev/null || fail "$1 is missing; install $2"; }
need_perf() { need perf 'linux-perf (Debian) or linux-tools (Ubuntu)'; }

# may_trace EVENT: whether perf is here and may see it in the kernel. Without the suffix perf would quietly look at the
# process's own side, where tracepoints never happen.
may_trace() { command -v perf >/dev/null && perf stat -e "$1:k" true >/dev/null 2>&1; }

# whole OPTION VALUE: for options that take a positive whole number.
whole() { [[ $2 =~ ^[1-9][0-9]*$ ]] || usage_error "$1 takes a whole number above 0, not \"$2\""; }

stop() {
    local pid
    for pid in "${started[@]}"; do kill "$pid" 2>/dev/null || true; done
    for pid in "${started[@]}"; do wait "$pid" 2>/dev/null || true; done
    started=()
}
trap stop EXIT

target_directory() { cargo metadata --no-deps --format-version 1 | sed -n 's/.*"target_directory":"\([^"]*\)".*/\1/p'; }

# build release|profiling: sets bin, unless --bin did.
build() {
    [ -z "$bin" ] || { [ -x "$bin/tickwire" ] && [ -x "$bin/loadgen" ] || fail "there is no tickwire and loadgen in $bin"; return 0; }
    local target packages=(--package tickwire-engine --package loadgen)
    target=$(target_directory)
    if [ "$1" = profiling ]; then
        # Frame pointers make walking a stack cheap; without them most stacks end after one frame. In a directory of
        # its own: other flags for the compiler would have everything else built anew.
        RUSTFLAGS='-C force-frame-pointers=yes' cargo build --quiet --locked --profile profiling \
            --target-dir "$target/profiling" "${packages[@]}"
        bin=$target/profiling/profiling
    else
        cargo build --quiet --release --locked "${packages[@]}"
        bin=$target/release
    fi
}

# on_cpu first|last COMMAND …: pinned there; where there is one CPU only, not at all.
on_cpu() {
    local cpu=0
    [ "$1" = first ] || cpu=$(($(nproc) - 1))
    shift
    if [ "$(nproc)" -ge 2 ]; then exec taskset -c "$cpu" "$@"; else exec "$@"; fi
}

start_redis() {
    need redis-server 'redis-server (Debian)'
    : >"$out/redis.log"
    for _ in 1 2 3 4 5; do
        # Below the ports that the kernel gives to clients.
        ! start_redis_on $((20000 + RANDOM % 12000)) || return 0
    done
    fail "Redis did not start; see $out/redis.log"
}

# start_redis_on PORT: 1 where it ends at once, as where the port is another's.
start_redis_on() {
    local lines
    lines=$(wc -l <"$out/redis.log")
    on_cpu last redis-server --port "$1" --bind 127.0.0.1 --save '' --dir "$out" >>"$out/redis.log" 2>&1 &
    redis=$!
    started+=("$redis")
    redis_url=redis://127.0.0.1:$1
    for _ in $(seq 50); do
        kill -0 "$redis" 2>/dev/null || return 1
        ! tail -n "+$((lines + 1))" "$out/redis.log" | grep -q 'Ready to accept' || return 0
        sleep 0.1
    done
    return 1
}

# start_engine [FLAG …]: on the Redis if there is one; else on the built-in feed if `feed` says which; else without a source.
# On the first CPU, or on those that `cores` lists.
start_engine() {
    local source=(--simulate=false) on_cores=(--cores auto)
    [ -z "${feed-}" ] || source=(--simulate "$feed")
    [ -z "$redis_url" ] || source=(--redis-url "$redis_url")
    [ "$(nproc)" -lt 2 ] || on_cores=(--cores "${cores:-0}")
    : >"$out/engine.log" # There before it is looked at.
    "$bin/tickwire" --listen 127.0.0.1:0 --admin-listen 127.0.0.1:0 "${on_cores[@]}" "${source[@]}" "$@" >"$out/engine.log" 2>&1 &
    engine=$!
    started+=("$engine")
    for _ in $(seq 100); do
        kill -0 "$engine" 2>/dev/null || break
        url=$(sed -n 's/^  clients  \(ws:[^ ]*\).*/\1/p' "$out/engine.log")
        admin=$(sed -n 's|^  admin    \(http://[^/]*\).*|\1|p' "$out/engine.log")
        [ -n "$url" ] && [ -n "$admin" ] && curl -s "$admin/ready" | grep -q '"ready"' && return
        sleep 0.1
    done
    cat "$out/engine.log" >&2
    fail 'the engine did not start; its own words are above'
}

# start_load SCENARIO SECONDS [FLAG …]: of loadgen. The flags win over what the scenario brings. Does not wait.
start_load() {
    local scenario=$1 seconds=$2 source=()
    shift 2
    [ -z "$redis_url" ] || source=(--publish "$redis_url")
    rm -f "$out/report.json"
    on_cpu last "$bin/loadgen" run "$scenario" --url "$url" "${source[@]}" --duration "${seconds}s" --server-pid "$engine" \
        --json "$out/report.json" "$@" >"$out/load.txt" 2>&1 &
    load=$!
    started+=("$load")
}

# wait_for_load [CONNECTIONS]: until clients are subscribed and, with a source, have got values for a second.
wait_for_load() {
    local wanted=${1:-1} subscribed
    for _ in $(seq 300); do
        load_runs
        subscribed=$(metric tickwire_messages_received_total 'action="subscribe"')
        if [ "$subscribed" -ge "$wanted" ] && { [ -z "$redis_url" ] || [ "$(metric tickwire_sends_total)" -gt 0 ]; }; then
            sleep 1
            load_runs
            return
        fi
        sleep 0.1
    done
    cat "$out/load.txt" >&2
    fail "$wanted clients were not served within 30 s; loadgen's words are above, the engine's in $out/engine.log"
}

load_runs() {
    kill -0 "$load" 2>/dev/null && return
    cat "$out/load.txt" >&2
    fail "loadgen has ended too soon; its own words are above"
}

# end_load: waits for its report. A missed target is a result here; no report is not.
end_load() {
    local code=0
    wait "$load" || code=$?
    [ -s "$out/report.json" ] || { cat "$out/load.txt" >&2; fail 'loadgen gave no report; its own words are above'; }
    [ "$code" -eq 0 ] || echo "loadgen's exit code was $code: $(verdict)" >&2
}

# verdict: what loadgen missed, or why it gives none.
verdict() { grep -E '^(missed|no verdict|spoiled)' "$out/load.txt" | tr -s ' ' | paste -sd ';' - || true; }

# metric NAME [FILTER]: the sum of its samples whose labels match, as a whole number.
metric() {
    curl -s "$admin/metrics" | awk -v name="$1" -v filter="${2:-}" \
        'index($1, name) == 1 && $1 ~ "^" name "([{]|$)" && $1 ~ filter { sum += $2 } END { printf "%.0f", sum }'
}

# load_flags SCENARIO CONNECTIONS RATE: as flags what was given; a steady run is by default one that keeps a shard busy.
load_flags() {
    local connections=$2 rate=$3
    [ "$1" != steady ] || connections=${connections:-1000} rate=${rate:-500}
    [ -z "$connections" ] || printf '%s\n' --connections "$connections"
    [ -z "$rate" ] || printf '%s\n' --rate "$rate"
}

# need_known_scenario SCENARIO: before anything is started for it.
need_known_scenario() {
    "$bin/loadgen" list | grep -q "^$1 " || usage_error "loadgen has no scenario \"$1\" (loadgen list)"
}
