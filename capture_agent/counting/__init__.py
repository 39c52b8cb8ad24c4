"""Counts SIP, and calls: what the ratios of RFC 6076 and of operators are computed from (docs/call-figures.md).

**A call** is what has one Call-ID, from an INVITE without To tag to its end. Challenged (401, 407), redirected or asked
for something else, and sent again with a higher CSeq, it is the same call, and so it is where a proxy forks it or sends
it on: each hop has its own branch in the top Via, and the hops with the fewest Vias are those nearest to the caller.
They decide what became of the call; what happens behind them shows only that it goes on.

    INVITE ---> OPEN --- 101-198 ---> RINGING --- 2xx ---> ANSWERED --- BYE and its answer ---> ENDED
                 |  ^                  |     (or from OPEN, PENDING, OVER)
                 |  |  INVITE again    |
                 |  +-----------+---+  | each nearest branch has failed
                 |              |   |  v
                 +--------> PENDING |  (statuses after which a caller tries again: RETRIED)
                 |              |   |
                 |              v   |
                 +------------> OVER+  failed, cancelled or abandoned: counted

PENDING becomes OVER when nothing comes for 32 seconds. A call that goes on after it was counted as failed is `resumed`:
counters never go back. What always holds:

    attempts + resumed = answered + failed + cancelled + abandoned + in setup + evicted in setup
    answered = ended + active + evicted while active

Time is the packets' (clock.py), so a replay counts what live traffic did, in whatever batches it comes.

Modules:

stage.py            the stage: counts each message, and follows calls where that is wanted
sides.py            peer and direction of a message, as one number (hot)
networks.py         which network an address is in (hot)
peer_names.py       names of networks
sip_counters.py     requests, responses, retransmissions (hot)
followed_calls.py   calls: attempts and what becomes of them (hot)
call_record.py      one call (hot)
call_table.py       the calls that are followed, and when each is due (hot)
call_counts.py      what is counted of them (hot)
exchanges.py        REGISTER and OPTIONS: from the request to its final response (hot)
bindings.py         who is registered now (hot)
ids.py              Call-ID, tags and branch as numbers (hot)
causes.py           Q.850 causes in Reason (hot)
ordered_table.py    things by key, in queues (hot)
due_times.py        what is due at which second (hot)
durations.py        durations by bucket (hot)
side_counts.py      counts by side (hot)
said_counts.py      counts by side and status
snapshot.py         all figures, by name and labels
"""
