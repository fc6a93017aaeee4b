----------------------------- MODULE Consensus -----------------------------
(* What a slot is for: at most one value is ever chosen, and it stays chosen. After Lamport's module of the same name. *)
EXTENDS FiniteSets

CONSTANT Value

VARIABLE chosen

TypeOK == chosen \subseteq Value /\ IsFiniteSet(chosen)

Init == chosen = {}

Choose(v) == chosen = {} /\ chosen' = {v}

Next == \E v \in Value : Choose(v)

Spec == Init /\ [][Next]_chosen

AtMostOne == \A v, w \in chosen : v = w
=============================================================================
