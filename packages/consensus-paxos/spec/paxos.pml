/*
 * Single-decree Paxos in Promela: the twin of Paxos.tla and of the executable model in packages/simulator/src/specification.
 * 3 acceptors, 3 ballots, 2 values, any 2 acceptors a quorum. Messages are sets that only grow, so that loss, duplication,
 * reordering and delay are all in it. spin visits 185,369 states, as many as TLC and the executable model do.
 *
 * check-promela.sh runs it, and the planted errors. By hand:
 *
 *   spin -a paxos.pml && gcc -O2 -DSAFETY -DNOREDUCE -o pan pan.c && ./pan
 *
 * Planted errors, each to be found: -DPLANTED=1 an acceptor votes below its promise, 2 a promise does not report the vote,
 * 3 one acceptor is taken for a phase-2 quorum.
 */
#ifndef PLANTED
#define PLANTED 0
#endif

#define AT(a, b) ((a) * 3 + (b) - 1)

/* Of acceptors 0, 1, 2; ballots are 1, 2, 3 and values 1, 2; 0 is none. */
byte promised[3];
byte votedBallot[3];
byte votedValue[3];
/* 1a(b) was sent. */
bool started[4];
/* 1b(a, b): 0 while it was not sent, else 1 + 3 * ballot of the vote + its value. */
byte report[9];
/* 2a(b): its value, 0 while it was not sent. */
byte proposal[4];
/* 2b(a, b), of the value of 2a(b). */
bool accepted[9];

#define MORE(x, y) ((x) > (y) -> (x) : (y))
#define HIGHEST(x, y, b) MORE(report[AT(x, b)], report[AT(y, b)])

/* Both promised, and v is the value of the higher of their votes, or neither voted. */
#define QUORUM(x, y, b, v) (report[AT(x, b)] && report[AT(y, b)] && (HIGHEST(x, y, b) == 1 || (HIGHEST(x, y, b) - 1) % 3 == v))

#if PLANTED == 3
#define IS_ACCEPTED(b) (accepted[AT(0, b)] || accepted[AT(1, b)] || accepted[AT(2, b)])
#else
#define IS_ACCEPTED(b) (accepted[AT(0, b)] + accepted[AT(1, b)] + accepted[AT(2, b)] >= 2)
#endif
#define IS_CHOSEN(v) ((proposal[1] == v && IS_ACCEPTED(1)) || (proposal[2] == v && IS_ACCEPTED(2)) || (proposal[3] == v && IS_ACCEPTED(3)))

#define START(b) d_step { !started[b] -> started[b] = true }

#if PLANTED == 2
#define VOTE(a) 1
#else
#define VOTE(a) (1 + 3 * votedBallot[a] + votedValue[a])
#endif
#define PROMISE(a, b) d_step { started[b] && promised[a] < b -> promised[a] = b; report[AT(a, b)] = VOTE(a) }

#define PROPOSE(b, v) d_step { !proposal[b] && (QUORUM(0, 1, b, v) || QUORUM(0, 2, b, v) || QUORUM(1, 2, b, v)) -> proposal[b] = v }

#if PLANTED == 1
#define MAY_ACCEPT(a, b) 1
#else
#define MAY_ACCEPT(a, b) (promised[a] <= b)
#endif
/* Only a vote can make a value chosen: so agreement is looked at here, and what is chosen stays so, since messages do. */
#define ACCEPT(a, b) d_step { proposal[b] && MAY_ACCEPT(a, b) && !accepted[AT(a, b)] -> \
    promised[a] = b; votedBallot[a] = b; votedValue[a] = proposal[b]; accepted[AT(a, b)] = true; \
    assert(!(IS_CHOSEN(1) && IS_CHOSEN(2))) }

active proctype paxos() {
end:
    do
    :: START(1) :: START(2) :: START(3)
    :: PROMISE(0, 1) :: PROMISE(1, 1) :: PROMISE(2, 1)
    :: PROMISE(0, 2) :: PROMISE(1, 2) :: PROMISE(2, 2)
    :: PROMISE(0, 3) :: PROMISE(1, 3) :: PROMISE(2, 3)
    :: PROPOSE(1, 1) :: PROPOSE(1, 2)
    :: PROPOSE(2, 1) :: PROPOSE(2, 2)
    :: PROPOSE(3, 1) :: PROPOSE(3, 2)
    :: ACCEPT(0, 1) :: ACCEPT(1, 1) :: ACCEPT(2, 1)
    :: ACCEPT(0, 2) :: ACCEPT(1, 2) :: ACCEPT(2, 2)
    :: ACCEPT(0, 3) :: ACCEPT(1, 3) :: ACCEPT(2, 3)
    od
}
