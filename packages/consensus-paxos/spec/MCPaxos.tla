------------------------------ MODULE MCPaxos ------------------------------
(* Constants of Paxos for TLC: three acceptors, any two of them a quorum. *)
EXTENDS Paxos

MajorityQuorum == {Q \in SUBSET Acceptor : Cardinality(Q) * 2 > Cardinality(Acceptor)}
=============================================================================
