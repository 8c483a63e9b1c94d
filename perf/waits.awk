#!/usr/bin/awk -f
# Folded stacks of waits in microseconds from `perf script --show-switch-events` of sched:sched_switch: a thread is off
# from PERF_RECORD_SWITCH OUT to IN, and the stack of that is the one of the tracepoint just before. Threads that could
# have run and were sent away have a frame of their own on top: they wait for a CPU, not for anything. A wait that lasts
# when the recording ends is left out: nobody knows for how long.

# "comm tid time: event …"; a comm may hold blanks.
/^[^\t ].* [0-9]+ +[0-9]+\.[0-9]+: / {
    at = match($0, / [0-9]+ +[0-9]+\.[0-9]+: /)
    comm = substr($0, 1, at - 1)
    gsub(/ +$/, "", comm)
    gsub(/[; ]/, "_", comm)
    split(substr($0, at, RLENGTH), field, " ")
    tid = field[1]
    time = field[2] + 0
    if (/PERF_RECORD_SWITCH IN/) {
        if (tid in left) sum[stack[tid]] += (time - left[tid]) * 1e6
        delete left[tid]
    } else if (/PERF_RECORD_SWITCH OUT/) {
        # Without its tracepoint (lost) the wait has no stack.
        if (!(tid in pending)) pending[tid] = comm
        stack[tid] = pending[tid] frames[tid] (runnable[tid] ? ";[sent away, wants a CPU]" : "")
        left[tid] = time
        delete pending[tid]; delete frames[tid]; delete runnable[tid]
    } else if (/sched_switch/) {
        pending[tid] = comm
        frames[tid] = ""
        runnable[tid] = /prev_state=R/
    }
    next
}

# A frame, innermost first. Those of the scheduler itself are the same for all.
/^[\t ]+[0-9a-f]+ / {
    name = $0
    sub(/^[\t ]+[0-9a-f]+ /, "", name)
    sub(/\+0x[0-9a-f]+.*$/, "", name)
    gsub(/;/, ":", name)
    if (name !~ /^(__schedule|schedule|schedule_hrtimeout_range.*|schedule_timeout|schedule_idle|preempt_schedule.*)$/)
        frames[tid] = ";" name frames[tid]
}

END { for (key in sum) if (sum[key] >= 0.5) printf "%s %.0f\n", key, sum[key] }
