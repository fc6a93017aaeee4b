------------------------------- MODULE Paxos -------------------------------
(***************************************************************************)
(* (A) One slot: single-decree Paxos, refining Consensus.                  *)
(*                                                                         *)
(* After Lamport, "Paxos Made Simple" and his module Paxos. The messages   *)
(* are a set that only grows: a message in it may be received at any time, *)
(* again, or never, which is loss, duplication, reordering and delay.      *)
(* A crash is nothing: what an acceptor answers with is durable first, and *)
(* what a proposer remembers is in the messages.                           *)
(*                                                                         *)
(* paxos.pml is the same in Promela, and packages/simulator has it as a    *)
(* program, onto which every reached state of the real core is projected.  *)
(***************************************************************************)
EXTENDS Integers, FiniteSets

CONSTANTS
    Value,      \* what may be proposed
    Acceptor,   \* who votes
    Quorum,     \* sets of acceptors of which any two meet
    MaxBallot,  \* ballots are 1 .. MaxBallot; 0 is none
    None        \* no value

Ballot == 1 .. MaxBallot

ASSUME NoneIsNoValue == None \notin Value

ASSUME QuorumAssumption ==
    /\ \A Q \in Quorum : Q \subseteq Acceptor
    /\ \A Q, R \in Quorum : Q \cap R # {}

VARIABLES
    promised,       \* Acceptor -> the highest ballot that it promised or accepted, or 0
    votedBallot,    \* Acceptor -> the ballot of its last vote, or 0
    votedValue,     \* Acceptor -> the value of its last vote, or None
    messages        \* all that was ever sent

vars == <<promised, votedBallot, votedValue, messages>>

Message ==
    [type : {"1a"}, ballot : Ballot]
        \cup [type : {"1b"}, acceptor : Acceptor, ballot : Ballot,
              votedBallot : 0 .. MaxBallot, votedValue : Value \cup {None}]
        \cup [type : {"2a"}, ballot : Ballot, value : Value]
        \cup [type : {"2b"}, acceptor : Acceptor, ballot : Ballot, value : Value]

TypeOK ==
    /\ promised \in [Acceptor -> 0 .. MaxBallot]
    /\ votedBallot \in [Acceptor -> 0 .. MaxBallot]
    /\ votedValue \in [Acceptor -> Value \cup {None}]
    /\ messages \subseteq Message

Init ==
    /\ promised = [a \in Acceptor |-> 0]
    /\ votedBallot = [a \in Acceptor |-> 0]
    /\ votedValue = [a \in Acceptor |-> None]
    /\ messages = {}

Send(m) == messages' = messages \cup {m}

(* A proposer begins a round. *)
Start(b) ==
    /\ Send([type |-> "1a", ballot |-> b])
    /\ UNCHANGED <<promised, votedBallot, votedValue>>

(* An acceptor answers a higher ballot than any before: it will accept none below, and says what it last voted for. *)
Promise(a, b) ==
    /\ [type |-> "1a", ballot |-> b] \in messages
    /\ b > promised[a]
    /\ promised' = [promised EXCEPT ![a] = b]
    /\ Send([type |-> "1b", acceptor |-> a, ballot |-> b,
             votedBallot |-> votedBallot[a], votedValue |-> votedValue[a]])
    /\ UNCHANGED <<votedBallot, votedValue>>

(* What a quorum that promised b allows to be proposed: the value of its highest vote, any value when it has none. *)
IsSafeAt(Q, b, v) ==
    LET answers == {m \in messages : m.type = "1b" /\ m.ballot = b /\ m.acceptor \in Q}
        votes == {m \in answers : m.votedBallot > 0}
    IN  /\ \A a \in Q : \E m \in answers : m.acceptor = a
        /\ \/ votes = {}
           \/ \E m \in votes :
                /\ m.votedValue = v
                /\ \A other \in votes : m.votedBallot >= other.votedBallot

(* One 2a a ballot. *)
Propose(b, v) ==
    /\ ~ \E m \in messages : m.type = "2a" /\ m.ballot = b
    /\ \E Q \in Quorum : IsSafeAt(Q, b, v)
    /\ Send([type |-> "2a", ballot |-> b, value |-> v])
    /\ UNCHANGED <<promised, votedBallot, votedValue>>

(* Accepting raises the promise. *)
Accept(a, b, v) ==
    /\ [type |-> "2a", ballot |-> b, value |-> v] \in messages
    /\ b >= promised[a]
    /\ promised' = [promised EXCEPT ![a] = b]
    /\ votedBallot' = [votedBallot EXCEPT ![a] = b]
    /\ votedValue' = [votedValue EXCEPT ![a] = v]
    /\ Send([type |-> "2b", acceptor |-> a, ballot |-> b, value |-> v])

Next ==
    \/ \E b \in Ballot : Start(b)
    \/ \E a \in Acceptor, b \in Ballot : Promise(a, b)
    \/ \E b \in Ballot, v \in Value : Propose(b, v)
    \/ \E a \in Acceptor, b \in Ballot, v \in Value : Accept(a, b, v)

Spec == Init /\ [][Next]_vars

----------------------------------------------------------------------------
(* Safety *)

VotedFor(a, b, v) == [type |-> "2b", acceptor |-> a, ballot |-> b, value |-> v] \in messages

ChosenAt(b, v) == \E Q \in Quorum : \A a \in Q : VotedFor(a, b, v)

chosen == {v \in Value : \E b \in Ballot : ChosenAt(b, v)}

Agreement == \A v, w \in chosen : v = w

OneValuePerBallot ==
    \A m, n \in messages : (m.type = "2a" /\ n.type = "2a" /\ m.ballot = n.ballot) => m.value = n.value

(* After a promise nothing below it is accepted: the votes of an acceptor are not above its promise, and its last is its highest. *)
PromiseKept ==
    \A a \in Acceptor :
        /\ votedBallot[a] <= promised[a]
        /\ \A m \in messages : (m.type = "2b" /\ m.acceptor = a) => m.ballot <= votedBallot[a]
        /\ \A m \in messages : (m.type = "1b" /\ m.acceptor = a) => (m.ballot <= promised[a] /\ m.votedBallot < m.ballot)

(* The heart of the proof: once v can be chosen at b, every higher ballot proposes v. *)
ProposedSafely ==
    \A b, c \in Ballot, v, w \in Value :
        (b < c /\ ChosenAt(b, v) /\ [type |-> "2a", ballot |-> c, value |-> w] \in messages) => v = w

(* Refinement: what is chosen here behaves as Consensus says. Checked as a property. *)
C == INSTANCE Consensus WITH chosen <- chosen

Refines == C!Spec

----------------------------------------------------------------------------
(* Liveness: when the highest ballot is begun and nobody is silent, something is chosen. Duels cannot last: ballots end. *)

HighestBallotServed ==
    /\ WF_vars(Start(MaxBallot))
    /\ \A a \in Acceptor : WF_vars(Promise(a, MaxBallot))
    /\ WF_vars(\E v \in Value : Propose(MaxBallot, v))
    /\ \A a \in Acceptor : WF_vars(\E v \in Value : Accept(a, MaxBallot, v))

LiveSpec == Spec /\ HighestBallotServed

EventuallyChosen == <>(chosen # {})
=============================================================================
