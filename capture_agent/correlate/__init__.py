"""Assigns messages to their transactions and dialogs (docs/decisions/correlation.md gives the reasons).

**What an observer can know.** A user agent knows its own state: what it has sent, what it waits for, which timers run.
We see packets on one or several links, some of them twice and some of them never, and have no timers. We can only know
which messages share Call-ID, CSeq, tags and method, and which were seen so far. So a state here is not a party's state,
but what the messages have shown. With a proxy between the parties, a request is captured on each hop: the observer's
transaction is the request from end to end (Call-ID, CSeq number, From tag, method), and its hops are `branches`, each
identified by top Via and URI. The observer's dialog is the caller's: the dialogs that forks create from one request
differ in the To tag, and are one `Dialog` with several `callee_tags`.

    Transaction of an INVITE. A failure counts once no branch is open; "ACK" means the ACK for a failure.

                       +------ 1xx -----> PROCEEDING ----------- 2xx -----+
                       |                      |                           v
        request --> CALLING --- 2xx --------- | ---------------------> ACCEPTED
                     ^ | |                    v failure                 ^    ^
                     | | +--- failure ---> COMPLETED ----- 2xx ---------+    |
                     | |                    |     | ACK                      |
                     | |                    |     v                          |
                     | +------ ACK -------- | --> CONFIRMED -- 2xx ----------+
                     |                      |     |
                     +----------------------+-----+
                       request on another branch: a proxy tries the next target

    Transaction of another request

        request --> TRYING --- final response ---> ANSWERED
                      ^                               |
                      +-- request on another branch --+

    Dialog

        request that creates one, or an answer to it
                             |
                             v      request again, e.g. with credentials
                           EARLY <---------------------------------------+
                             | |                                         |
                             | +-------- refused on all branches ----> ENDED
          2xx, ACK or NOTIFY |                                         ^   |
                             v    2xx to the last BYE, or to the       |   |
        request ------> CONFIRMED ---- end of a subscription ----------+   |
        inside one           ^                                             |
        (joined)             +--------------- 2xx to an INVITE ------------+

The tables of transitions.py say the same as these pictures. A pair that is not listed changes nothing, and no order of
messages is an error.

**What it tolerates.**

* Lost messages. A response whose request was missed begins the transaction. An ACK shows that there was a final
  response. A request inside a dialog, or a 2xx that creates one, shows a dialog whose beginning was missed: it is
  `joined`, and its `caller_tag` comes from the From of the first message seen.
* Messages sent or captured again. A mark combines everything that a retransmission shares only with its original:
  endpoints, top Via, URI, To tag, method, status, length. A message with a known mark is a `retransmission` and changes
  nothing. A transaction keeps 64 marks; later messages count as new, and as `unmarked`.
* Both sides of a proxy. The same request on another hop has another mark, and becomes another branch. A failure counts
  once every branch seen has failed; a 2xx on any branch decides at once.
* Reordered or late messages. A provisional response after a final one changes nothing. A 2xx to an INVITE after a
  failure, or after the dialog has ended, accepts the transaction and confirms the dialog.
* Refused or forged messages. Only a 2xx ends an established dialog. A BYE that is refused or unanswered ends nothing,
  nor does one whose tag is not a callee's: nobody ends a trace by a request that the other side refuses.

**What always holds.**

* Every message with a Call-ID and a CSeq gets a transaction, and a dialog if it belongs to one. Other messages are
  counted, and pass without.
* A transaction or dialog lives while its last message is recent; a confirmed dialog at most `age_seconds`. Every
  look-up checks this: when the queues are cleaned affects memory, never a result.
* Time is packet time (clock.py). One packet with a wrong time expires nothing.
* Each call is in one queue, which owns it, and in the index, which borrows it. Calls with transactions are in
  `settling`; calls with only dialogs left move to `resting`. If the table is full, the queue with more calls, or more
  memory, evicts its first: a flood of new Call-IDs evicts itself, not the dialogs at rest.
* begun = held + over + crowded_out + evicted, for calls, transactions and dialogs each (tally.py).
* No sender can aim at a slot, or at another's mark: Call-IDs, tags and marks are compared as 64-bit numbers with random
  keys (hashing.py). The limits for one Call-ID bound the cost of a message (timers.py).

Modules:

correlator.py   the stage: transaction and dialog of each message; whether it is a retransmission
updating.py     the changes that a message makes to them
transitions.py  tables: which message changes which state
calls_table.py  every Call-ID with its transactions and dialogs; bounds and expiry
index.py        calls by Call-ID
ahead.py        prefetches the memory needed next
queues.py       calls in order of expiry
tally.py        counts of live and former entries
marks.py        methods and marks of messages, as numbers
tags.py         tags, as offsets
vias.py         the path of a request by its Via headers: spirals
timers.py       timers and bounds
"""
