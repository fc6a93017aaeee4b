----------------------------- MODULE LogRepair -----------------------------
(***************************************************************************)
(* (B) The log above single decisions: slots are decided in any order,     *)
(* holes are closed by rounds that propose a no-op, decisions are learned  *)
(* in any order and applied in slot order, and (session, sequence) makes a *)
(* retry safe. What happens inside a slot is Paxos.tla; here a decision is *)
(* one step, of any entry that was proposed for the slot (Consensus.tla).  *)
(*                                                                         *)
(* A client has one command under way at a time: sequence 0 opens its      *)
(* session, the others append. It may try a command again at any node, and *)
(* so at another slot, whether or not an earlier try is decided later.     *)
(***************************************************************************)
EXTENDS Integers, Sequences, FiniteSets

CONSTANTS
    Node,
    Client,
    MaxSlot,        \* slots are 1 .. MaxSlot
    MaxSequence,    \* of a client's commands, after the opening
    Window,         \* how far above what it applied a node proposes
    MaxCrash,       \* crashes, of all nodes together
    Noop,           \* closes a hole
    Undecided

Slot == 1 .. MaxSlot
Command == Client \X (0 .. MaxSequence)
Entry == Command \cup {Noop}
Unknown == -1       \* of a session: it was not opened

ASSUME Noop \notin Command /\ Undecided \notin Entry

VARIABLES
    proposed,   \* Slot -> entries that some round proposed
    decision,   \* Slot -> the decided entry, or Undecided
    learned,    \* Node -> slots whose decision it knows, in memory or on disk
    applied,    \* Node -> it applied slots 1 .. applied
    executed,   \* Node -> the commands that changed its machine, in order
    sessions,   \* Node -> Client -> the last sequence executed, or Unknown
    asked,      \* Client -> the sequence of its command, or Unknown before the first
    answered,   \* Client -> the last sequence that was acknowledged, or Unknown
    crashes

vars == <<proposed, decision, learned, applied, executed, sessions, asked, answered, crashes>>

TypeOK ==
    /\ proposed \in [Slot -> SUBSET Entry]
    /\ decision \in [Slot -> Entry \cup {Undecided}]
    /\ learned \in [Node -> SUBSET Slot]
    /\ applied \in [Node -> 0 .. MaxSlot]
    /\ \A n \in Node : \A i \in 1 .. Len(executed[n]) : executed[n][i] \in Command
    /\ sessions \in [Node -> [Client -> Unknown .. MaxSequence]]
    /\ asked \in [Client -> Unknown .. MaxSequence]
    /\ answered \in [Client -> Unknown .. MaxSequence]
    /\ crashes \in 0 .. MaxCrash

NoSessions == [c \in Client |-> Unknown]

Init ==
    /\ proposed = [s \in Slot |-> {}]
    /\ decision = [s \in Slot |-> Undecided]
    /\ learned = [n \in Node |-> {}]
    /\ applied = [n \in Node |-> 0]
    /\ executed = [n \in Node |-> <<>>]
    /\ sessions = [n \in Node |-> NoSessions]
    /\ asked = NoSessions
    /\ answered = NoSessions
    /\ crashes = 0

(* A client has its next command. *)
Ask(c) ==
    /\ asked[c] = answered[c]
    /\ asked[c] < MaxSequence
    /\ asked' = [asked EXCEPT ![c] = @ + 1]
    /\ UNCHANGED <<proposed, decision, learned, applied, executed, sessions, answered, crashes>>

(* A node proposes it at a slot that is not decided as far as it knows, for the first time or again. *)
Propose(n, c, s) ==
    /\ answered[c] < asked[c]
    /\ s \notin learned[n]
    /\ s > applied[n]
    /\ s <= applied[n] + Window
    /\ proposed' = [proposed EXCEPT ![s] = @ \cup {<<c, asked[c]>>}]
    /\ UNCHANGED <<decision, learned, applied, executed, sessions, asked, answered, crashes>>

(* A hole: a later slot is known decided. Nobody knows a value for it, so the round proposes nothing. *)
Repair(n, s) ==
    /\ s \notin learned[n]
    /\ \E t \in learned[n] : t > s
    /\ proposed' = [proposed EXCEPT ![s] = @ \cup {Noop}]
    /\ UNCHANGED <<decision, learned, applied, executed, sessions, asked, answered, crashes>>

(* Consensus of one slot. *)
Decide(s) ==
    /\ decision[s] = Undecided
    /\ \E e \in proposed[s] : decision' = [decision EXCEPT ![s] = e]
    /\ UNCHANGED <<proposed, learned, applied, executed, sessions, asked, answered, crashes>>

(* From an own round or from a peer that knows it: the decision, never a vote. *)
Learn(n, s) ==
    /\ decision[s] # Undecided
    /\ s \notin learned[n]
    /\ learned' = [learned EXCEPT ![n] = @ \cup {s}]
    /\ UNCHANGED <<proposed, decision, applied, executed, sessions, asked, answered, crashes>>

(* The first sequence opens, each next one executes once, a repeated one does nothing, one of an unknown session is refused. *)
IsNew(n, c, sequence) == sequence = sessions[n][c] + 1

Apply(n) ==
    LET s == applied[n] + 1
    IN  /\ s \in learned[n]
        /\ applied' = [applied EXCEPT ![n] = s]
        /\ IF decision[s] # Noop /\ IsNew(n, decision[s][1], decision[s][2])
           THEN /\ executed' = [executed EXCEPT ![n] = Append(@, decision[s])]
                /\ sessions' = [sessions EXCEPT ![n][decision[s][1]] = decision[s][2]]
           ELSE UNCHANGED <<executed, sessions>>
        /\ UNCHANGED <<proposed, decision, learned, asked, answered, crashes>>

(* A node answers what it has applied. *)
Answer(n, c) ==
    /\ answered[c] < asked[c]
    /\ sessions[n][c] >= asked[c]
    /\ answered' = [answered EXCEPT ![c] = asked[c]]
    /\ UNCHANGED <<proposed, decision, learned, applied, executed, sessions, asked, crashes>>

(* The machine is memory and is built again from the log; of the log what was applied is on disk, and of the rest nothing need be. *)
Crash(n) ==
    /\ crashes < MaxCrash
    /\ crashes' = crashes + 1
    /\ learned' = [learned EXCEPT ![n] = 1 .. applied[n]]
    /\ applied' = [applied EXCEPT ![n] = 0]
    /\ executed' = [executed EXCEPT ![n] = <<>>]
    /\ sessions' = [sessions EXCEPT ![n] = NoSessions]
    /\ UNCHANGED <<proposed, decision, asked, answered>>

Next ==
    \/ \E c \in Client : Ask(c)
    \/ \E n \in Node, c \in Client, s \in Slot : Propose(n, c, s)
    \/ \E n \in Node, s \in Slot : Repair(n, s)
    \/ \E s \in Slot : Decide(s)
    \/ \E n \in Node, s \in Slot : Learn(n, s)
    \/ \E n \in Node : Apply(n)
    \/ \E n \in Node, c \in Client : Answer(n, c)
    \/ \E n \in Node : Crash(n)

Spec == Init /\ [][Next]_vars

----------------------------------------------------------------------------
(* Safety *)

IsPrefix(short, long) == Len(short) <= Len(long) /\ \A i \in 1 .. Len(short) : short[i] = long[i]

(* Every node's machine is at a point of one history. *)
OneOrder == \A m, n \in Node : applied[m] <= applied[n] => IsPrefix(executed[m], executed[n])

ExecutedOnce == \A n \in Node : \A i, j \in 1 .. Len(executed[n]) : executed[n][i] = executed[n][j] => i = j

(* The commands of a client execute in the order of their sequences, without a gap. *)
SessionOrder ==
    \A n \in Node : \A i \in 1 .. Len(executed[n]) :
        LET c == executed[n][i][1]
            sequence == executed[n][i][2]
        IN  sequence > 0 => \E j \in 1 .. i - 1 : executed[n][j] = <<c, sequence - 1>>

(* What was acknowledged is in the log, and whoever has applied that far has executed it. *)
AcknowledgedIsKept ==
    \A c \in Client : \A sequence \in 0 .. answered[c] :
        \E s \in Slot :
            /\ decision[s] = <<c, sequence>>
            /\ \A n \in Node : applied[n] >= s => \E i \in 1 .. Len(executed[n]) : executed[n][i] = <<c, sequence>>

NoGap == \A n \in Node : \A s \in 1 .. applied[n] : s \in learned[n] /\ decision[s] # Undecided

LearnedIsDecided == \A n \in Node : \A s \in learned[n] : decision[s] # Undecided

(* A decision is for ever. Checked as a property. *)
DecisionsStay == [][\A s \in Slot : decision[s] # Undecided => decision'[s] = decision[s]]_vars

----------------------------------------------------------------------------
(* Liveness: whatever is decided is applied everywhere, the holes below it are closed. *)

Progress ==
    /\ \A n \in Node, s \in Slot : WF_vars(Repair(n, s)) /\ WF_vars(Learn(n, s))
    /\ \A s \in Slot : WF_vars(Decide(s))
    /\ \A n \in Node : WF_vars(Apply(n))

LiveSpec == Spec /\ Progress

HolesClose == \A s \in Slot, n \in Node : (decision[s] # Undecided) ~> (applied[n] >= s)
=============================================================================
