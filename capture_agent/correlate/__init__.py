"""Messages to the transactions and dialogs that they belong to (docs/decisions/correlation.md says why).

**What an observer can know.** A user agent knows its own state: what it has sent, what it waits for, which timers run.
We see packets on one or several links, some of them twice and some of them never, and have no timer. What we can know
is which messages have the same Call-ID, CSeq, tags and method, and what was seen of them so far. So a state here is not
what a party is in, but what messages have shown. With a proxy between the parties, one request is captured on each hop:
the observer's transaction is the request from end to end (Call-ID, CSeq number, From tag, method), and its hops are
`branches`, each recognised by top Via and URI. The observer's dialog is the caller's: the dialogs that forks make of
one request differ in the To tag, and are one `Dialog` with several `callee_tags`.

    Transaction of an INVITE. A failure counts once no branch is open; an ACK is one for a failure.

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

        request that makes one, or an answer to it
                             |
                             v      request again, with credentials, say
                           EARLY <---------------------------------------+
                             | |                                         |
                             | +-------- refused on all branches ----> ENDED
          2xx, ACK or NOTIFY |                                         ^   |
                             v    2xx to the last BYE, or to what      |   |
        request ------> CONFIRMED --------- ends a subscription -------+   |
        inside one           ^                                             |
        (joined)             +--------------- 2xx to an INVITE ------------+

transitions.py has these pictures as tables. A pair that is not listed changes nothing, and no order of messages is an
error.

**What is forgiven.**

* Lost. A response whose request was missed begins the transaction. An ACK shows that there was a final response.
  A request inside a dialog, or a 2xx that makes one, shows a dialog whose beginning was not seen: it is `joined`, and
  `caller_tag` is what the first message that was seen has in From.
* Sent or captured again. A message has a mark, of all that a retransmission has in common with its original and with
  nothing else: endpoints, top Via, URI, To tag, method, status, length. One with a known mark is a `retransmission` and
  changes nothing. 64 marks are kept for a transaction; after them a message counts as new, and as `unmarked`.
* Both sides of a proxy. The same request on another hop has another mark, and becomes one more branch. A failure counts
  once each branch that was seen has one; a 2xx on any of them decides at once.
* Reordered, late. A provisional response after a final one changes nothing. A 2xx to an INVITE after a failure, or
  after the dialog has ended, makes both the transaction accepted and the dialog confirmed.
* Refused, or forged. An established dialog is ended by a 2xx alone. A BYE that is refused or unanswered ends nothing,
  and neither does one whose tag is not a callee's: nobody ends a trace by a request that the other side refuses.

**What always holds.**

* Each message with a Call-ID and a CSeq gets a transaction, and a dialog if it belongs to one. One without is counted,
  and goes on without.
* A transaction lives while its last message is recent, and so does a dialog; a confirmed one at most `age_seconds`.
  Each lookup asks that: when the queues are cleaned changes memory, never an answer.
* Time is the packets' (clock.py). One packet with a wrong time ends nothing.
* Each call is in one queue, which owns it, and in the index, which borrows it. Calls with transactions are in
  `settling`; those that have only dialogs left come to `resting`. When the table is full the queue with more calls, or
  more memory, evicts its first: a flood of new Call-IDs evicts itself, not the dialogs at rest.
* begun = held + over + crowded_out + evicted, for calls, transactions and dialogs each (tally.py).
* No sender can aim at a slot, or at another's mark: Call-IDs, tags and marks are compared as 64-bit numbers with random
  keys (hashing.py). What a message costs is bounded by what one Call-ID may hold (timers.py).

Modules:

correlator.py   the stage: transaction and dialog of each message; whether it is a retransmission
updating.py     the changes that a message makes there
transitions.py  tables: which message changes which state
calls_table.py  every Call-ID with its transactions and dialogs; bounds and expiry
index.py        calls by their Call-ID
ahead.py        prefetches the memory that comes next
queues.py       the calls in the order of their expiry
tally.py        how many there are, and what happened to the others
marks.py        methods and marks of messages, as numbers
tags.py         tags, as offsets
vias.py         the path of a request by its Via headers: spirals
timers.py       timers and bounds
"""
